//! What the demo shows, one act after the other; each fails when it did not see what it is to show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::Books;
use line_tests::{Execution, eventually_ok};

use crate::alertmanager::repeat;
use crate::ledger::{Ledger, Phase};
use crate::screen::Screen;
use crate::stage::Stage;

mod backlog;
mod failover;
mod outage;

/// The stage and what is known of the play.
pub(crate) struct Demo<'a> {
    pub(crate) stage: Stage,
    pub(crate) ledger: Ledger,
    /// From the new master's first write to the first dispatch of a new incident.
    pub(crate) gap: Option<Duration>,
    screen: &'a Screen,
    patience: Duration,
}

/// All acts.
pub(crate) async fn play(demo: &mut Demo<'_>) -> Result<()> {
    backlog::play(demo).await.context("the backlog")?;
    failover::play(demo).await.context("the failover")?;
    outage::play(demo).await.context("the outage")
}

impl<'a> Demo<'a> {
    pub(crate) fn new(stage: Stage, screen: &'a Screen, patience: Duration) -> Self {
        Self { stage, ledger: Ledger::default(), gap: None, screen, patience }
    }

    fn executions(&self) -> Result<Vec<Execution>> {
        self.stage.agent.executions_from_log()
    }

    /// A look into Redis, wherever the master is now.
    async fn books(&self) -> Result<Books> {
        Books::at(&self.stage.trio.master_address().await?).await
    }

    /// Waits until nothing is unread or pending.
    async fn drained(&self) -> Result<()> {
        eventually_ok("the stream to be worked off", self.patience, async || self.books().await?.is_drained().await)
            .await
            .with_context(|| self.last_words())
    }

    /// Waits until the agent's log has every incident of a phase that was answered with 200.
    async fn all_ran(&self, phase: Phase) -> Result<()> {
        eventually_ok("every incident to run", self.patience, async || {
            let missing = self.ledger.missing(phase, &self.executions()?);
            ensure!(missing == 0, "{missing} have not run");
            Ok(())
        })
        .await
    }

    /// Once worked off: Alertmanager repeats what still fires. That brings back what Redis forgot, and
    /// adds nothing otherwise.
    async fn repeat(&mut self, phase: Phase) -> Result<()> {
        self.drained().await?;
        let missing = self.ledger.missing(phase, &self.executions()?);
        let alerts = self.ledger.alerts(phase);
        let counts = repeat(&self.stage.hook.http, &alerts, self.patience).await?;
        self.ledger.add_healed(phase, counts.accepted);
        self.ledger.add_direct(phase, counts.direct);
        self.screen.say(&format!(
            "Redis had lost {missing} accepted incidents; Alertmanager repeats all {}: {} known, {} brought back",
            alerts.len(),
            counts.duplicate,
            counts.accepted,
        ))?;
        self.drained().await?;
        self.all_ran(phase).await
    }

    /// The end of every worker's log, for a failure.
    fn last_words(&self) -> String {
        let workers = self.stage.workers.iter();
        let logs: Vec<_> = workers.map(|worker| format!("a worker's log ends:\n{}", worker.program.tail())).collect();
        if logs.is_empty() { "no worker runs".to_owned() } else { logs.join("\n") }
    }
}
