//! What is known about a source at a moment, and when it may be believed. Pure: the time is an argument.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod counts;

pub use counts::{Counts, Held, Sorted, as_float};

use crate::trigger::Trigger;

/// A reading older than this is no answer.
pub const FRESH_FOR: Duration = Duration::from_millis(1500);

/// Why there are no numbers. The text says what an operator can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Redis cannot be asked at the moment.
    #[error("the backlog is not known: {0}")]
    Unavailable(String),
    /// Redis refuses until somebody changes a setting.
    #[error("Redis cannot be read as configured: {0}")]
    Configuration(String),
    /// More sources than the scaler watches.
    #[error("{0}")]
    TooMany(String),
}

/// After a failover no number is told, for so long, that is below the last one from the old master: what that one took
/// after the promotion of the new one is lost, and published again only in a moment. KEDA would scale running workers
/// away, and after an outage, in which it does not renew the time of the last activity, all of them at once. A node that
/// has come back with an old snapshot is no other node: what it has is what there is.
pub const HOLD: Duration = Duration::from_secs(60);

/// Failovers within one [`HOLD`] whose numbers are kept.
const MOST_HELD: usize = 8;

/// The connection that a reading was taken from. Once it is gone its server may have been demoted, and the number
/// with it.
pub trait Origin: Send + Sync {
    /// Whether the connection is still in use.
    fn is_open(&self) -> bool;

    /// The server, `host:port`.
    fn node(&self) -> &str;
}

/// Numbers, with their time and origin.
#[derive(Clone)]
pub struct Reading {
    /// When the reading was begun.
    pub at: Instant,
    /// Where it came from.
    pub origin: Arc<dyn Origin>,
    /// The numbers.
    pub counts: Counts,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("at", &self.at).field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Everything that is known about a source.
#[derive(Debug, Clone, Default)]
pub struct State {
    last_good: Option<Reading>,
    /// Of the last attempt, if it failed.
    trouble: Option<Trouble>,
    /// The last numbers before each of the latest failovers, and when the first after it was read.
    before: Vec<(Arc<Counts>, Instant)>,
}

/// What may be answered from a [`State`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These numbers.
    Known(Counts),
    /// This error.
    Failed(Trouble),
    /// Nothing yet: the first attempt, or the first after a lost connection, is still under way.
    Unknown,
}

/// What a trigger may be told of its activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// This.
    Known(bool),
    /// Nothing: Redis refuses until somebody changes a setting.
    Refused,
    /// Nothing for the time being.
    Unknown,
}

impl Verdict {
    /// Whether it gives every trigger the same activity, but for the steps in which entries grow idle.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(other)) => one.is_like(other),
            _ => self == other,
        }
    }
}

impl State {
    /// Takes the outcome of an attempt.
    pub fn record(&mut self, outcome: Result<Reading, Trouble>) {
        match outcome {
            Ok(reading) => {
                if let Some(last) = self.last_good.as_ref().filter(|last| last.origin.node() != reading.origin.node()) {
                    let left = (Arc::new(last.counts.clone()), reading.at);
                    self.before.retain(|(_, since)| is_held(*since, reading.at));
                    self.before.drain(..self.before.len().saturating_sub(MOST_HELD - 1));
                    self.before.push(left);
                }
                (self.last_good, self.trouble) = (Some(reading), None);
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// Why the last attempt failed, if it did.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// What to answer at `now`.
    pub fn verdict(&self, now: Instant) -> Verdict {
        match self.usable(now) {
            Ok(counts) => {
                let least = self.floors(now).map(Arc::clone).collect();
                Verdict::Known(Counts { least, ..counts.clone() })
            }
            Err(Some(trouble)) => Verdict::Failed(trouble.clone()),
            Err(None) => Verdict::Unknown,
        }
    }

    /// Whether there is work for `trigger` at `now`: what [`State::verdict`] and [`Counts::active`] say. Thousands of
    /// push streams ask at once, so nothing is copied.
    pub fn activity(&self, trigger: &Trigger, now: Instant) -> Activity {
        match self.usable(now) {
            Ok(counts) => {
                Activity::Known(counts.active(trigger) || self.floors(now).any(|least| least.active(trigger)))
            }
            Err(Some(Trouble::Configuration(_))) => Activity::Refused,
            Err(_) => Activity::Unknown,
        }
    }

    /// A fresh reading outlives a passing failure, never a refusal and never its connection.
    fn usable(&self, now: Instant) -> Result<&Counts, Option<&Trouble>> {
        if let Some(trouble @ Trouble::Configuration(_)) = &self.trouble {
            return Err(Some(trouble));
        }
        let is_usable =
            |reading: &&Reading| now.saturating_duration_since(reading.at) <= FRESH_FOR && reading.origin.is_open();
        match self.last_good.as_ref().filter(is_usable) {
            Some(reading) => Ok(&reading.counts),
            None => Err(self.trouble.as_ref()),
        }
    }

    fn floors(&self, now: Instant) -> impl Iterator<Item = &Arc<Counts>> {
        self.before.iter().filter(move |(_, since)| is_held(*since, now)).map(|(counts, _)| counts)
    }
}

fn is_held(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < HOLD
}

#[cfg(test)]
mod tests;
