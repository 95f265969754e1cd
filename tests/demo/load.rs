//! Alerts that keep coming, one notification each, whatever becomes of those before.

use std::time::Duration;

use anyhow::Result;
use line_tests::alerts::Alert;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::alertmanager::{Answered, notify};

/// Time between two alerts: less than the workers can do, so that what is measured is not a queue.
const EVERY: Duration = Duration::from_millis(25);

/// One alert of the load and what its notification came to.
pub(crate) type Posted = (Alert, Result<Answered>);

/// Posts until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Load {
    stop: CancellationToken,
    task: AbortOnDropHandle<Vec<Posted>>,
}

impl Load {
    /// Alerts with the numbers `first`, `first + 1`, ...
    pub(crate) fn start(hook: &str, first: u64, patience: Duration) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(post(hook.to_owned(), first, patience, stop.clone()));
        Self { stop, task: AbortOnDropHandle::new(task) }
    }

    /// No new alerts; waits for the answers to those that were posted.
    pub(crate) async fn stop(self) -> Result<Vec<Posted>> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

async fn post(hook: String, first: u64, patience: Duration, stop: CancellationToken) -> Vec<Posted> {
    let mut posts = JoinSet::new();
    let mut pace = interval(EVERY);
    for number in first.. {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = pace.tick() => {}
        }
        let (hook, alert) = (hook.clone(), Alert::firing(number, "echo"));
        posts.spawn(async move {
            let answered = notify(&hook, std::slice::from_ref(&alert), patience).await;
            (alert, answered)
        });
    }
    posts.join_all().await
}
