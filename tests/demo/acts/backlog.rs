//! Alerts come faster than they are worked off; the scaler tells KEDA.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::alerts::burst;
use line_tests::eventually_ok;
use line_tests::keda::{Keda, ScaledObject};

use super::Demo;
use crate::alertmanager::notify;
use crate::ledger::Phase;
use line_tests::screen::heading;

const NOTIFICATIONS: u64 = 6;
const ALERTS: u64 = 10;
/// What the agent does for each.
const ORDER: &str = "slow 0.5";

pub(super) async fn play(demo: &mut Demo<'_>) -> Result<()> {
    heading("1. Alerts come in a burst, KEDA asks the scaler")?;
    let keda = Watcher::connect(&demo.stage.scaler.grpc).await?;
    let before = keda.look().await?;
    demo.screen.say(&format!("scaler: {}", keda.words(before)))?;
    ensure!(before == Look { active: false, backlog: 0 }, "the scaler sees work before there is any");

    let (mut stream, mut slowest) = (0, Duration::ZERO);
    for _ in 0..NOTIFICATIONS {
        let alerts = burst(demo.ledger.next_number(), ALERTS, ORDER);
        let answered = notify(&demo.stage.hook.http, &alerts, demo.patience).await;
        demo.ledger.add(Phase::Backlog, alerts, answered.is_ok());
        let answered = answered?;
        (stream, slowest) = (stream + answered.counts.stream, slowest.max(answered.took));
    }
    demo.screen.say(&format!(
        "{NOTIFICATIONS} notifications with {ALERTS} alerts each are answered 200, the slowest after {} ms; {stream} are on the stream",
        slowest.as_millis(),
    ))?;
    ensure!(stream == NOTIFICATIONS * ALERTS, "only {stream} came onto the stream");
    let highest = keda.until_done(demo).await?;
    demo.drained().await?;
    demo.all_ran(Phase::Backlog).await?;
    demo.screen.good(&format!("KEDA saw a backlog of up to {highest}, then none: every incident has run"))
}

/// KEDA, asking.
struct Watcher {
    keda: Keda,
    object: ScaledObject,
    metric: String,
    /// Backlog per worker.
    target: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    active: bool,
    backlog: u64,
}

impl Watcher {
    async fn connect(scaler: &str) -> Result<Self> {
        let (keda, object) = (Keda::connect(scaler).await?, ScaledObject::with_metadata(&[]));
        let spec = keda.metric_specs(&object).await?.into_iter().next().context("the scaler names no metric")?;
        Ok(Self { keda, object, metric: spec.metric_name, target: u64::try_from(spec.target_size)?.max(1) })
    }

    async fn look(&self) -> Result<Look> {
        let active = self.keda.is_active(&self.object).await?;
        let values = self.keda.metrics(&self.object, &self.metric).await?;
        let value = values.first().context("the scaler gives no value")?;
        Ok(Look { active, backlog: u64::try_from(value.metric_value)? })
    }

    fn words(&self, look: Look) -> String {
        let active = if look.active { "active" } else { "not active" };
        let workers = look.backlog.div_ceil(self.target);
        let plural = if workers == 1 { "" } else { "s" };
        format!("{active}, backlog {}: KEDA would run {workers} worker{plural}", look.backlog)
    }

    /// Says what changes until a backlog was seen and is gone; gives the highest.
    async fn until_done(&self, demo: &Demo<'_>) -> Result<u64> {
        let (mut last, mut highest) = (None, 0);
        eventually_ok("the scaler to show a backlog and its end", demo.patience, async || {
            let look = self.look().await?;
            if last.replace(look) != Some(look) && (look.backlog > 0 || highest > 0) {
                demo.screen.say(&format!("scaler: {}", self.words(look)))?;
            }
            if look.active {
                highest = highest.max(look.backlog);
            }
            ensure!(highest > 0, "the scaler has shown no backlog");
            let (backlog, workers) = (look.backlog, demo.stage.workers.len());
            ensure!(!look.active && backlog == 0, "there is still a backlog of {backlog}, with {workers} workers");
            Ok(highest)
        })
        .await
    }
}
