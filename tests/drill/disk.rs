//! A disk of its own, small enough to be filled: a tmpfs, where the machine allows to mount one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

/// As much as an outbox needs for a drill of many hours.
const SIZE: &str = "size=64m";
/// Bytes of one piece of what fills it.
const PIECE: usize = 64 * 1024;

/// Mounted until it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk on a new folder; none where that is not allowed.
    pub(crate) fn mount(folder: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        Ok(mounted.then(|| Self { folder: folder.to_owned() }))
    }

    /// Writes until nothing more goes onto it.
    pub(crate) fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filling())?;
        for length in [PIECE, 1] {
            let piece = vec![b'x'; length];
            while file.write_all(&piece).is_ok() {}
        }
        Ok(())
    }

    /// Takes away what filled it.
    pub(crate) fn clear(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filling())?)
    }

    fn filling(&self) -> PathBuf {
        self.folder.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazy: it goes when the last process that has a file open on it is gone.
        Command::new("umount").arg("-l").arg(&self.folder).status().ok();
    }
}
