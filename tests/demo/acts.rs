//! What the demo shows, one act after the other; each fails when it did not see what it is to show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::Books;
use line_tests::{Execution, eventually_ok};

use crate::alertmanager::repeat;
use crate::ledger::{Ledger, Phase};
use crate::stage::Stage;
use line_tests::screen::Screen;

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
        self.ledger.add_direct(phase, counts.direct);
        self.ledger.add_forgotten(phase, counts.accepted);
        let (all, forgotten) = (alerts.len(), counts.accepted);
        if forgotten == 0 {
            self.screen.say(&format!("Alertmanager repeats all {all}: all are known"))?;
        } else {
            self.screen.say(&format!(
                "Alertmanager repeats all {all}: {forgotten} went down with the old master, {missing} of them before they ran; \
                 the workers ask the agent about each"
            ))?;
        }
        self.drained().await?;
        self.all_ran(phase).await?;
        self.ledger.add_healed(phase, missing);
        Ok(())
    }

    /// The end of every log, for a failure.
    pub(crate) fn last_words(&self) -> String {
        let Stage { scaler, hook, workers, .. } = &self.stage;
        let named = [("scaler", scaler), ("hook", hook)].into_iter().chain(workers.iter().map(|one| ("worker", one)));
        named.fold(String::new(), |text, (name, member)| {
            format!("{text}--- {name}, the end of its log:\n{}\n", member.program.tail())
        })
    }
}
