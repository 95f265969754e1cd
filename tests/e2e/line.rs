//! The line on a real Sentinel trio with real agents: every alert runs once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::ToSpan as _;
use line_tests::alerts::{self, Alert, burst};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Trio, TrioOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(120);

/// How often each message ran, by the agent's own log.
fn runs(agent: &Agent) -> Result<BTreeMap<String, usize>> {
    let mut runs = BTreeMap::new();
    for execution in agent.executions_from_log()? {
        *runs.entry(execution.message_id).or_default() += 1;
    }
    Ok(runs)
}

async fn drained(books: &mut Books) -> Result<()> {
    eventually_ok("the stream to be drained", PATIENCE, async || books.is_drained().await).await
}

async fn a_thousand_alerts(kind: AgentKind) -> Result<()> {
    let trio = Trio::start(TrioOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let settings = Settings::of_trio(&trio).agents_at(&agent.url()).with("DISPATCHER_WORKERS", "30");
    let hook = Member::dispatcher("hook", &settings).await?;
    let _workers = [Member::dispatcher("work", &settings).await?, Member::dispatcher("work", &settings).await?];
    let mut books = Books::at(&trio.master_address().await?).await?;

    let sent = burst(1, 1000, "echo");
    for group in sent.chunks(100) {
        let (status, answer) = alerts::post(&hook.http, group).await?;
        ensure!(status == 200 && answer["stream"] == 100 && answer["accepted"] == 100, "{status} {answer}");
    }
    drained(&mut books).await?;
    let runs = runs(&agent)?;
    ensure!(runs.len() == 1000 && runs.values().all(|count| *count == 1), "{} messages ran: {runs:?}", runs.len());
    ensure!(books.length(DEAD).await? == 0, "dead letters: {:?}", books.column(DEAD, "error").await?);
    ensure!(books.length(STREAM).await? == 1000);

    // The same webhook again, and from a second sender whose clock is a minute off, adds nothing.
    let moved: Vec<Alert> = sent
        .iter()
        .take(100)
        .map(|alert| Ok(Alert { starts_at: alert.starts_at.checked_add(1.minute())?, ..alert.clone() }))
        .collect::<Result<_>>()?;
    for group in [&sent[..100], &sent[..100], &moved] {
        let (status, answer) = alerts::post(&hook.http, group).await?;
        ensure!(status == 200 && answer["duplicate"] == 100 && answer["accepted"] == 0, "{status} {answer}");
    }
    ensure!(books.length(STREAM).await? == 1000);
    drained(&mut books).await?;
    ensure!(agent.executions_from_log()?.len() == 1000);
    ensure!(hook.metric("hook_alerts_total", r#"result="stream""#).await? == 1000.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_run_once_each_at_an_agent_of_version_0_3() -> Result<()> {
    a_thousand_alerts(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_run_once_each_at_an_agent_of_version_1_0() -> Result<()> {
    a_thousand_alerts(AgentKind::V10).await
}
