//! What is said to the agent, and what becomes of its own words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use line_tests::alerts::{self, Alert};
use line_tests::line::{DATABASE, DEAD, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Member, Program};
use serde_json::{Value, json};
use stream_dispatcher::dispatch::decision::Row;

use super::case::SENDS;
use super::desk::{Desk, PATIENCE, record};

const KINDS: [AgentKind; 2] = [AgentKind::V03, AgentKind::V10];

async fn desk(kind: AgentKind, sections: &[(&str, &str)]) -> Result<Desk> {
    let agent = Arc::new(Agent::start(kind, AgentOptions::default()).await?);
    let sections = sections.iter().map(|(agent, lines)| ((*agent).to_owned(), (*lines).to_owned())).collect();
    Desk::open(&agent, &sections, &[], async |_| Ok(())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_words_are_kept() -> Result<()> {
    for kind in KINDS {
        let desk = desk(kind, &[]).await?;
        let mut books = desk.books().await?;
        let orders = [
            ("failed", "fail disk full", "simulated failure: disk full"),
            ("rejected", "reject not mine", "simulated rejection: not mine"),
            ("asks", "input", "Which cluster?"),
            ("waits", "auth", "approve in the agent's own console"),
            ("refused", "echo", "bad params"),
        ];
        let faults = json!([{"mode": "jsonrpc", "code": -32602, "message": "bad params", "onlyAgent": "refused",
            "onlyRpc": SENDS}]);
        desk.agent.fault(faults).await?;
        for (agent, order, _) in orders {
            books.order_of(agent, agent, order).await?;
        }
        for (agent, ..) in orders {
            desk.end(agent).await?;
        }
        for (stream, expected) in [(DEAD, 3), ("incident:events:parked", 2)] {
            let ids = books.column(stream, "workflow_id").await?;
            let errors = books.column(stream, "error").await?;
            ensure!(ids.len() == expected && errors.len() == expected, "{stream}: {ids:?} {errors:?}");
            for (id, error) in ids.iter().zip(errors) {
                let words = orders.iter().find(|(agent, ..)| agent == id).map(|(.., words)| *words);
                ensure!(error.contains(words.context("an unknown one")?), "{id}: {error}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_and_shown() -> Result<()> {
    for kind in KINDS {
        let desk = desk(kind, &[]).await?;
        let mut books = desk.books().await?;
        let long = "x".repeat(200_000);
        let rows = [
            ("plain", "tell me", "echo: tell me"),
            ("bare", "message hi", "echo: hi"),
            ("big", "big 200000", &long),
            ("nothing", "empty", ""),
        ];
        for (id, order, _) in rows {
            books.order_of("one", id, order).await?;
        }
        for (id, _, answer) in rows {
            ensure!(desk.end(id).await? == ("settled".into(), "completed".into()), "{id}");
            let head: String = answer.chars().take(1_024).collect();
            ensure!(books.field(&record(id), "result_head").await? == head, "{id}");
            let key = format!("incident:artifact:{id}:result");
            let kept: String = answer.chars().take(65_536).collect();
            ensure!(books.0.cmd(&["GET", &key]).await?.text().unwrap_or_default() == kept, "{id}");
            ensure!(kept.is_empty() || books.0.cmd(&["TTL", &key]).await?.int()? > 86_000, "{id}");
        }
        let shown = replay(&desk, &["show", "plain"]).await?;
        ensure!(shown.contains("echo: tell me"), "{shown}");
    }
    Ok(())
}

/// `stream-dispatcher replay ARGUMENTS`; gives what it wrote.
pub(crate) async fn replay(desk: &Desk, arguments: &[&str]) -> Result<String> {
    let url = format!("redis://{}/{DATABASE}", desk.redis.address());
    let words = [&["replay"], arguments].concat();
    let mut program = Program::start("stream-dispatcher", &words, &[("REDIS_URL", &url)])?;
    let code = program.exit_code(PATIENCE).await?;
    ensure!(code == 0, "{code}: {}", program.tail());
    Ok(program.output())
}

fn header<'a>(request: &'a Value, name: &str) -> &'a str {
    request.get("headers").and_then(|headers| headers.get(name)?.as_str()).unwrap_or_default()
}

/// An alert through the hook, whose answer is lost once: a send, a look, perhaps a second send, and polls.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_an_alert() -> Result<()> {
    for (kind, version, wire) in
        [(AgentKind::V03, "version = \"0.3\"", "0.3"), (AgentKind::V10, "version = \"1.0\"", "1.0")]
    {
        let desk = desk(kind, &[("triage-agent", version)]).await?;
        desk.agent.fault(json!({"mode": "status", "status": 500, "onlyRpc": SENDS})).await?;
        let hook = Settings::of_redis(&desk.redis.address()).agents_at(&desk.agent.url());
        let hook = Member::dispatcher("hook", &hook).await?;
        let alert = Alert::firing(7, "slow 1 x");
        let (status, answer) = alerts::post(&hook.http, std::slice::from_ref(&alert)).await?;
        ensure!(status == 200, "{answer}");
        let mut books = desk.books().await?;
        let ids = books.column("incident:events", "workflow_id").await?;
        let id = ids.first().context("no entry")?.clone();
        ensure!(desk.end(&id).await? == ("settled".into(), "completed".into()), "{:?}", desk.rows(&id));
        let requests = desk.agent.requests().await?;
        let sends: Vec<_> = requests.iter().filter(|request| request["messageId"].is_string()).collect();
        let [first, second] = sends.as_slice() else { bail!("{} sends", sends.len()) };
        for (number, send) in (1..).zip(&sends) {
            said(send, &id, &alert, number)?;
        }
        ensure!(first["message"]["contextId"] == second["message"]["contextId"], "one context for one incident");
        let marked = second["message"]["metadata"]["duplicate_possible"] == true;
        ensure!(marked == (kind == AgentKind::V03), "{second}");
        let mut rpcs = BTreeSet::new();
        for request in &requests {
            ensure!(header(request, "a2a-version") == wire, "{request}");
            ensure!(!header(request, "x-user-id").is_empty(), "{request}");
            ensure!(header(request, "x-user-id") == header(first, "x-user-id"), "{request}");
            ensure!(header(request, "traceparent").len() == 55, "{request}");
            rpcs.insert(request["rpc"].as_str().unwrap_or_default().to_owned());
        }
        ensure!(rpcs.len() == 3, "a send, a get and a list: {rpcs:?}");
        let traces: BTreeSet<_> = sends.iter().filter_map(|send| header(send, "traceparent").get(3..35)).collect();
        ensure!(traces.len() == 1, "one trace: {traces:?}");
    }
    Ok(())
}

fn said(send: &Value, id: &str, alert: &Alert, attempt: u32) -> Result<()> {
    let message = &send["message"];
    let parts = message["parts"].as_array().context("no parts")?;
    let [part] = parts.as_slice() else { bail!("one part: {message}") };
    let text = part["text"].as_str().context("a text part")?;
    let fences = text.lines().filter(|line| line.starts_with("```")).count();
    ensure!(fences == 2 && text.lines().any(|line| line.starts_with("```") && line.ends_with("alert")), "{text}");
    ensure!(text.contains(&alert.order), "{text}");
    let metadata = &message["metadata"];
    let expected = [
        ("workflow_id", json!(id)),
        ("step", json!("investigation")),
        ("fingerprint", json!(alert.fingerprint)),
        ("attempt", json!(attempt)),
    ];
    for (name, value) in expected {
        ensure!(metadata[name] == value, "{name}: {metadata}");
    }
    ensure!(message["messageId"] == format!("{id}-investigation"), "{message}");
    let context = message["contextId"].as_str().unwrap_or_default();
    ensure!(context.len() == 36, "a context of ours: {message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_chooses_its_contexts_is_given_none() -> Result<()> {
    for kind in KINDS {
        let desk = desk(kind, &[("own", "context = \"server\"")]).await?;
        let mut books = desk.books().await?;
        books.order_of("own", "own-0", "slow 1 x").await?;
        desk.decided("own-0", Row::Running).await?;
        desk.end("own-0").await?;
        let requests = desk.agent.requests().await?;
        let sends = requests.iter().filter(|request| request["messageId"].is_string());
        ensure!(sends.clone().count() > 0 && sends.clone().all(|send| send["message"].get("contextId").is_none()));
        let runs: BTreeMap<_, _> = desk
            .agent
            .executions()
            .await?
            .into_iter()
            .map(|execution| (execution.message_id, execution.context_id.unwrap_or_default()))
            .collect();
        let context = books.field(&record("own-0"), "context_id").await?;
        ensure!(!context.is_empty() && runs.get("own-0-investigation") == Some(&context), "{runs:?}, {context}");
    }
    Ok(())
}
