//! How Alertmanager behaves towards the hook: it posts, and posts again until the answer is 200.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use line_tests::alerts::{self, Alert};
use serde::Deserialize;
use tokio::time::{interval, timeout};

/// Time between two tries of one notification.
const AGAIN_EVERY: Duration = Duration::from_millis(250);
/// Alerts of one notification at most.
const GROUP: usize = 100;

/// The hook's counts; absent ones are zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    pub(crate) stream: u64,
    pub(crate) direct: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.stream += other.stream;
        self.direct += other.direct;
    }
}

/// What a notification came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When it was first posted.
    pub(crate) at: Instant,
    /// From then to the answer 200.
    pub(crate) took: Duration,
    /// Summed over all tries.
    pub(crate) counts: Counts,
}

/// Posts one notification until it is answered with 200.
pub(crate) async fn notify(hook: &str, alerts: &[Alert], patience: Duration) -> Result<Answered> {
    let at = Instant::now();
    let (mut counts, mut last) = (Counts::default(), anyhow!("no answer"));
    let tries = async {
        let mut pace = interval(AGAIN_EVERY);
        loop {
            pace.tick().await;
            match alerts::post(hook, alerts).await {
                Ok((status, answer)) => {
                    counts.add(Counts::deserialize(&answer).unwrap_or_default());
                    if status == 200 {
                        return;
                    }
                    last = anyhow!("the hook answered {status}: {answer}");
                }
                Err(error) => last = error,
            }
        }
    };
    let done = timeout(patience, tries).await;
    done.map_err(|_| last).with_context(|| format!("a notification was not taken within {patience:?}"))?;
    Ok(Answered { at, took: at.elapsed(), counts })
}

/// Posts all of these alerts once more, as Alertmanager repeats what still fires.
pub(crate) async fn repeat(hook: &str, alerts: &[Alert], patience: Duration) -> Result<Counts> {
    let mut counts = Counts::default();
    for group in alerts.chunks(GROUP) {
        counts.add(notify(hook, group, patience).await?.counts);
    }
    let seen = counts.accepted + counts.duplicate;
    ensure!(
        seen >= alerts.len() as u64,
        "the hook says nothing about {} alerts: {counts:?}",
        alerts.len() as u64 - seen
    );
    Ok(counts)
}
