//! Agents that fail: what is sent again, what is not, what becomes of the incident.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(40);
const SENDS: [&str; 2] = ["message/send", "SendMessage"];

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

    async fn fault(&self, mut fault: Value) -> Result<()> {
        if let Some(fault) = fault.as_object_mut() {
            fault.insert("onlyRpc".into(), json!(SENDS));
        }
        self.agent.fault(fault).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_has_its_outcome() -> Result<()> {
    for kind in [AgentKind::V03, AgentKind::V10] {
        let mut place = place(kind, &[]).await?;
        let rows = [
            ("fail", "fail disk full", "dead", "failed"),
            ("reject", "reject no", "dead", "rejected"),
            ("input", "input", "parked", "input-required"),
            ("auth", "auth", "parked", "auth-required"),
            ("message", "message hi", "settled", "completed"),
            ("empty", "empty", "settled", "completed"),
            ("big", "big 200000", "settled", "completed"),
            ("slow", "slow 1 x", "settled", "completed"),
        ];
        for (id, order, _, _) in rows {
            place.books.order(id, order).await?;
        }
        for (id, _, state, reason) in rows {
            place.state(id, state).await?;
            ensure!(place.books.field(&key(id), "reason").await? == reason, "{id}");
            ensure!(place.runs(id)? == 1, "{id}");
        }
        let dead: BTreeMap<_, _> = place
            .books
            .column(DEAD, "workflow_id")
            .await?
            .into_iter()
            .zip(place.books.column(DEAD, "error").await?)
            .collect();
        ensure!(dead.get("fail").is_some_and(|error| error.contains("disk full")), "the agent's own words: {dead:?}");
        ensure!(place.books.length("incident:events:parked").await? == 2);
        ensure!(place.books.field(&key("big"), "result_head").await?.len() == 1024);
        let kept = place.books.0.cmd(&["STRLEN", "incident:artifact:big:result"]).await?.int()?;
        ensure!(kept == 65_536, "{kept}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_waited_out_without_an_attempt() -> Result<()> {
    for kind in [AgentKind::V03, AgentKind::V10] {
        let mut place = place(kind, &[]).await?;
        place.fault(json!({"mode": "status", "status": 503, "retryAfter": "1", "count": 2})).await?;
        let began = Instant::now();
        place.books.order("busy", "echo").await?;
        place.state("busy", "settled").await?;
        ensure!(began.elapsed() >= Duration::from_secs(2), "Retry-After was not waited for: {:?}", began.elapsed());
        ensure!(place.runs("busy")? == 1 && place.books.field(&key("busy"), "attempts").await? == "1");
        ensure!(place.worker.metric("dispatch_waits_total", "").await? > 1.5);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_again_where_the_agent_lists_its_tasks() -> Result<()> {
    for mode in ["drop_after", "truncate"] {
        let mut place = place(AgentKind::V10, &[]).await?;
        place.fault(json!({"mode": mode, "count": 1})).await?;
        place.books.order("lost", "slow 1 x").await?;
        place.state("lost", "settled").await?;
        ensure!(place.runs("lost")? == 1, "{mode}");
        ensure!(place.worker.metric("dispatch_duplicate_possible_total", "").await? < 0.5);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_found_out_the_policy_decides_after_a_lease() -> Result<()> {
    for (policy, state, runs, counted) in [("resend", "settled", 2, 1.0), ("park", "parked", 1, 0.0)] {
        let mut place = place(AgentKind::V03, &[("ON_UNCERTAIN", policy)]).await?;
        place.fault(json!({"mode": "drop_after", "count": 1})).await?;
        let began = Instant::now();
        place.books.order("lost", "echo").await?;
        place.state("lost", state).await?;
        ensure!(began.elapsed() >= Duration::from_secs(2), "not before a lease: {:?}", began.elapsed());
        ensure!(place.runs("lost")? == runs, "{policy}: {} runs", place.runs("lost")?);
        let possible = place.worker.metric("dispatch_duplicate_possible_total", "").await?;
        ensure!((possible - counted).abs() < 0.1, "{policy}: {possible} counted");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_will_never_change_is_a_dead_letter_at_once() -> Result<()> {
    let mut place = place(AgentKind::V10, &[]).await?;
    place.fault(json!({"mode": "jsonrpc", "code": -32602, "message": "bad params", "count": 1})).await?;
    place.books.order("refused", "echo").await?;
    place.state("refused", "dead").await?;
    ensure!(place.books.field(&key("refused"), "reason").await? == "refused" && place.runs("refused")? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_limited() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("MAX_ATTEMPTS", "2")]).await?;
    place.fault(json!({"mode": "jsonrpc", "code": -32603, "message": "boom", "count": 100})).await?;
    place.books.order("doomed", "echo").await?;
    place.state("doomed", "dead").await?;
    ensure!(place.books.field(&key("doomed"), "reason").await? == "attempts-exhausted");
    ensure!(place.books.field(&key("doomed"), "attempts").await? == "2");
    Ok(())
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
async fn an_agent_that_stays_away_is_given_up_in_the_end() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("GIVE_UP_AFTER", "1s")]).await?;
    place.agent.stop().await?;
    place.books.order("away", "echo").await?;
    place.state("away", "dead").await?;
    ensure!(place.books.field(&key("away"), "reason").await? == "expired");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_never_ends_is_ended_by_its_deadline() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("RUN_DEADLINE", "2s")]).await?;
    place.books.order("endless", "hang").await?;
    place.state("endless", "dead").await?;
    ensure!(place.books.field(&key("endless"), "reason").await? == "run-deadline");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_can_be_enough() -> Result<()> {
    let mut place = place(AgentKind::V10, &[("ACK_ON", "accepted")]).await?;
    place.books.order("long", "slow 30 x").await?;
    place.state("long", "settled").await?;
    ensure!(place.books.field(&key("long"), "reason").await? == "accepted");
    place.books.is_drained().await?;
    ensure!(place.books.length(STREAM).await? == 2);
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
    let client =
        a2a::Agent::new(a2a::http_client(PATIENCE)?, a2a::AgentOptions::new(a2a::agent_url(&place.agent.url())?));
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
