//! Waiting for something to become true, with a limit. The only place that sleeps.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Calls `attempt` until it gives a value, for at most `patience`; the error says `what` was awaited.
///
/// An attempt that is still running when the patience ends is dropped.
pub async fn eventually<T>(
    what: impl Display,
    patience: Duration,
    attempt: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    eventually_every(LOOK_EVERY, what, patience, attempt).await
}

/// Like [`eventually`], with so much time between two looks: for looks that cost something.
pub async fn eventually_every<T>(
    every: Duration,
    what: impl Display,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() + every < deadline => sleep(every).await,
            Ok(None) | Err(_) => bail!("waited {patience:?} in vain for {what}"),
        }
    }
}

/// Like [`eventually`], for attempts that can say why they failed: the last reason is in the error.
pub async fn eventually_ok<T>(
    what: impl Display,
    patience: Duration,
    attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    eventually_ok_every(LOOK_EVERY, what, patience, attempt).await
}

/// Like [`eventually_ok`], with so much time between two looks.
pub async fn eventually_ok_every<T>(
    every: Duration,
    what: impl Display,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut last = None;
    let found = eventually_every(every, what, patience, async || match attempt().await {
        Ok(value) => Some(value),
        Err(reason) => {
            last = Some(reason);
            None
        }
    })
    .await;
    match (found, last) {
        (Err(waited), Some(reason)) => Err(reason.context(waited.to_string())),
        (found, _) => found,
    }
}
