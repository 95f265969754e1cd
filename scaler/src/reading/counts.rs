//! The numbers of one reading, and what each trigger makes of them. Pure.

use std::sync::Arc;

use redis_stream::backlog::{Backlog, Lag, Method};
use redis_stream::id::EntryId;

use crate::trigger::{Metric, Orphans, Trigger};

/// Ids of a time before 2010, Unix milliseconds, were not made of a clock.
const FIRST_TIME_MS: i64 = 1_262_304_000_000;
/// Nor were ids so far ahead of Redis' clock.
const AHEAD_MS: i64 = 24 * 60 * 60 * 1000;
/// An entry is orphaned after a minute at the earliest.
const IDLE_STEP_MS: u64 = 5_000;

/// The numbers of one reading. All triggers of a source share it; what differs between them is worked out from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Entries of the stream.
    pub length: u64,
    /// Delivered, not acknowledged.
    pub pending: u64,
    /// Not yet delivered.
    pub lag: u64,
    /// Pending and lag, and at least one while entries wait elsewhere for an agent that cannot be reached.
    pub backlog: u64,
    /// How the lag was found, and its bounds.
    pub lag_found: Lag,
    /// Entries wait elsewhere for an agent that cannot be reached.
    pub waiting: bool,
    /// The pending entries with the lowest ids, ascending, as many as are looked at one by one.
    pub held: Arc<[Held]>,
    /// Age of the first entry that is not yet delivered, milliseconds.
    pub next_age_ms: Option<u64>,
    /// Numbers below which nothing is told for the time being. They have none themselves.
    pub least: Arc<[Arc<Counts>]>,
}

/// One pending entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Milliseconds since it was written; 0 where its id is no time.
    pub age_ms: u64,
    /// Milliseconds since it was delivered, claimed or renewed.
    pub idle_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// Pending entries told apart by the limits of a trigger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sorted {
    /// In somebody's hands: not idle for so long. Entries that were not looked at are among them.
    pub live: u64,
    /// Idle for so long that their owner is gone: somebody has to claim them.
    pub orphaned: u64,
    /// The same, and delivered so often that another delivery is of no use.
    pub poison: u64,
    /// Age of the oldest that is live, milliseconds; where none of those looked at is, that of the last of them.
    pub oldest_ms: Option<u64>,
}

impl Default for Counts {
    /// No stream.
    fn default() -> Self {
        Self {
            length: 0,
            pending: 0,
            lag: 0,
            backlog: 0,
            lag_found: Lag::exact(0, Method::Missing),
            waiting: false,
            held: Arc::new([]),
            next_age_ms: None,
            least: Arc::new([]),
        }
    }
}

impl Counts {
    /// Whether no trigger makes another activity of it: ages are not judged, and idle times in steps.
    pub fn is_like(&self, other: &Self) -> bool {
        let numbers = |counts: &Self| (counts.length, counts.pending, counts.lag, counts.backlog, counts.waiting);
        let steps = |held: &Held| (held.idle_ms / IDLE_STEP_MS, held.deliveries);
        numbers(self) == numbers(other)
            && self.least.len() == other.least.len()
            && self.held.iter().map(steps).eq(other.held.iter().map(steps))
    }

    /// The pending entries, told apart.
    pub fn sorted(&self, limits: Option<Orphans>) -> Sorted {
        let mut sorted = Sorted::default();
        for held in self.held.iter() {
            match limits {
                Some(limits) if limits.is_poison(held.idle_ms, held.deliveries) => sorted.poison += 1,
                Some(limits) if limits.is_orphaned(held.idle_ms) => sorted.orphaned += 1,
                // Ids that are no time may stand before older entries.
                _ => sorted.oldest_ms = sorted.oldest_ms.max(Some(held.age_ms)),
            }
        }
        sorted.live = self.pending.saturating_sub(sorted.orphaned).saturating_sub(sorted.poison);
        if sorted.live > 0 && sorted.oldest_ms.is_none() {
            sorted.oldest_ms = self.held.last().map(|held| held.age_ms);
        }
        sorted
    }

    /// What is left to do, as a trigger counts it: at least one while somebody has to claim what was left behind, or to
    /// probe an agent.
    pub fn backlog_of(&self, trigger: &Trigger) -> u64 {
        let Some(limits) = trigger.orphans else { return self.backlog };
        let sorted = self.sorted(Some(limits));
        sorted.live.saturating_add(self.lag).max(u64::from(self.waiting || sorted.orphaned > 0))
    }

    /// The number that a trigger reports: entries, or seconds. Jobs are started for each number anew and are never taken
    /// away, so for them none is held up.
    pub fn value(&self, trigger: &Trigger) -> f64 {
        let own = self.own_value(trigger);
        if trigger.starts_jobs {
            return own;
        }
        self.least.iter().map(|least| least.own_value(trigger)).fold(own, f64::max)
    }

    fn own_value(&self, trigger: &Trigger) -> f64 {
        match trigger.metric {
            Metric::Backlog => as_float(self.backlog_of(trigger)),
            Metric::Pending => as_float(self.sorted(trigger.orphans).live),
            Metric::Lag => as_float(self.lag),
            Metric::Length => as_float(self.length),
            Metric::Age => as_float(self.age_ms(trigger)) / 1000.0,
        }
    }

    /// Age of the oldest entry that is unfinished and counted; 0 if there is none.
    fn age_ms(&self, trigger: &Trigger) -> u64 {
        self.sorted(trigger.orphans).oldest_ms.max(self.next_age_ms).unwrap_or(0)
    }

    /// Whether there is work for a trigger: strictly more entries than its activation. Judged on the backlog for
    /// every metric but the length, so that unread entries wake workers even where only pending ones are counted,
    /// and running work is not scaled away where only unread ones are.
    pub fn active(&self, trigger: &Trigger) -> bool {
        self.is_active(trigger) || self.least.iter().any(|least| least.is_active(trigger))
    }

    fn is_active(&self, trigger: &Trigger) -> bool {
        let judged = match trigger.metric {
            Metric::Length => self.length,
            Metric::Backlog | Metric::Pending | Metric::Lag | Metric::Age => self.backlog_of(trigger),
        };
        as_float(judged) > trigger.activation
    }
}

impl From<&Backlog> for Counts {
    fn from(backlog: &Backlog) -> Self {
        let age = |id| age_ms(id, backlog.now_ms);
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        let held = backlog.rows.iter().map(|row| Held {
            age_ms: age(row.id),
            idle_ms: whole(row.idle_ms),
            deliveries: whole(row.deliveries),
        });
        Self {
            length: backlog.length,
            pending: backlog.pending,
            lag: backlog.lag.value,
            backlog: backlog.total(),
            lag_found: backlog.lag,
            waiting: backlog.waiting,
            held: held.collect(),
            next_age_ms: backlog.next.map(age),
            least: Arc::new([]),
        }
    }
}

/// Milliseconds since an entry was written, by Redis' clock: never negative, since ids can run ahead of it, and 0 for
/// ids that cannot be a time.
fn age_ms(id: EntryId, now_ms: i64) -> u64 {
    let written = i64::try_from(id.ms).unwrap_or(i64::MAX);
    let is_time = written >= FIRST_TIME_MS && written <= now_ms.saturating_add(AHEAD_MS);
    if is_time { u64::try_from(now_ms.saturating_sub(written)).unwrap_or(0) } else { 0 }
}

/// A count as the autoscaler takes it.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 entries, which no stream reaches")]
pub fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
