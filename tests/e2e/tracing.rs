//! One trace from the sender of an alert to the agent, and none of the texts in a log.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::alerts::{self, Alert};
use line_tests::line::{Books, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The trace id of a `traceparent`.
fn trace_of(parent: &str) -> Result<&str> {
    parent.split('-').nth(1).context("no trace id")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_trace_reaches_the_agent_and_its_texts_reach_no_log() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address())
        .agents_at(&agent.url())
        .with("INTERNAL_A2A_BEARER_TOKEN", "top-secret-token")
        .with("A2A_USER_ID", "night-shift");
    let hook = Member::dispatcher("hook", &settings).await?;
    let worker = Member::dispatcher("work", &settings).await?;

    let mut alert = Alert::firing(1, "echo");
    alert.labels.push(("token".into(), "hunter2".into()));
    let body = alerts::webhook(&[alert]);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let sent = reqwest::Client::builder()
        .build()?
        .post(format!("{}/webhook/alertmanager", hook.http))
        .header("content-type", "application/json")
        .header("traceparent", &parent)
        .header("tracestate", "vendor=1")
        .body(body.to_string())
        .send()
        .await?;
    ensure!(sent.status().as_u16() == 200);
    let mut books = Books::at(&redis.address()).await?;
    eventually_ok("the run", PATIENCE, async || {
        ensure!(agent.executions().await?.len() == 1);
        books.is_drained().await
    })
    .await?;

    let entry = books.column(STREAM, "traceparent").await?.concat();
    ensure!(trace_of(&entry)? == TRACE && entry != parent, "a span of its own in the sender's trace: {entry}");
    ensure!(books.column(STREAM, "tracestate").await? == ["vendor=1"]);
    let requests = agent.requests().await?;
    ensure!(!requests.is_empty());
    for request in &requests {
        let header = |name: &str| request.pointer(&format!("/headers/{name}")).and_then(|value| value.as_str());
        ensure!(trace_of(header("traceparent").context("no traceparent")?)? == TRACE, "{request}");
        ensure!(
            header("authorization") == Some("Bearer top-secret-token") && header("x-user-id") == Some("night-shift")
        );
        ensure!(header("a2a-version") == Some("1.0"), "{request}");
    }
    for log in [hook.program.log(), worker.program.log()] {
        for secret in ["top-secret-token", "hunter2", "test alert"] {
            ensure!(!log.contains(secret), "{secret} in a log:\n{log}");
        }
    }
    Ok(())
}
