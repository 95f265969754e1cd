//! The metadata of a `ScaledObject` trigger, parsed whole: every key and every default is named here.
//!
//! Keys are those of KEDA's own `redis-sentinel-streams` trigger wherever it has one. KEDA passes every key of
//! the metadata, its own ones too (`scalerAddress`, `enableTLS`, ...), so keys that are not named here are ignored.

mod keys;
mod orphans;
mod redis;
mod scale;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use redis_stream::endpoint::{HostPort, Locator};

pub use keys::KEYS;
use keys::Keys;
pub use orphans::Orphans;

/// What the scaler itself is set to: the defaults of every trigger, and what a trigger may ask for.
#[derive(Debug, Clone)]
pub struct Own {
    /// The stream (`STREAM_NAME`).
    pub stream: String,
    /// The consumer group (`CONSUMER_GROUP`).
    pub group: String,
    /// How the scaler's own Redis is found.
    pub locator: Locator,
    /// The database of the stream (`REDIS_DB`).
    pub db: u16,
    /// Sentinels besides the own ones that a trigger may name (`SCALER_ALLOWED_SENTINELS`).
    pub allowed: BTreeSet<HostPort>,
}

/// Which Redis a trigger is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Redis {
    /// The scaler's own.
    Own,
    /// Another one, behind Sentinels that the scaler may talk to.
    Other {
        /// Sorted, without repetitions, never empty.
        sentinels: Vec<HostPort>,
        /// Name of the master.
        master: String,
    },
}

/// What is measured: triggers with the same source share one reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The server.
    pub redis: Redis,
    /// Database index.
    pub db: u16,
    /// Key of the stream.
    pub stream: String,
    /// Name of the consumer group.
    pub group: String,
}

/// Which number of a source is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Pending plus lag: all that is not done.
    Backlog,
    /// Delivered and not acknowledged (`XPENDING`).
    Pending,
    /// Not yet delivered to the group (`XINFO GROUPS`).
    Lag,
    /// Every entry of the stream (`XLEN`).
    Length,
    /// Seconds since the oldest unfinished entry was written.
    Age,
}

impl Metric {
    /// The word used in metadata and metric names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Pending => "pending",
            Self::Lag => "lag",
            Self::Length => "length",
            Self::Age => "age",
        }
    }
}

/// A trigger whose metadata is in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// What is measured.
    pub source: Source,
    /// Which number is reported.
    pub metric: Metric,
    /// Entries (of [`Metric::Age`]: seconds) per replica; at least 0.001, at most 10^12.
    pub target: f64,
    /// Active when strictly more entries than this.
    pub activation: f64,
    /// Which pending entries are left out; none without it.
    pub orphans: Option<Orphans>,
    /// Of a `ScaledJob`, as its strategy says.
    pub starts_jobs: bool,
}

impl Trigger {
    /// Reads the metadata of a trigger; all mistakes come back at once.
    pub fn parse(metadata: &HashMap<String, String>, own: &Own) -> Result<Self, BadMetadata> {
        let mut keys = Keys::new(metadata);
        let scale = scale::parse(&mut keys);
        let orphans = orphans::parse(&mut keys);
        let source = Source {
            redis: redis::parse(&mut keys, own),
            db: keys.database("databaseIndex").unwrap_or(own.db),
            stream: keys.name("stream").unwrap_or_else(|| own.stream.clone()),
            group: keys.name("consumerGroup").unwrap_or_else(|| own.group.clone()),
        };
        let problems = keys.into_problems();
        if problems.is_empty() {
            let scale::Scale { metric, target, activation, starts_jobs } = scale;
            Ok(Self { source, metric, target, activation, orphans, starts_jobs })
        } else {
            Err(BadMetadata { problems })
        }
    }

    /// The metric's name for the autoscaler, e.g. `incident-events-dispatch-group-backlog`: constant for the same
    /// metadata, and without the characters that KEDA replaces in the names of its own scalers
    /// (the autoscaler refuses `/` and `%`).
    pub fn metric_name(&self) -> String {
        let Source { stream, group, .. } = &self.source;
        format!("{stream}-{group}-{}", self.metric.as_str()).replace(['/', '.', ':', '%', '(', ')'], "-")
    }
}

/// Metadata that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadMetadata {
    /// Every mistake, never empty.
    pub problems: Vec<Problem>,
}

/// One mistake in the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as it was given.
    pub key: String,
    /// What is accepted. Values are not repeated: they may have come out of a Secret.
    pub problem: String,
}

impl fmt::Display for BadMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("trigger metadata: ")?;
        for (index, Problem { key, problem }) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{key}: {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
