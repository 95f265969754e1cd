//! Says how the outbox is: readiness and gauges.

use std::sync::Arc;
use std::time::Duration;

use daemon::{Latch, Lifecycle};

use super::Outbox;
use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(1);

/// Runs until the soft stop.
pub async fn run(outbox: Arc<Outbox>, ready: Latch, metrics: Metrics, life: Lifecycle) {
    let mut trouble = outbox.trouble();
    loop {
        let error = trouble.borrow_and_update().clone();
        ready.set(error.is_none(), error.map(|error| error.to_string()).unwrap_or_default());
        metrics.outbox(outbox.counts());
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = trouble.changed() => {}
            () = life.soft().cancelled() => return,
        }
    }
}
