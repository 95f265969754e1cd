//! A clock that can be moved: libfaketime (<https://github.com/wolfcw/libfaketime>), preloaded into a process, reads
//! the offset from a file.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::places;

/// The clock of one or more processes. Time that passes is not touched, only the time of day.
#[derive(Debug, Clone)]
pub struct FakeClock {
    object: PathBuf,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that is right, with its file in `folder`; none where the library is missing.
    pub fn new(folder: &Path, name: &str) -> Result<Option<Self>> {
        let Ok(object) = places::tool("faketime/libfaketime.so.1") else { return Ok(None) };
        let clock = Self { object, file: folder.join(format!("clock-{name}")) };
        clock.move_by(0)?;
        Ok(Some(clock))
    }

    /// Sets the clock to the right time and this many seconds; the processes see it within a second.
    pub fn move_by(&self, seconds: i64) -> Result<()> {
        // Renamed, so that nobody reads half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(new, &self.file)?)
    }

    /// What a process needs in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variable = |name: &str, value: String| (name.to_owned(), value);
        vec![
            // With the C library's own malloc: jemalloc, which Redis has, asks for the time while libfaketime begins.
            variable("LD_PRELOAD", format!("{}:libc.so.6", self.object.display())),
            variable("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            variable("FAKETIME_CACHE_DURATION", "1".into()),
            variable("DONT_FAKE_MONOTONIC", "1".into()),
            variable("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}
