//! Secrets: given directly, or as a file that may be replaced while the process runs.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use secrecy::{SecretString, zeroize::Zeroizing};

/// A token or password is never longer; a larger file is a wrong path.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret comes from. It does not show its value.
#[derive(Clone)]
pub enum Secret {
    /// The value itself.
    Inline(SecretString),
    /// A file that holds it, read at every use so that a rotated one counts.
    File(PathBuf),
}

impl Secret {
    /// The present value. A file's last line end is not part of it.
    ///
    /// Blocks for as long as a small file takes to read. Fails if the file cannot be read, is empty, is larger than 64 KiB or is not UTF-8.
    pub fn read(&self) -> io::Result<SecretString> {
        let path = match self {
            Self::Inline(value) => return Ok(value.clone()),
            Self::File(path) => path,
        };
        let mut bytes = Zeroizing::new(Vec::new());
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(invalid("it is larger than 64 KiB, is it the right file?"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid("it is not UTF-8 text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        Ok(text.into())
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline([REDACTED])"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
