use std::time::Duration;

use anyhow::Result;
use line_tests::{Agent, AgentKind, AgentOptions};
use serde_json::{Value, json};

/// One JSON-RPC call over plain HTTP, as an observer would make it.
async fn call(url: &str, token: Option<&str>, version: &str, body: &Value) -> Result<(u16, String)> {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(Duration::from_secs(20)).build()?;
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .header("a2a-version", version)
        .body(body.to_string());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn send_v03(id: &str, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": {
        "kind": "message", "role": "user", "messageId": id, "parts": [{"kind": "text", "text": text}]}}})
}

fn send_v10(id: &str, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": "1", "method": "SendMessage", "params": {"message": {
        "role": "ROLE_USER", "messageId": id, "parts": [{"text": text}]}}})
}

#[tokio::test]
async fn the_run_log_survives_a_kill_and_the_port_a_restart() -> Result<()> {
    let options = AgentOptions { prefixes: vec!["/api/a2a/kagent/triage-agent".into()], ..AgentOptions::default() };
    let mut agent = Agent::start(AgentKind::V03, options).await?;
    let url = format!("{}/api/a2a/kagent/triage-agent/", agent.url());
    let (status, answer) = call(&url, None, "0.3", &send_v03("m-1", "hello")).await?;
    assert_eq!(status, 200);
    assert!(answer.contains("echo: hello"), "{answer}");

    agent.kill9().await?;
    assert!(call(&url, None, "0.3", &send_v03("m-2", "lost")).await.is_err());
    agent.restart().await?;
    assert!(agent.executions().await?.is_empty(), "a new life has no memory");
    call(&url, None, "0.3", &send_v03("m-3", "[agent: fail x]")).await?;

    let ids: Vec<_> = agent.executions_from_log()?.into_iter().map(|execution| execution.message_id).collect();
    assert_eq!(ids, ["m-1", "m-3"]);
    assert_eq!(agent.executions().await?.len(), 1);
    agent.stop().await
}

#[tokio::test]
async fn a_token_is_asked_for_and_requests_are_noted() -> Result<()> {
    let options = AgentOptions { token: Some("secret".into()), ..AgentOptions::default() };
    let agent = Agent::start(AgentKind::V10, options).await?;
    let body = send_v10("m-1", "before the order [agent: message hi] and after");
    let (refused, _) = call(&agent.url(), None, "1.0", &body).await?;
    assert_eq!(refused, 401);
    let (status, answer) = call(&agent.url(), Some("secret"), "1.0", &body).await?;
    assert_eq!(status, 200);
    assert!(answer.contains("\"echo: hi\""), "the order was obeyed: {answer}");
    let requests = agent.requests().await?;
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request["messageId"] == "m-1"));
    assert_eq!(agent.executions().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn one_url_speaks_both_wires_and_loses_answers_on_demand() -> Result<()> {
    let agent = Agent::start(AgentKind::V10Compat, AgentOptions::default()).await?;
    agent.fault(json!({"mode": "drop_after"})).await?;
    assert!(call(&agent.url(), None, "1.0", &send_v10("m-1", "one")).await.is_err());
    agent.fault(json!({"mode": "status", "status": 503, "retryAfter": 2, "count": 9})).await?;
    assert_eq!(call(&agent.url(), None, "0.3", &send_v03("m-2", "two")).await?.0, 503);
    agent.clear_faults().await?;
    assert_eq!(call(&agent.url(), None, "0.3", &send_v03("m-3", "three")).await?.0, 200);
    let ran = agent.executions().await?;
    let ids: Vec<_> = ran.iter().map(|execution| execution.message_id.as_str()).collect();
    assert_eq!(ids, ["m-1", "m-3"], "a lost answer ran, a refusal did not");
    Ok(())
}
