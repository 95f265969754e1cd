//! The timeline: what happened, and when since the start.
//!
//! Colours are always written; anstream takes them out where they do not belong (no terminal, `NO_COLOR`).

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[1;31m";
const PLAIN: &str = "\u{1b}[0m";

/// Where the demo is shown.
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

    /// The beginning of an act.
    pub(crate) fn heading(&self, text: &str) -> Result<()> {
        self.text(&format!("\n{BOLD}{text}{PLAIN}\n"))
    }

    /// Something happened.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let seconds = self.elapsed().as_secs_f64();
        self.text(&format!("{DIM}{seconds:7.2} s{PLAIN}  {text}\n"))
    }

    /// Something that had to be shown was seen.
    pub(crate) fn good(&self, text: &str) -> Result<()> {
        self.say(&format!("{GREEN}{text}{PLAIN}"))
    }

    /// Text without a time. A reader that has gone away ends the demo.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Why the demo failed.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let seconds = self.elapsed().as_secs_f64();
        // Nobody is left to be told when this cannot be written.
        writeln!(anstream::stderr(), "{DIM}{seconds:7.2} s{PLAIN}  {RED}demo failed: {error:#}{PLAIN}").ok();
    }
}
