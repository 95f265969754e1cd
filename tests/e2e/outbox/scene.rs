//! A hook with a file, one Redis, one agent, one worker.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::alerts::{self, Alert};
use line_tests::line::{Books, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};
use serde_json::Value;
use tempfile::TempDir;

pub(super) const PATIENCE: Duration = Duration::from_secs(40);

pub(super) const LEASE: Duration = Duration::from_secs(3);

const FILE: &str = "outbox.redb";

pub(super) struct Scene {
    pub(super) redis: Redis,
    pub(super) agent: Agent,
    pub(super) settings: Settings,
    pub(super) hook: Member,
    folder: TempDir,
}

impl Scene {
    pub(super) async fn open() -> Result<Self> {
        Self::with(AgentKind::V10, |settings| settings).await
    }

    pub(super) async fn with(kind: AgentKind, change: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        // No snapshot but by order: a kill then loses everything since.
        let options = RedisOptions { config: vec!["save \"\"".into()], ..RedisOptions::default() };
        let redis = Redis::start(options).await?;
        let agent = Agent::start(kind, AgentOptions::default()).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(FILE);
        let settings = Settings::of_redis(&redis.address())
            .agents_at(&agent.url())
            .with("OUTBOX_PATH", file.to_string_lossy())
            .with("OUTBOX_ROUND", "1s")
            .with("MIN_IDLE_MS", LEASE.as_millis().to_string())
            .many_runs();
        let settings = change(settings);
        let hook = Member::dispatcher("hook", &settings).await?;
        Ok(Self { redis, agent, settings, hook, folder })
    }

    /// Where the outbox is.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    pub(super) async fn worker(&self) -> Result<Member> {
        Member::dispatcher("work", &self.settings).await
    }

    pub(super) async fn books(&self) -> Result<Books> {
        Books::at(&self.redis.address()).await
    }

    /// A hook that was killed starts again on the same file.
    pub(super) async fn kill_hook(&mut self) -> Result<()> {
        self.hook.program.kill9().await?;
        self.hook = Member::dispatcher("hook", &self.settings).await?;
        Ok(())
    }

    pub(super) async fn post(&self, alerts: &[Alert]) -> Result<Value> {
        let (status, answer) = alerts::post(&self.hook.http, alerts).await?;
        ensure!(status == 200, "{status} {answer}");
        Ok(answer)
    }

    /// Waits until each of so many messages has run, and says so if one has run twice.
    pub(super) async fn ran(&self, count: usize) -> Result<()> {
        eventually_ok("the runs", PATIENCE, async || {
            let runs = self.agent.runs()?;
            ensure!(runs.len() == count, "{} of {count} ran", runs.len());
            Ok(())
        })
        .await?;
        self.once()
    }

    pub(super) fn once(&self) -> Result<()> {
        let runs = self.agent.runs()?;
        ensure!(runs.values().all(|count| *count == 1), "ran twice: {runs:?}");
        Ok(())
    }

    /// Waits until nothing is open in the outbox.
    pub(super) async fn closed(&self) -> Result<()> {
        eventually_ok("everything to have ended", PATIENCE, async || {
            let open = self.hook.metric("outbox_open", "").await?;
            ensure!(open < 0.5, "{open} are open");
            Ok(())
        })
        .await
    }
}
