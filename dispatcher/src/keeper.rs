//! Housekeeping in Redis, by every process that has a Redis: two of them do no harm.
//!
//! [`trim`] shortens the stream, [`warm`] keeps what the line needs from eviction.

pub mod trim;
pub mod warm;

use std::sync::Arc;
use std::time::Duration;

use daemon::Lifecycle;
use redis_stream::connection::{Link, Session};
use redis_stream::error::Error;

use crate::dispatch::names::Names;
use crate::metrics::Metrics;

/// What the loops work on.
#[derive(Clone)]
pub struct Keeper {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// How long entries that were taken care of stay in the stream; absent: for ever.
    pub stream_keep: Option<Duration>,
    /// The instruments.
    pub metrics: Metrics,
}

/// Starts the loops; they run until the soft stop.
pub fn start(life: &Lifecycle, keeper: &Keeper) {
    if let Some(keep) = keeper.stream_keep {
        life.spawn("trimming", trim::run(keeper.clone(), keep, life.soft().clone()));
    }
    life.spawn("keeping warm", warm::run(keeper.clone(), life.soft().clone()));
}

impl Keeper {
    /// One round, as soon as there is a session; a series of failures is told once.
    async fn round(&self, what: &str, failing: &mut bool, round: impl AsyncFnOnce(Session) -> Result<(), Error>) {
        let Ok(session) = self.link.session(Duration::from_secs(60)).await else { return };
        match round(session).await {
            Ok(()) => *failing = false,
            Err(error) => {
                self.metrics.redis_error(error.class());
                if !std::mem::replace(failing, true) {
                    tracing::warn!(%error, "{what}");
                }
            }
        }
    }
}
