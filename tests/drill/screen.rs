//! The timeline: what happened, and when since the start.
//!
//! Colours are always written; anstream takes them out where they do not belong (no terminal, `NO_COLOR`).

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[1;31m";
const PLAIN: &str = "\u{1b}[0m";

/// Where the drill is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    started: Instant,
}

impl Screen {
    /// The clock of the timeline starts now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Something happened.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let seconds = self.elapsed().as_secs_f64();
        print(&format!("{DIM}{seconds:7.2} s{PLAIN}  {text}\n"))
    }

    /// Why the drill failed.
    pub(crate) fn bad(&self, text: &str) -> Result<()> {
        self.say(&format!("{RED}{text}{PLAIN}"))
    }
}

/// Text without a time. A reader that has gone away ends the drill.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
