//! Running the command, and reading what it found.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, DATABASE};
use line_tests::{Agent, AgentKind, AgentOptions, Program, Redis, RedisOptions};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// In every password and token of these tests: it may stand nowhere in the output.
pub(crate) const MARKER: &str = "marker-of-a-secret";

/// What a server needs so that nothing is found about it.
pub(crate) fn good() -> Vec<String> {
    let lines = ["maxmemory 200mb", "maxmemory-policy noeviction", "appendfsync everysec"];
    lines.map(str::to_owned).to_vec()
}

/// A server that nothing is found about, but for these lines.
pub(crate) async fn server(lines: &[&str]) -> Result<Redis> {
    let config = good().into_iter().chain(lines.iter().map(|line| (*line).to_owned())).collect();
    Redis::start(RedisOptions { config, ..RedisOptions::default() }).await
}

pub(crate) async fn agent() -> Result<Agent> {
    Agent::start(AgentKind::V10, AgentOptions::default()).await
}

/// Settings for one server and one agent.
pub(crate) fn settings(redis: &Redis, agent: &Agent) -> Vec<(&'static str, String)> {
    let redis = ("REDIS_URL", format!("redis://{}/{DATABASE}", redis.address()));
    std::iter::once(redis).chain(without_redis(agent)).collect()
}

/// Settings for one agent, with an outbox that no test has open.
pub(crate) fn without_redis(agent: &Agent) -> Vec<(&'static str, String)> {
    let outbox = concat!(env!("CARGO_TARGET_TMPDIR"), "/check-outbox.redb").to_owned();
    vec![("KAGENT_A2A_URL", format!("{}/?agent={{agent}}", agent.url())), ("OUTBOX_PATH", outbox)]
}

pub(crate) async fn books(redis: &Redis) -> Result<Books> {
    Books::at(&redis.address()).await
}

/// What the command left behind.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn document(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{self:?}"))
    }

    /// The findings as level, id, and text with fix.
    pub(crate) fn findings(&self) -> Result<Vec<(String, String, String)>> {
        let document = self.document()?;
        let rows = document.get("findings").and_then(Value::as_array).context("no findings")?;
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let both = |row: &Value| format!("{} | {}", text(row, "text"), text(row, "fix"));
        Ok(rows.iter().map(|row| (text(row, "level"), text(row, "id"), both(row))).collect())
    }

    /// Fails unless there is such a finding, with these words in its text or fix.
    pub(crate) fn expect(&self, level: &str, id: &str, words: &[&str]) -> Result<()> {
        let findings = self.findings()?;
        let found = findings
            .iter()
            .any(|(is, of, text)| is == level && of == id && words.iter().all(|word| text.contains(word)));
        ensure!(found, "no {level} {id} with {words:?}: {findings:#?}");
        Ok(())
    }

    /// The ids of all findings that are not as they should be. How quick this machine is says nothing about the program.
    pub(crate) fn amiss(&self) -> Result<Vec<String>> {
        let bad = |level: &str, id: &str| matches!(level, "warning" | "problem") && !matches!(id, "latency" | "fsync");
        Ok(self.findings()?.into_iter().filter(|(level, id, _)| bad(level, id)).map(|(_, id, _)| id).collect())
    }
}

/// The command with exactly these settings.
pub(crate) async fn check(arguments: &[&str], settings: &[(&str, String)]) -> Result<Said> {
    let arguments: Vec<&str> = std::iter::once("check").chain(arguments.iter().copied()).collect();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut program = Program::start("stream-dispatcher", &arguments, &settings)?;
    let code = program.exit_code(PATIENCE).await?;
    let said = Said { code, out: program.output(), err: program.log() };
    ensure!(!said.out.contains(MARKER) && !said.err.contains(MARKER), "a secret is shown: {said:?}");
    ensure!(!said.err.contains("panicked"), "{said:?}");
    Ok(said)
}

/// `-o json`.
pub(crate) async fn json(settings: &[(&str, String)]) -> Result<Said> {
    check(&["-o", "json"], settings).await
}
