//! The file: what is written together is on disk together, or not at all.
//!
//! [`chunks`]: the incidents by number, written once. `progress`: number -> what has changed of it since. Numbers grow:
//! their order is the order of acceptance. `tombstones`: incident -> what is kept of it. `notes`: cursor, token.

pub mod chunks;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};
use redb::{TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;

use super::item::{Progress, Tombstone};
use crate::incident::Incident;
use chunks::{Accepted, Chunks, Reader};

const PROGRESS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("progress");
const TOMBSTONES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tombstones");
const NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notes");
/// Pages that are kept in memory, bytes.
const CACHE: usize = 16 * 1024 * 1024;

/// Why the outbox cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened.
    #[error("the outbox {0} cannot be opened: {1}")]
    Open(PathBuf, String),
    /// It cannot be read or written.
    #[error("the outbox cannot be used (is its disk full or read-only?): {0}")]
    Use(String),
    /// A later version wrote it, or something else did.
    #[error("the outbox holds what this version cannot read: {0}")]
    Content(String),
    /// As much waits as may.
    #[error("the outbox is full (OUTBOX_MAX_OPEN)")]
    Full,
}

fn unusable(error: impl Into<redb::Error>) -> Error {
    Error::Use(error.into().to_string())
}

/// One change.
#[derive(Debug, Clone)]
pub enum Op {
    /// A new incident.
    Accept(u64, Accepted),
    /// What is new of it.
    Progress(u64, Progress),
    /// It is not open any more.
    Close(u64),
    /// What is kept of a final one.
    Bury(Box<Tombstone>),
    /// Too old.
    Forget(String),
    /// A note.
    Note(&'static str, Vec<u8>),
}

impl Op {
    fn accepted(&self) -> Option<(u64, &Accepted)> {
        if let Self::Accept(number, accepted) = self { Some((*number, accepted)) } else { None }
    }
}

/// The open database.
#[derive(Debug)]
pub struct Store(Database);

impl Store {
    /// Opens or creates the file; without a path everything is in memory.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let opened = match path {
            Some(path) => file(path).and_then(|file| builder().create_with_backend(file)),
            None => builder().create_with_backend(InMemoryBackend::new()),
        };
        Self::ready(opened).map_err(|text| Error::Open(path.unwrap_or(Path::new("(memory)")).to_owned(), text))
    }

    fn ready(opened: Result<Database, redb::DatabaseError>) -> Result<Self, String> {
        let store = Self(opened.map_err(|error| error.to_string())?);
        // Reading a table that was never written is an error.
        store.apply(&[]).map_err(|error| error.to_string())?;
        Ok(store)
    }

    /// On something else than a file.
    #[cfg(test)]
    pub(super) fn on(backend: impl redb::StorageBackend) -> Result<Self, Error> {
        Self::ready(builder().create_with_backend(backend)).map_err(|text| Error::Open(PathBuf::new(), text))
    }

    /// Writes all or nothing, to the disk.
    pub fn apply(&self, ops: &[Op]) -> Result<(), Error> {
        let mut transaction = self.0.begin_write().map_err(unusable)?;
        transaction.set_durability(Durability::Immediate).map_err(unusable)?;
        // A kill leaves nothing to repair: the next start is quick.
        transaction.set_quick_repair(true);
        write(&transaction, ops)?;
        transaction.commit().map_err(unusable)
    }

    /// All open incidents' progress, oldest first.
    pub fn progress(&self) -> Result<Vec<(u64, Progress)>, Error> {
        let read = self.0.begin_read().map_err(unusable)?;
        let table = read.open_table(PROGRESS).map_err(unusable)?;
        let mut since = HashMap::new();
        for row in table.iter().map_err(unusable)? {
            let (number, value) = row.map_err(unusable)?;
            since.insert(number.value(), parse(value.value())?);
        }
        let first = Reader::open(&read)?.first_progress()?.into_iter();
        Ok(first.map(|(number, first)| (number, since.remove(&number).unwrap_or(first))).collect())
    }

    /// These incidents; what is not there any more is left out.
    pub fn incidents(&self, numbers: &[u64]) -> Result<Vec<(u64, Incident)>, Error> {
        Reader::open(&self.0.begin_read().map_err(unusable)?)?.incidents(numbers)
    }

    /// These tombstones; what is not there is left out.
    pub fn tombstones(&self, keys: &[String]) -> Result<Vec<Tombstone>, Error> {
        let read = self.0.begin_read().map_err(unusable)?;
        let table = read.open_table(TOMBSTONES).map_err(unusable)?;
        let mut found = Vec::new();
        for key in keys {
            if let Some(value) = table.get(key.as_str()).map_err(unusable)? {
                found.push(parse(value.value())?);
            }
        }
        Ok(found)
    }

    /// Up to `count` tombstones whose key comes after `after`.
    pub fn tombstones_after(&self, after: &str, count: usize) -> Result<Vec<Tombstone>, Error> {
        let read = self.0.begin_read().map_err(unusable)?;
        let table = read.open_table(TOMBSTONES).map_err(unusable)?;
        let bounds = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let mut found = Vec::new();
        for row in table.range::<&str>(bounds).map_err(unusable)?.take(count) {
            found.push(parse(row.map_err(unusable)?.1.value())?);
        }
        Ok(found)
    }

    /// How many tombstones there are.
    pub fn count_tombstones(&self) -> Result<u64, Error> {
        let read = self.0.begin_read().map_err(unusable)?;
        read.open_table(TOMBSTONES).map_err(unusable)?.len().map_err(unusable)
    }

    /// A note.
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = self.0.begin_read().map_err(unusable)?;
        let value = read.open_table(NOTES).map_err(unusable)?.get(name).map_err(unusable)?;
        Ok(value.map(|value| value.value().to_owned()))
    }
}

/// Alerts can say what not everybody may know: nobody else may read the file.
fn file(path: &Path) -> Result<FileBackend, redb::DatabaseError> {
    let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    FileBackend::new(open.map_err(redb::StorageError::from)?)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn write(transaction: &WriteTransaction, ops: &[Op]) -> Result<(), Error> {
    let mut chunks = Chunks::open(transaction)?;
    let mut accepted: Vec<_> = ops.iter().filter_map(Op::accepted).collect();
    accepted.sort_unstable_by_key(|(number, _)| *number);
    chunks.accept(accepted.into_iter())?;
    let mut progress = transaction.open_table(PROGRESS).map_err(unusable)?;
    let mut tombstones = transaction.open_table(TOMBSTONES).map_err(unusable)?;
    let mut notes = transaction.open_table(NOTES).map_err(unusable)?;
    for op in ops {
        match op {
            // Something that is said of a closed one came too late.
            Op::Progress(number, now) if chunks.has(*number)? => {
                progress.insert(number, text(now)?.as_slice()).map_err(unusable)?;
            }
            Op::Close(number) => {
                chunks.close(*number)?;
                progress.remove(number).map_err(unusable)?;
            }
            Op::Bury(tombstone) => {
                tombstones.insert(tombstone.key().as_str(), text(tombstone)?.as_slice()).map_err(unusable)?;
            }
            Op::Forget(key) => {
                tombstones.remove(key.as_str()).map_err(unusable)?;
            }
            Op::Note(name, value) => {
                notes.insert(*name, value.as_slice()).map_err(unusable)?;
            }
            Op::Accept(..) | Op::Progress(..) => {}
        }
    }
    Ok(())
}

fn text(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Content(error.to_string()))
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|error| Error::Content(error.to_string()))
}
