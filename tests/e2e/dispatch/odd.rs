//! What needs an agent, or a Redis, of its own: an outage, records that are none, a stream that cannot be written.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};
use serde_json::json;
use stream_dispatcher::dispatch::decision::Row;

use super::play::client;

const PATIENCE: Duration = Duration::from_secs(40);

struct Place {
    agent: Agent,
    books: Books,
    worker: Member,
    _redis: Redis,
}

async fn place(kind: AgentKind, settings: &[(&str, &str)]) -> Result<Place> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let base = Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let settings = settings.iter().fold(base, |all, (name, value)| all.with(name, *value));
    let worker = Member::dispatcher("work", &settings).await?;
    let mut books = Books::at(&redis.address()).await?;
    // The first entry teaches the worker what the agent speaks.
    books.order("wf-0", "echo").await?;
    eventually_ok("the first run", PATIENCE, async || {
        ensure!(books.field(&key("wf-0"), "state").await? == "settled");
        Ok(())
    })
    .await?;
    Ok(Place { agent, books, worker, _redis: redis })
}

fn key(workflow_id: &str) -> String {
    format!("incident:dispatch:{workflow_id}-investigation")
}

impl Place {
    async fn state(&mut self, workflow_id: &str, expected: &str) -> Result<()> {
        eventually_ok(format!("{workflow_id} to be {expected}"), PATIENCE, async || {
            let state = self.books.field(&key(workflow_id), "state").await?;
            ensure!(state == expected, "{state}: {}", self.worker.program.tail());
            Ok(())
        })
        .await
    }

    fn runs(&self, workflow_id: &str) -> Result<usize> {
        let message = format!("{workflow_id}-investigation");
        Ok(self.agent.executions_from_log()?.iter().filter(|execution| execution.message_id == message).count())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_down_for_longer_than_a_lease_gets_its_entries_when_it_is_back() -> Result<()> {
    let mut place = place(AgentKind::V10, &[]).await?;
    place.agent.stop().await?;
    for number in 0..5 {
        place.books.order(&format!("down-{number}"), "echo").await?;
    }
    let waiting = "incident:events:waiting:kagent:triage-agent";
    eventually_ok("the entries to be moved", PATIENCE, async || {
        ensure!(place.books.length(waiting).await? >= 4, "{} wait", place.books.length(waiting).await?);
        Ok(())
    })
    .await?;
    place.agent.restart().await?;
    for number in 0..5 {
        let id = format!("down-{number}");
        place.state(&id, "settled").await?;
        ensure!(place.runs(&id)? == 1 && place.books.field(&key(&id), "attempts").await? == "1", "{id}");
    }
    place.books.is_drained().await?;
    ensure!(place.books.0.cmd(&["EXISTS", waiting, "incident:events:waiting"]).await?.int()? == 0);
    ensure!(place.books.length(DEAD).await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_used_keep_no_slot_from_their_neighbours() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("DISPATCHER_WORKERS", "2")]).await?;
    for number in 0..4 {
        let (kept, newer) = (format!("list-{number}"), format!("newer-{number}"));
        place.books.0.cmd(&["RPUSH", &key(&kept), "not a record"]).await?;
        place.books.0.cmd(&["HSET", &key(&newer), "v", "2", "state", "something new"]).await?;
        place.books.order(&kept, "echo").await?;
        place.books.order(&newer, "echo").await?;
    }
    place.books.order("good", "echo").await?;
    place.state("good", "settled").await?;
    ensure!(place.runs("list-0")? + place.runs("newer-0")? == 0);
    ensure!(place.worker.metric("dispatch_newer_records_total", "").await? > 3.5);
    ensure!(place.books.field(&key("newer-0"), "state").await? == "something new");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_cannot_be_written_hold_nobody_up_and_are_written_later() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("DISPATCHER_WORKERS", "2")]).await?;
    place.books.0.cmd(&["SET", DEAD, "no stream"]).await?;
    for number in 0..4 {
        place.books.order(&format!("bad-{number}"), "fail x").await?;
    }
    eventually_ok("four runs", PATIENCE, async || {
        ensure!((0..4).all(|n| place.runs(&format!("bad-{n}")).is_ok_and(|runs| runs == 1)));
        Ok(())
    })
    .await?;
    place.books.order("good", "echo").await?;
    place.state("good", "settled").await?;
    ensure!(place.books.pending().await? == 4);
    place.books.0.cmd(&["DEL", DEAD]).await?;
    for number in 0..4 {
        place.state(&format!("bad-{number}"), "dead").await?;
    }
    place.books.is_drained().await?;
    ensure!(place.books.length(DEAD).await? == 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_once_could_not_list_is_asked_again_before_a_second_send() -> Result<()> {
    let mut place = place(AgentKind::V10, &[]).await?;
    // Somebody has sent it and died: the run is at the agent, the record says no more than "sending".
    let client = client(&place.agent)?;
    let context = "11111111-2222-4333-8444-555555555555";
    let mut message = a2a::Outgoing::new("begun-investigation", "echo");
    message.context_id = Some(context.into());
    client.send(&message, a2a::Mode::Blocking, &reqwest::header::HeaderMap::new()).await?;
    let key = key("begun");
    let record =
        ["v", "1", "state", "sending", "message_id", "begun-investigation", "context_id", context, "attempts", "1"];
    place.books.0.cmd(&[&["HSET", key.as_str()], record.as_slice()].concat()).await?;

    place.agent.fault(json!({"mode": "jsonrpc", "code": -32601, "count": 1, "onlyRpc": ["ListTasks"]})).await?;
    place.books.order("begun", "echo").await?;
    place.state("begun", "settled").await?;
    ensure!(place.runs("begun")? == 1, "{} runs", place.runs("begun")?);
    ensure!(place.worker.metric("dispatch_duplicate_possible_total", "").await? < 0.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_names_no_incident_is_a_dead_letter() -> Result<()> {
    let mut place = place(AgentKind::V10, &[]).await?;
    let id = place.books.add(STREAM, &[("text", "echo")]).await?;
    eventually_ok("a dead letter", PATIENCE, async || {
        ensure!(place.books.column(DEAD, "original_id").await? == [id.as_str()]);
        Ok(())
    })
    .await?;
    ensure!(place.books.column(DEAD, "reason").await? == ["undecodable"]);
    let counted =
        place.worker.metric("dispatch_decisions_total", &format!("row=\"{}\"", Row::Undecodable.id())).await?;
    ensure!((counted - 1.0).abs() < 0.1, "{counted} counted");
    place.books.is_drained().await
}
