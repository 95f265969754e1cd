//! A view on the state of one source, and where views come from.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::reading::{Counts, State, Trouble, Verdict};
use crate::trigger::Source;

/// How long a request waits for the first reading. KEDA sets no deadline of its own and must have an answer
/// within 1.5 s.
pub const PATIENCE: Duration = Duration::from_millis(1200);

/// Where the readings of sources come from.
pub trait Readings: Send + Sync + 'static {
    /// A view on `source`, which is watched from now on. Never waits.
    fn feed(&self, source: &Source) -> Result<Feed, Trouble>;
}

/// A view on one source; while it exists the source is watched.
#[derive(Debug)]
pub struct Feed {
    states: watch::Receiver<State>,
}

impl Feed {
    /// A view on the states that arrive at `states`.
    pub fn new(states: watch::Receiver<State>) -> Self {
        Self { states }
    }

    /// What is known now, without waiting.
    pub fn verdict(&self) -> Verdict {
        self.states.borrow().verdict(Instant::now().into_std())
    }

    /// The numbers; waits up to [`PATIENCE`] while nothing is known, not when an error is.
    pub async fn counts(&mut self) -> Result<Counts, Trouble> {
        match timeout(PATIENCE, self.decided()).await {
            Ok(Verdict::Known(counts)) => Ok(counts),
            Ok(Verdict::Failed(trouble)) => Err(trouble),
            Ok(Verdict::Unknown) | Err(_) => {
                Err(Trouble::Unavailable("no reading from Redis in time; is it overloaded or failing over?".to_owned()))
            }
        }
    }

    async fn decided(&mut self) -> Verdict {
        loop {
            let verdict = self.verdict();
            if verdict != Verdict::Unknown || self.changed().await.is_err() {
                return verdict;
            }
        }
    }

    /// Waits for the next attempt's outcome; an error once the source is no longer watched.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.states.changed().await
    }
}
