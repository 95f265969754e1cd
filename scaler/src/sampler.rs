//! One loop per source: takes a reading every [`TICK`], and at once when told of a new entry, whoever asks and however
//! often.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use daemon::Heartbeat;
use redis_stream::connection::{Link, Session};
use redis_stream::error::{Class, Error};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::reader::SourceReader;
use crate::reading::{Origin, Reading, State, Trouble, Verdict};
use crate::trigger::Source;

/// From the start of one reading to the start of the next.
pub const TICK: Duration = Duration::from_millis(400);

/// Longest wait for a connection to a master, and longest reading; with [`TICK`] a slow Redis still gives readings
/// that are fresh enough.
const DEADLINE: Duration = Duration::from_millis(900);

/// What a sampler needs.
pub(crate) struct Sampler {
    /// Which one of this process.
    pub(crate) number: u64,
    pub(crate) source: Source,
    pub(crate) link: Link,
    pub(crate) states: watch::Sender<State>,
    /// Rings when there is a new entry.
    pub(crate) bell: Arc<Notify>,
    pub(crate) metrics: Metrics,
    pub(crate) heartbeat: Heartbeat,
}

impl Sampler {
    /// Takes readings until `stop`, or until `unused` answers true to the number of views.
    pub(crate) async fn run(self, stop: CancellationToken, unused: impl Fn(&watch::Sender<State>) -> bool) {
        let mut reader = SourceReader::new(&self.source, &self.metrics);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Verdict::Unknown;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.bell.notified() => ticks.reset(),
                _ = ticks.tick() => {}
            }
            self.heartbeat.tick();
            if unused(&self.states) {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.sample(&mut reader) => self.publish(outcome, &mut told),
            }
        }
    }

    async fn sample(&self, reader: &mut SourceReader) -> Result<Reading, Error> {
        let session = self.link.session(DEADLINE).await?;
        let at = Instant::now().into_std();
        let counts = timeout(DEADLINE, reader.read(&session))
            .await
            .map_err(|_| Error::unanswered(format!("no reading within {} ms", DEADLINE.as_millis())))??;
        let node = session.address().to_string();
        Ok(Reading { at, origin: Arc::new(Taken { session, node }), counts })
    }

    /// Views are woken where something is different from what they were last `told`: thousands of push streams have
    /// nothing to do with every reading.
    fn publish(&self, outcome: Result<Reading, Error>, told: &mut Verdict) {
        self.metrics.sample();
        let outcome = outcome.map_err(|error| {
            self.metrics.sample_error(error.class());
            Trouble::from(error)
        });
        self.log_change(outcome.as_ref().err());
        self.states.send_if_modified(|state| {
            let now = Instant::now().into_std();
            let lapsed = !state.verdict(now).is_like(told);
            state.record(outcome);
            let verdict = state.verdict(now);
            let different = lapsed || !verdict.is_like(told);
            if different {
                *told = verdict;
            }
            different
        });
    }

    /// Says once that readings fail, or fail in another way, and once that they work again. What the source is called
    /// may come out of a Secret, so it has a number here.
    fn log_change(&self, trouble: Option<&Trouble>) {
        let before = self.states.borrow().trouble().map(discriminant);
        let source = self.number;
        match (before, trouble) {
            (before, Some(trouble)) if before != Some(discriminant(trouble)) => {
                tracing::warn!(source, %trouble, "no reading");
            }
            (Some(_), None) => tracing::info!(source, "reading again"),
            _ => {}
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error.class() {
            Class::Configuration => Self::Configuration(text),
            Class::Retry | Class::Reconnect | Class::NoGroup | Class::Fatal => Self::Unavailable(text),
        }
    }
}

/// A session, and what its server is called.
struct Taken {
    session: Session,
    node: String,
}

impl Origin for Taken {
    fn is_open(&self) -> bool {
        self.session.is_open()
    }

    fn node(&self) -> &str {
        &self.node
    }
}
