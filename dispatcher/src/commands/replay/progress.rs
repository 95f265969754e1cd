//! Long work: at a rate, up to a limit, with a bar, a line for each entry and a summary.

use std::io::Write as _;
use std::time::Duration;

use daemon::{escape, exit};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior};

use super::{Manner, Trouble};
use crate::replay::did::Did;

/// What is to be done and what was done, in one word each.
pub(super) type Words = (&'static str, &'static str);

#[derive(Debug, Default)]
struct Tally {
    done: u64,
    skipped: u64,
    failed: u64,
}

impl Tally {
    fn code(&self) -> u8 {
        match (self.failed, self.done + self.skipped) {
            (0, _) => exit::DONE,
            (_, 0) => exit::FAILED,
            _ => exit::PARTLY,
        }
    }
}

/// Work that is going on.
pub(super) struct Progress {
    words: Words,
    preview: bool,
    left: usize,
    pace: Option<Interval>,
    bar: ProgressBar,
    tally: Tally,
}

impl Progress {
    /// `total`: how many there are, where it is known.
    pub(super) fn new(words: Words, manner: &Manner, total: Option<usize>) -> Self {
        let pace = manner.rate.map(|rate| {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        // On stderr, and hidden where that is no terminal.
        let bar = total.map_or_else(ProgressBar::no_length, |total| ProgressBar::new(total as u64));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}") {
            bar.set_style(style);
        }
        Self { words, preview: manner.dry_run, left: manner.limit(), pace, bar, tally: Tally::default() }
    }

    /// Nothing is to be changed.
    pub(super) fn is_preview(&self) -> bool {
        self.preview
    }

    /// Waits for the next one's turn; answers whether there may be a next one.
    pub(super) async fn turn(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        true
    }

    /// Counts one and says what became of it.
    pub(super) fn report(&mut self, name: &str, did: &Did) -> Result<(), Trouble> {
        let (word, text) = match did {
            Did::Done(text) => {
                self.tally.done += 1;
                (if self.preview { self.words.0 } else { self.words.1 }, text)
            }
            Did::Skipped(text) => {
                self.tally.skipped += 1;
                ("skipped", text)
            }
            Did::Failed(text) => {
                self.tally.failed += 1;
                ("failed", text)
            }
        };
        self.bar.inc(1);
        let line = escape::line(&format!("{word} {name}: {text}"));
        Ok(self.bar.suspend(|| writeln!(anstream::stdout(), "{line}"))?)
    }

    /// Prints the summary.
    pub(super) fn finish(&self) -> Result<(), Trouble> {
        self.bar.finish_and_clear();
        let (Tally { done, skipped, failed }, word) = (&self.tally, self.words.1);
        let dry = if self.preview { " (dry run: nothing was changed)" } else { "" };
        Ok(writeln!(anstream::stdout(), "replay: {word}={done} skipped={skipped} failed={failed}{dry}")?)
    }

    /// The exit code: what failed decides it.
    pub(super) fn code(&self) -> u8 {
        self.tally.code()
    }

    /// Something was changed.
    pub(super) fn has_done(&self) -> bool {
        self.tally.done > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_decides_the_code() {
        let code = |done, skipped, failed| Tally { done, skipped, failed }.code();
        assert_eq!([code(0, 0, 0), code(3, 2, 0)], [exit::DONE, exit::DONE]);
        assert_eq!([code(0, 0, 1), code(1, 0, 1), code(0, 1, 1)], [exit::FAILED, exit::PARTLY, exit::PARTLY]);
    }
}
