//! Incidents that are accepted together are one value: a batch costs the disk hardly more than a single one.
//!
//! A chunk is up to 64 incidents with consecutive numbers, named by the first. `fills`: which of them are open, and
//! which are still in the body (bit n is number first + n). `heads`, `bodies`: a line of JSON each, the first progress
//! and the incident; the line of one that is not in the body any more is empty.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::super::item::Progress;
use super::{Error, parse, text, unusable};
use crate::incident::Incident;

const FILLS: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("fills");
const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// Incidents of a chunk at most: one bit each.
const MOST: u64 = 64;
/// Bytes of a body at which the next incident begins another chunk: just below a power of two, of which the file's
/// allocations are.
const FULL: usize = 60 * 1024;

/// A new incident as it is written down.
#[derive(Debug, Clone)]
pub struct Accepted {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Accepted {
    /// Neither part has a line break in it: JSON escapes them.
    pub fn new(incident: &Incident, first: &Progress) -> Result<Self, Error> {
        Ok(Self { head: text(first)?, body: text(incident)? })
    }
}

/// A chunk that grows until it is written.
#[derive(Debug, Default)]
struct Growing {
    first: u64,
    count: u64,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Growing {
    fn takes(&self, number: u64) -> bool {
        number == self.first + self.count && self.count < MOST && self.body.len() < FULL
    }

    fn add(&mut self, accepted: &Accepted) {
        self.count += 1;
        for (lines, line) in [(&mut self.head, &accepted.head), (&mut self.body, &accepted.body)] {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
    }
}

/// The chunks, in one transaction.
pub(super) struct Chunks<'t> {
    fills: Table<'t, u64, (u64, u64)>,
    heads: Table<'t, u64, &'static [u8]>,
    bodies: Table<'t, u64, &'static [u8]>,
}

impl<'t> Chunks<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            fills: transaction.open_table(FILLS).map_err(unusable)?,
            heads: transaction.open_table(HEADS).map_err(unusable)?,
            bodies: transaction.open_table(BODIES).map_err(unusable)?,
        })
    }

    /// Numbers in any order; those that follow each other share chunks.
    pub(super) fn accept<'a>(&mut self, all: impl Iterator<Item = (u64, &'a Accepted)>) -> Result<(), Error> {
        let mut growing = Growing::default();
        for (number, accepted) in all {
            if !growing.takes(number) {
                self.write(&growing)?;
                growing = Growing { first: number, ..Growing::default() };
            }
            growing.add(accepted);
        }
        self.write(&growing)
    }

    fn write(&mut self, chunk: &Growing) -> Result<(), Error> {
        if chunk.count == 0 {
            return Ok(());
        }
        let all = u64::MAX >> (MOST - chunk.count);
        self.fills.insert(chunk.first, (all, all)).map_err(unusable)?;
        self.heads.insert(chunk.first, chunk.head.as_slice()).map_err(unusable)?;
        self.bodies.insert(chunk.first, chunk.body.as_slice()).map_err(unusable)?;
        Ok(())
    }

    /// Whether it is open.
    pub(super) fn has(&self, number: u64) -> Result<bool, Error> {
        Ok(Fill::with(&self.fills, number)?.is_some())
    }

    /// It is not open any more. What is closed leaves the body when half of it has.
    pub(super) fn close(&mut self, number: u64) -> Result<(), Error> {
        let Some(Fill { first, mut open, mut kept }) = Fill::with(&self.fills, number)? else { return Ok(()) };
        open &= !(1 << (number - first));
        if open == 0 {
            self.fills.remove(first).map_err(unusable)?;
            self.heads.remove(first).map_err(unusable)?;
            self.bodies.remove(first).map_err(unusable)?;
            return Ok(());
        }
        if open.count_ones() * 2 <= kept.count_ones() {
            self.thin(first, open)?;
            kept = open;
        }
        self.fills.insert(first, (open, kept)).map_err(unusable)?;
        Ok(())
    }

    fn thin(&mut self, first: u64, open: u64) -> Result<(), Error> {
        let Some(body) = self.bodies.get(first).map_err(unusable)?.map(|body| body.value().to_owned()) else {
            return Ok(());
        };
        let mut left = Vec::with_capacity(body.len());
        for (bit, line) in lines(&body) {
            left.extend_from_slice(if open >> bit & 1 == 1 { line } else { b"" });
            left.push(b'\n');
        }
        self.bodies.insert(first, left.as_slice()).map_err(unusable)?;
        Ok(())
    }
}

/// What is left of a chunk.
struct Fill {
    first: u64,
    open: u64,
    kept: u64,
}

impl Fill {
    /// The chunk in which this number is open.
    fn with(fills: &impl ReadableTable<u64, (u64, u64)>, number: u64) -> Result<Option<Self>, Error> {
        let last = fills.range(..=number).map_err(unusable)?.next_back().transpose().map_err(unusable)?;
        let fill = last.map(|(first, fill)| {
            let (open, kept) = fill.value();
            Self { first: first.value(), open, kept }
        });
        Ok(fill.filter(|fill| fill.has(number)))
    }

    fn has(&self, number: u64) -> bool {
        number.checked_sub(self.first).is_some_and(|bit| bit < MOST && self.open >> bit & 1 == 1)
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (0..MOST).zip(text.split(|byte| *byte == b'\n'))
}

/// The chunks as they were at one moment.
pub(super) struct Reader {
    fills: ReadOnlyTable<u64, (u64, u64)>,
    heads: ReadOnlyTable<u64, &'static [u8]>,
    bodies: ReadOnlyTable<u64, &'static [u8]>,
}

impl Reader {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Error> {
        Ok(Self {
            fills: transaction.open_table(FILLS).map_err(unusable)?,
            heads: transaction.open_table(HEADS).map_err(unusable)?,
            bodies: transaction.open_table(BODIES).map_err(unusable)?,
        })
    }

    /// The first progress of all that are open, in order.
    pub(super) fn first_progress(&self) -> Result<Vec<(u64, Progress)>, Error> {
        let mut all = Vec::new();
        for row in self.fills.iter().map_err(unusable)? {
            let (first, fill) = row.map_err(unusable)?;
            let (first, (open, _)) = (first.value(), fill.value());
            let Some(head) = self.heads.get(first).map_err(unusable)? else { continue };
            for (bit, line) in lines(head.value()).filter(|(bit, _)| open >> bit & 1 == 1) {
                all.push((first + bit, parse(line)?));
            }
        }
        Ok(all)
    }

    /// These incidents; what is not open is left out. Quickest in the order of their numbers.
    pub(super) fn incidents(&self, numbers: &[u64]) -> Result<Vec<(u64, Incident)>, Error> {
        let mut found = Vec::with_capacity(numbers.len());
        let mut rest = numbers;
        while let Some((number, others)) = rest.split_first() {
            let Some(fill) = Fill::with(&self.fills, *number)? else {
                rest = others;
                continue;
            };
            let together = rest.iter().take_while(|number| fill.has(**number)).count();
            let (wanted, others) = rest.split_at(together);
            rest = others;
            let Some(body) = self.bodies.get(fill.first).map_err(unusable)? else { continue };
            for (bit, line) in lines(body.value()).filter(|(bit, _)| wanted.contains(&(fill.first + bit))) {
                found.push((fill.first + bit, parse(line)?));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
