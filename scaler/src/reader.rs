//! Reads one source: the numbers of a moment, and what the instruments show of them.

use redis_stream::backlog::Counter;
use redis_stream::connection::Session;
use redis_stream::error::Error;

use crate::metrics::{EntriesGauge, Metrics};
use crate::reading::Counts;
use crate::trigger::Source;

/// Kept by a sampler: it remembers what makes the next reading cheap.
pub(crate) struct SourceReader {
    counter: Counter,
    metrics: Metrics,
    entries: EntriesGauge,
}

impl SourceReader {
    pub(crate) fn new(source: &Source, metrics: &Metrics) -> Self {
        Self {
            counter: Counter::new(&source.stream, &source.group),
            metrics: metrics.clone(),
            entries: metrics.entries(),
        }
    }

    /// Takes a reading. May be cut off: the next one is right all the same.
    pub(crate) async fn read(&mut self, session: &Session) -> Result<Counts, Error> {
        let backlog = self.counter.read(session).await?;
        self.metrics.lag(&backlog.lag);
        let counts = Counts::from(&backlog);
        self.entries.show(&counts);
        Ok(counts)
    }
}
