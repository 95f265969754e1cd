//! Looks at the place of the outbox: the file itself is left alone, since a hook may have it open.

mod judge;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::outbox::OutboxSettings;

/// Writes that are measured.
const WRITES: usize = 11;
/// About what one incident takes.
const BLOCK: [u8; 4096] = [0; 4096];
/// `f_type` of file systems in memory (`man 2 statfs`).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What is seen of the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Its size, bytes; absent before the first start.
    pub size: Option<u64>,
    /// Bytes that are free on its file system.
    pub free: Option<u64>,
    /// Its folder is not there; what else is seen is that of the nearest one above, where the hook creates it.
    pub no_folder: bool,
    /// The file system is in memory.
    pub in_memory: bool,
    /// How long each write and `fsync` of 4 KiB took, or why it failed.
    pub writes: Result<Vec<Duration>, String>,
}

/// Everything about the outbox; nothing where the hook is not meant.
pub async fn look(settings: Option<&OutboxSettings>, within: Duration) -> Vec<Finding> {
    let Some(settings) = settings else { return Vec::new() };
    let Some(path) = settings.path.clone() else { return vec![judge::absent()] };
    let shown = path.display().to_string();
    let looking = tokio::task::spawn_blocking(move || see(path));
    match tokio::time::timeout(within, looking).await {
        Ok(Ok(Ok(place))) => judge::judge(&place),
        Ok(Ok(Err(error))) => vec![judge::no_place(&shown, &error.to_string())],
        Ok(Err(error)) => vec![judge::no_place(&shown, &error.to_string())],
        Err(_) => vec![judge::no_place(&shown, &format!("the disk does not answer within {within:?}"))],
    }
}

fn see(path: PathBuf) -> io::Result<Place> {
    let own = folder_of(&path);
    let folder = own.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned();
    let no_folder = folder != own;
    std::fs::read_dir(&folder)?;
    let size = match std::fs::metadata(&path) {
        Ok(file) if !file.is_file() => return Err(io::Error::other("it is not a file")),
        Ok(file) => Some(file.len()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err(error),
    };
    if size.is_some() {
        File::options().write(true).open(&path)?;
    }
    let free = rustix::fs::statvfs(&folder).ok().map(|of| of.f_bavail.saturating_mul(of.f_frsize));
    let in_memory = rustix::fs::statfs(&folder).is_ok_and(|of| IN_MEMORY.contains(&of.f_type));
    let writes = write_beside(&folder).map_err(|error| error.to_string());
    Ok(Place { path, size, free, no_folder, in_memory, writes })
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes to a file of its own, and removes it.
fn write_beside(folder: &Path) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!(".check-{:016x}", fastrand::u64(..)));
    let file = File::options().write(true).create_new(true).open(&path)?;
    let times = measure(file);
    std::fs::remove_file(&path)?;
    times
}

fn measure(mut file: File) -> io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let begun = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
