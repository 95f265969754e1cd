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

/// Where a demo or a drill is shown.
#[derive(Debug)]
pub struct Screen {
    started: Instant,
}

impl Screen {
    /// The clock of the timeline starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Something happened.
    pub fn say(&self, text: &str) -> Result<()> {
        let seconds = self.elapsed().as_secs_f64();
        print(&format!("{DIM}{seconds:7.2} s{PLAIN}  {text}\n"))
    }

    /// Something that had to be shown was seen.
    pub fn good(&self, text: &str) -> Result<()> {
        self.say(&format!("{GREEN}{text}{PLAIN}"))
    }

    /// Why all of it failed, on stderr.
    pub fn error(&self, what: &str, error: &anyhow::Error) {
        let seconds = self.elapsed().as_secs_f64();
        complain(&format!("{DIM}{seconds:7.2} s{PLAIN}  {RED}{what} failed: {error:#}{PLAIN}\n"));
    }

    /// Something that must not be was seen.
    pub fn bad(&self, text: &str) -> Result<()> {
        self.say(&format!("{RED}{text}{PLAIN}"))
    }
}

/// Text without a time. A reader that has gone away ends the program.
pub fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The beginning of an act.
pub fn heading(text: &str) -> Result<()> {
    print(&format!("\n{BOLD}{text}{PLAIN}\n"))
}

/// Text on stderr; nobody is left to be told when it cannot be written.
pub fn complain(text: &str) {
    write!(anstream::stderr(), "{text}").ok();
}
