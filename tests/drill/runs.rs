//! The agents' own run logs, read as they grow.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use line_tests::Execution;

use crate::oracle::Ran;

/// What stands before the fingerprint in the text that an agent is given.
const BEFORE: &str = "test alert ";
const FINGERPRINT: usize = 16;

/// Logs of several agents.
#[derive(Debug)]
pub(crate) struct Runs {
    files: Vec<(PathBuf, u64)>,
    ran: Vec<Ran>,
}

impl Runs {
    pub(crate) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { files: files.into_iter().map(|file| (file, 0)).collect(), ran: Vec::new() }
    }

    /// Everything that ran so far.
    pub(crate) fn read(&mut self) -> Result<&[Ran]> {
        for (path, read) in &mut self.files {
            // An agent opens its log at its start.
            let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            file.seek(SeekFrom::Start(*read))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                *read += line.len() as u64;
                let run: Execution = serde_json::from_str(line).context("a line of a run log")?;
                if let Some(fingerprint) = fingerprint(&run.text) {
                    let marked = run.metadata.get("duplicate_possible") == Some(&true.into());
                    self.ran.push(Ran { fingerprint: fingerprint.to_owned(), at: run.t, marked });
                }
            }
        }
        Ok(&self.ran)
    }
}

/// No id of the product's is trusted here.
fn fingerprint(text: &str) -> Option<&str> {
    text.split(BEFORE).nth(1)?.get(..FINGERPRINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_stands_in_the_text() {
        assert_eq!(fingerprint("x: test alert 00000000000000ff [agent: echo]"), Some("00000000000000ff"));
        assert_eq!(fingerprint("test alert 12"), None);
        assert_eq!(fingerprint("nothing"), None);
    }
}
