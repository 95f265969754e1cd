//! Whether the process can do its job: its settings are valid and its loops tick. No peer is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// A loop is dead, not slow, once its heartbeat is this many times older than it should ever be...
const DEAD_AFTER_TIMES: u32 = 10;
/// ...and at least this old: a restart costs more than a minute of patience.
const DEAD_AFTER_AT_LEAST: Duration = Duration::from_secs(60);

/// All that the process watches about itself. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    watched: Arc<Mutex<Watched>>,
}

#[derive(Debug, Default)]
struct Watched {
    latches: Vec<Arc<LatchState>>,
    heartbeats: Vec<Weak<Pulse>>,
}

#[derive(Debug)]
struct LatchState {
    name: String,
    /// `None` while it holds, else why it does not.
    problem: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Pulse {
    name: String,
    max_age: Duration,
    started: Instant,
    last: Mutex<Option<Instant>>,
}

/// A condition that somebody sets and takes back. It does not hold until it is set.
#[derive(Debug, Clone)]
pub struct Latch(Arc<LatchState>);

/// The sign of life of one loop. It is forgotten when its last clone is dropped, so a loop that ends on purpose needs no farewell.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Pulse>);

impl Readiness {
    /// Nothing is watched yet: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition. It stays part of the verdict when the latch is dropped.
    pub fn latch(&self, name: impl Into<String>) -> Latch {
        let state = Arc::new(LatchState { name: name.into(), problem: Mutex::new(Some("not set yet".to_owned())) });
        locked(&self.watched).latches.push(Arc::clone(&state));
        Latch(state)
    }

    /// Adds a loop that ticks at least every `max_age` while it is well.
    pub fn heartbeat(&self, name: impl Into<String>, max_age: Duration) -> Heartbeat {
        let pulse = Arc::new(Pulse { name: name.into(), max_age, started: Instant::now(), last: Mutex::new(None) });
        let mut watched = locked(&self.watched);
        watched.heartbeats.retain(|pulse| pulse.strong_count() > 0);
        watched.heartbeats.push(Arc::downgrade(&pulse));
        drop(watched);
        Heartbeat(pulse)
    }

    /// Ready, or one line for each thing that is not.
    pub fn verdict(&self) -> Result<(), Vec<String>> {
        let watched = locked(&self.watched);
        let latches = watched.latches.iter().filter_map(|latch| latch.problem());
        let pulses = watched.heartbeats.iter().filter_map(Weak::upgrade);
        none(latches.chain(pulses.filter_map(|pulse| pulse.late())).collect())
    }

    /// Alive, or one line for each loop that has been silent for so long that only a restart helps.
    pub fn alive(&self) -> Result<(), Vec<String>> {
        let watched = locked(&self.watched);
        let pulses = watched.heartbeats.iter().filter_map(Weak::upgrade);
        none(pulses.filter_map(|pulse| pulse.dead()).collect())
    }
}

impl Latch {
    /// Sets (`holds`) or takes back the condition. The reason is shown while it does not hold.
    pub fn set(&self, holds: bool, reason: impl Into<String>) {
        *locked(&self.0.problem) = (!holds).then(|| reason.into());
    }
}

impl Heartbeat {
    /// The loop went round once more.
    pub fn tick(&self) {
        *locked(&self.0.last) = Some(Instant::now());
    }
}

impl LatchState {
    fn problem(&self) -> Option<String> {
        let problem = locked(&self.problem);
        problem.as_ref().map(|reason| format!("{}: {reason}", self.name))
    }
}

impl Pulse {
    fn late(&self) -> Option<String> {
        match *locked(&self.last) {
            None => Some(format!("{}: has not started yet", self.name)),
            Some(last) => self.silent_longer_than(last, self.max_age),
        }
    }

    fn dead(&self) -> Option<String> {
        let since = locked(&self.last).unwrap_or(self.started);
        let limit = self.max_age.saturating_mul(DEAD_AFTER_TIMES).max(DEAD_AFTER_AT_LEAST);
        self.silent_longer_than(since, limit)
    }

    fn silent_longer_than(&self, since: Instant, limit: Duration) -> Option<String> {
        let silent = since.elapsed();
        (silent > limit)
            .then(|| format!("{}: silent for {} s, expected every {:?}", self.name, silent.as_secs(), self.max_age))
    }
}

fn none(problems: Vec<String>) -> Result<(), Vec<String>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The values behind these locks are whole after every statement, so a panic elsewhere does not spoil them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
