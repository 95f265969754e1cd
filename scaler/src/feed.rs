//! A view on the state of one source, and where views come from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::events::Listening;
use crate::reading::{Activity, Counts, State, Trouble, Verdict};
use crate::trigger::{Source, Trigger};

/// How long a request waits for the first reading. KEDA sets no deadline of its own and must have an answer
/// within 1.5 s.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// KEDA asks for the number and at once afterwards whether it is active: within this time both answers come from one
/// reading.
pub const TOGETHER: Duration = Duration::from_millis(100);

/// Where the readings of sources come from.
pub trait Readings: Send + Sync + 'static {
    /// A view on `source`, which is watched from now on. Never waits.
    fn feed(&self, source: &Source) -> Result<Feed, Trouble>;

    /// The same, and new entries are noticed when they come for as long as the view exists.
    fn prompt_feed(&self, source: &Source) -> Result<Feed, Trouble>;
}

/// What a source's number was last answered from. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Answered(Arc<Mutex<Option<(Instant, State)>>>);

impl Answered {
    fn note(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), state));
    }

    /// The numbers that were answered a moment ago, where they still hold.
    fn counts(&self) -> Option<Counts> {
        let answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, state) = answered.as_ref().filter(|(at, _)| at.elapsed() <= TOGETHER)?;
        match state.verdict(Instant::now().into_std()) {
            Verdict::Known(counts) => Some(counts),
            Verdict::Failed(_) | Verdict::Unknown => None,
        }
    }
}

/// A view on one source; while it exists the source is watched.
#[derive(Debug)]
pub struct Feed {
    states: watch::Receiver<State>,
    answered: Answered,
    _listening: Option<Arc<Listening>>,
}

impl Feed {
    /// A view on the states that arrive at `states`; what they are `answered` from is shared by a source's views.
    pub fn new(states: watch::Receiver<State>, answered: Answered) -> Self {
        Self { states, answered, _listening: None }
    }

    /// The same view, which holds on to `listening`.
    pub(crate) fn prompt(self, listening: Arc<Listening>) -> Self {
        Self { _listening: Some(listening), ..self }
    }

    /// Whether there is work for `trigger` now, without waiting.
    pub fn activity(&self, trigger: &Trigger) -> Activity {
        self.states.borrow().activity(trigger, Instant::now().into_std())
    }

    fn look(&self) -> (State, Verdict) {
        let state = self.states.borrow().clone();
        let verdict = state.verdict(Instant::now().into_std());
        (state, verdict)
    }

    /// The numbers; waits up to [`PATIENCE`] while nothing is known, not when an error is.
    pub async fn counts(&mut self) -> Result<Counts, Trouble> {
        let (state, counts) = self.known().await?;
        self.answered.note(state);
        Ok(counts)
    }

    /// The numbers that [`Feed::counts`] of any view gave a moment ago, else the present ones.
    pub async fn same_counts(&mut self) -> Result<Counts, Trouble> {
        match self.answered.counts() {
            Some(counts) => Ok(counts),
            None => self.known().await.map(|(_, counts)| counts),
        }
    }

    async fn known(&mut self) -> Result<(State, Counts), Trouble> {
        match timeout(PATIENCE, self.decided()).await {
            Ok((state, Verdict::Known(counts))) => Ok((state, counts)),
            Ok((_, Verdict::Failed(trouble))) => Err(trouble),
            Ok((_, Verdict::Unknown)) | Err(_) => {
                Err(Trouble::Unavailable("no reading from Redis in time; is it overloaded or failing over?".to_owned()))
            }
        }
    }

    async fn decided(&mut self) -> (State, Verdict) {
        loop {
            let seen = self.look();
            if seen.1 != Verdict::Unknown || self.changed().await.is_err() {
                return seen;
            }
        }
    }

    /// Waits until something else is known than before; an error once the source is no longer watched.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.states.changed().await
    }
}
