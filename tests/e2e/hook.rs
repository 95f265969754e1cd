//! What the hook answers, and what it keeps running without Redis.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::alerts::{self, Alert, burst, count, post_body, webhook};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a raw request to the webhook.
async fn send(
    hook: &Member,
    method: Method,
    content_type: Option<&str>,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<u16> {
    let url = format!("{}/webhook/alertmanager", hook.http);
    let mut request = reqwest::Client::builder().build()?.request(method, url).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_webhooks_are_refused_by_kind() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let settings =
        Settings::of_redis(&redis.address()).with("WEBHOOK_BEARER_TOKEN", "right").with("WEBHOOK_MAX_BODY", "100kB");
    let hook = Member::dispatcher("hook", &settings).await?;
    let good = webhook(&burst(1, 1, "echo")).to_string().into_bytes();
    let json = Some("application/json");
    let old = json!({"version": "3", "alerts": []}).to_string().into_bytes();
    let rows = [
        (Method::GET, json, Some("right"), good.clone(), 405),
        (Method::POST, json, None, good.clone(), 401),
        (Method::POST, json, Some("wrong"), good.clone(), 401),
        (Method::POST, Some("text/plain"), Some("right"), good.clone(), 415),
        (Method::POST, None, Some("right"), good.clone(), 415),
        (Method::POST, json, Some("right"), vec![b' '; 100_001], 413),
        (Method::POST, json, Some("right"), b"{".to_vec(), 400),
        (Method::POST, json, Some("right"), b"[]".to_vec(), 400),
        (Method::POST, json, Some("right"), old, 400),
        (Method::POST, json, Some("right"), b"\xff\xfe".to_vec(), 400),
        (Method::POST, json, Some("right"), "[".repeat(50_000).into_bytes(), 400),
        (Method::POST, Some("application/json; charset=utf-8"), Some("right"), good, 200),
    ];
    for (number, (method, content_type, token, body, expected)) in rows.into_iter().enumerate() {
        let status = send(&hook, method, content_type, token, body).await?;
        ensure!(status == expected, "row {number}: {status} instead of {expected}");
    }
    ensure!(Books::at(&redis.address()).await?.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_filtered_and_unreadable_ones_do_not_stop_their_neighbours() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let hook = Member::dispatcher("hook", &Settings::of_redis(&redis.address())).await?;
    let mut books = Books::at(&redis.address()).await?;
    let warning = Alert { severity: "warning".into(), ..Alert::firing(2, "echo") };
    let mut body = webhook(&[Alert::firing(1, "echo"), warning, Alert::firing(3, "echo").resolved()]);
    if let Some(Value::Array(alerts)) = body.get_mut("alerts") {
        alerts.push(json!({"status": "firing", "labels": {"severity": "critical"}}));
        alerts.push(json!("not an alert"));
    }
    for (accepted, duplicate) in [(1, 0), (0, 1), (0, 1)] {
        let (status, answer) = post_body(&hook.http, &body, None).await?;
        ensure!(status == 200 && answer.get("status") == Some(&json!("accepted")), "{answer}");
        ensure!(count(&answer, "accepted") == accepted && count(&answer, "stream") == accepted, "{answer}");
        ensure!(count(&answer, "duplicate") == duplicate && count(&answer, "ignored") == 2, "{answer}");
        ensure!(count(&answer, "undecodable") == 2 && count(&answer, "outbox") == 0, "{answer}");
    }
    ensure!(books.length(STREAM).await? == 1);
    ensure!(books.column(DEAD, "reason").await? == ["undecodable", "undecodable"], "each once, however often repeated");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_episode_is_a_new_incident_and_a_moved_start_is_not() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let hook = Member::dispatcher("hook", &Settings::of_redis(&redis.address())).await?;
    let start = jiff::Timestamp::now();
    let at = |minutes: i64| -> Result<Alert> {
        Ok(Alert {
            starts_at: start.checked_add(jiff::SignedDuration::from_mins(minutes))?,
            ..Alert::firing(1, "echo")
        })
    };
    let expect = async |alert: Alert, accepted: u64| -> Result<()> {
        let (status, answer) = alerts::post(&hook.http, &[alert]).await?;
        ensure!(status == 200 && count(&answer, "accepted") == accepted, "{answer}");
        Ok(())
    };
    expect(at(0)?, 1).await?;
    expect(at(4)?, 0).await?;
    expect(at(-4)?, 0).await?;
    expect(at(6)?, 1).await?;
    // Over, and on again within the slack: another episode, since the first one has ended.
    expect(at(6)?.resolved(), 0).await?;
    expect(at(8)?, 1).await?;
    expect(at(8)?, 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_alerts_in_one_webhook() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let hook = Member::dispatcher("hook", &Settings::of_redis(&redis.address())).await?;
    let (status, answer) = alerts::post(&hook.http, &burst(1, 10_000, "echo")).await?;
    ensure!(status == 200 && count(&answer, "stream") == 10_000, "{status} {answer}");
    ensure!(Books::at(&redis.address()).await?.length(STREAM).await? == 10_000);
    Ok(())
}

async fn without_redis(command: &str) -> Result<()> {
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let hook = Member::dispatcher(command, &Settings::default().agents_at(&agent.url())).await?;
    let sent = burst(1, 3, "echo");
    for (accepted, duplicate) in [(3, 0), (0, 3)] {
        let (status, answer) = alerts::post(&hook.http, &sent).await?;
        ensure!(status == 200 && count(&answer, "direct") == accepted, "{answer}");
        ensure!(count(&answer, "duplicate") == duplicate, "{answer}");
    }
    ensure!(agent.executions().await?.len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_without_any_redis_dispatches_directly() -> Result<()> {
    without_redis("hook").await
}

#[tokio::test(flavor = "multi_thread")]
async fn run_without_any_redis_dispatches_directly() -> Result<()> {
    without_redis("run").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_send_whose_answer_was_lost_is_found_at_the_agent_and_not_made_again() -> Result<()> {
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let hook = Member::dispatcher("hook", &Settings::default().agents_at(&agent.url())).await?;
    let sent = burst(1, 1, "echo");
    agent.fault(json!({"mode": "drop_after", "count": 1, "onlyRpc": ["SendMessage"]})).await?;
    let (status, answer) = alerts::post(&hook.http, &sent).await?;
    ensure!(status == 503, "nobody knows yet: {status} {answer}");
    // Alertmanager comes again.
    let (status, answer) = alerts::post(&hook.http, &sent).await?;
    ensure!(status == 200 && count(&answer, "duplicate") == 1, "{status} {answer}");
    ensure!(agent.executions().await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn run_is_hook_and_worker_in_one_process() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V03, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url());
    let mut both = Member::dispatcher("run", &settings).await?;
    ensure!(alerts::post(&both.http, &burst(1, 5, "echo")).await?.0 == 200);
    let mut books = Books::at(&redis.address()).await?;
    eventually_ok("five runs", PATIENCE, async || {
        ensure!(agent.executions().await?.len() == 5);
        books.is_drained().await
    })
    .await?;
    for path in ["/healthz", "/readyz"] {
        ensure!(alerts::get(&format!("{}{path}", both.http)).await?.0 == 200, "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        ensure!(alerts::get(&format!("{}{path}", both.admin)).await?.0 == 200, "{path}");
    }
    ensure!(both.program.terminate(PATIENCE).await?.code() == Some(0));
    Ok(())
}
