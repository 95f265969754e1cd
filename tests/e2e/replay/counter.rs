//! An operator in front of a Redis with some incidents in it.

use std::time::Duration;

use anyhow::{Context, Result};
use line_tests::line::{Books, DATABASE, DEAD, GROUP, STREAM};
use line_tests::{Program, Redis, RedisOptions};
use serde_json::Value;

pub(crate) const PARKED: &str = "incident:events:parked";
pub(crate) const WAITING: &str = "incident:events:waiting:kagent:triage-agent";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Counter {
    pub(crate) redis: Redis,
    pub(crate) books: Books,
    pub(crate) agents: String,
    pub(crate) lease: &'static str,
}

/// What a command left behind.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The lines of `-o json`.
    pub(crate) fn rows(&self) -> Result<Vec<Value>> {
        self.out.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// One field of all rows.
    pub(crate) fn column(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.rows()?.iter().map(|row| row[name].as_str().unwrap_or("(none)").to_owned()).collect())
    }

    /// The summary.
    pub(crate) fn last(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

impl Counter {
    pub(crate) async fn open() -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let mut books = Books::at(&redis.address()).await?;
        books.0.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
        let agents = "http://127.0.0.1:9/?agent={agent}".to_owned();
        Ok(Self { redis, books, agents, lease: "30000" })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/{DATABASE}", self.redis.address())
    }

    /// `stream-dispatcher replay ARGUMENTS`.
    pub(crate) async fn replay(&self, arguments: &[&str]) -> Result<Said> {
        let url = self.url();
        let settings = [("REDIS_URL", &*url), ("KAGENT_A2A_URL", &*self.agents), ("MIN_IDLE_MS", self.lease)];
        run(arguments, &settings).await
    }

    /// Reads the next entry as a worker that then says nothing more.
    pub(crate) async fn ghost_reads(&mut self) -> Result<()> {
        let words = ["XREADGROUP", "GROUP", GROUP, "ghost", "COUNT", "1", "STREAMS", STREAM, ">"];
        self.books.0.cmd(&words).await.map(drop)
    }

    /// An entry that the ghost holds, delivered so often.
    pub(crate) async fn held(&mut self, workflow_id: &str, order: &str, deliveries: &str) -> Result<String> {
        let id = self.books.order(workflow_id, order).await?;
        self.ghost_reads().await?;
        let words = ["XCLAIM", STREAM, GROUP, "ghost", "0", &id, "IDLE", "0", "RETRYCOUNT", deliveries, "JUSTID"];
        self.books.0.cmd(&words).await?;
        Ok(id)
    }

    /// A waiting entry.
    pub(crate) async fn waiting(&mut self, workflow_id: &str) -> Result<String> {
        self.books.0.cmd(&["SADD", "incident:events:waiting", WAITING]).await?;
        let fields = [("workflow_id", workflow_id), ("agent_target", "triage-agent"), ("text", "hello")];
        self.books.add(WAITING, &fields).await
    }

    /// A dead letter or parked copy; `text` is what its run would be about.
    pub(crate) async fn copy(&mut self, stream: &str, workflow_id: &str, text: &str, reason: &str) -> Result<String> {
        let fields = [
            ("workflow_id", workflow_id),
            ("step", "investigation"),
            ("agent_target", "triage-agent"),
            ("text", text),
            ("alertname", "HighCPU"),
            ("error", "it went wrong"),
            ("original_id", "5-1"),
            ("failed_at", "1700000000"),
            ("reason", reason),
            ("attempts", "2"),
            ("task_id", ""),
            ("context_id", "c-1"),
        ];
        self.books.add(stream, &fields).await
    }

    /// A dead letter.
    pub(crate) async fn dead(&mut self, workflow_id: &str) -> Result<String> {
        self.copy(DEAD, workflow_id, "hello", "failed").await
    }

    /// Who holds an entry; `None`: it is not pending.
    pub(crate) async fn holder(&mut self, id: &str) -> Result<Option<String>> {
        let rows = self.books.0.cmd(&["XPENDING", STREAM, GROUP, id, id, "1"]).await?;
        let Some(row) = rows.items()?.first() else { return Ok(None) };
        Ok(Some(row.items()?.get(1).context("a row without a consumer")?.text()?.to_owned()))
    }
}

/// The command with exactly these settings.
pub(crate) async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Result<Said> {
    let arguments: Vec<&str> = std::iter::once("replay").chain(arguments.iter().copied()).collect();
    let mut program = Program::start("stream-dispatcher", &arguments, settings)?;
    let code = program.exit_code(PATIENCE).await?;
    Ok(Said { code, out: program.output(), err: program.log() })
}
