//! Servers of another SDK, Go's, which is also the one in kagent's controller: nothing is said about their version.

use std::time::Duration;

use a2a::{AgentOptions as Options, Answer, CancelError, ListError, Mode, Outgoing, State, Wire};
use anyhow::{Context, Result, bail, ensure};
use line_tests::line::{Books, DEAD, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};
use reqwest::header::HeaderMap;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    agent: Agent,
    books: Books,
    worker: Member,
    _redis: Redis,
}

async fn place(kind: AgentKind) -> Result<Place> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let worker = Member::dispatcher("work", &settings).await?;
    let books = Books::at(&redis.address()).await?;
    Ok(Place { agent, books, worker, _redis: redis })
}

impl Place {
    async fn end(&mut self, id: &str) -> Result<(String, String)> {
        let key = format!("incident:dispatch:{id}-investigation");
        eventually_ok(format!("the end of {id}"), PATIENCE, async || {
            let reason = self.books.field(&key, "reason").await?;
            ensure!(!reason.is_empty(), "{}", self.worker.program.tail());
            Ok(())
        })
        .await?;
        Ok((self.books.field(&key, "state").await?, self.books.field(&key, "reason").await?))
    }

    fn runs(&self, id: &str) -> Result<usize> {
        Ok(self.agent.runs()?.get(&format!("{id}-investigation")).copied().unwrap_or(0))
    }
}

async fn every_end(kind: AgentKind) -> Result<()> {
    let mut place = place(kind).await?;
    let rows = [
        ("echo", "echo hello", "settled", "completed"),
        ("slow", "slow 1 x", "settled", "completed"),
        ("fail", "fail disk full", "dead", "failed"),
        ("reject", "reject no", "dead", "rejected"),
        ("input", "input", "parked", "input-required"),
        ("auth", "auth", "parked", "auth-required"),
        ("message", "message hi", "settled", "completed"),
        ("empty", "empty", "settled", "completed"),
        ("big", "big 200000", "settled", "completed"),
    ];
    for (id, order, ..) in rows {
        place.books.order(id, order).await?;
    }
    for (id, _, state, reason) in rows {
        let (is, why) = place.end(id).await?;
        ensure!(is == state && why == reason, "{kind:?} {id}: {is} {why}");
        ensure!(place.runs(id)? == 1, "{kind:?} {id}");
    }
    ensure!(place.books.column(DEAD, "error").await?.iter().any(|error| error.contains("disk full")));
    let result = "incident:artifact:echo:result";
    ensure!(place.books.0.cmd(&["GET", result]).await?.text()?.contains("echo: echo hello"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_has_its_outcome_on_both_wires() -> Result<()> {
    for kind in [AgentKind::Go, AgentKind::Go03, AgentKind::Go10] {
        every_end(kind).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_entries_run_once_each() -> Result<()> {
    for kind in [AgentKind::Go03, AgentKind::Go10] {
        let mut place = place(kind).await?;
        for number in 0..200 {
            place.books.order(&format!("wf-{number}"), "echo").await?;
        }
        eventually_ok("the stream to be drained", PATIENCE, async || place.books.is_drained().await).await?;
        let runs = place.agent.runs()?;
        ensure!(runs.len() == 200 && runs.values().all(|count| *count == 1), "{} messages", runs.len());
        ensure!(place.books.length(DEAD).await? == 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_again() -> Result<()> {
    for kind in [AgentKind::Go, AgentKind::Go10] {
        let mut place = place(kind).await?;
        place.books.order("first", "echo").await?;
        place.end("first").await?;
        let sends = ["message/send", "SendMessage"];
        place.agent.fault(json!({"mode": "drop_after", "count": 1, "onlyRpc": sends})).await?;
        place.books.order("lost", "slow 1 x").await?;
        let (state, _) = place.end("lost").await?;
        ensure!(state == "settled" && place.runs("lost")? == 1, "{kind:?} {state} {}", place.runs("lost")?);
        ensure!(place.worker.metric("dispatch_duplicate_possible_total", "").await? < 0.5);
    }
    Ok(())
}

/// The client alone: which wire it learned, and every operation.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_learns_the_version_and_uses_every_operation() -> Result<()> {
    for (kind, wire) in [(AgentKind::Go, Wire::V10), (AgentKind::Go03, Wire::V03), (AgentKind::Go10, Wire::V10)] {
        let server = Agent::start(kind, AgentOptions::default()).await?;
        let options = Options { user_id: Some("tests".into()), ..Options::new(a2a::agent_url(&server.url())?) };
        let agent = a2a::Agent::new(a2a::http_client(Duration::from_secs(5))?, options);
        let none = HeaderMap::new();

        let message = Outgoing { context_id: Some("context-1".into()), ..Outgoing::new("m-1", "slow 0.2 abc") };
        let sent = agent.send(&message, Mode::Blocking, &none).await?;
        let Answer::Task(task) = sent.answer else { bail!("{kind:?}: no task") };
        ensure!(task.state == State::Completed && sent.wire == wire && agent.wire() == Some(wire), "{kind:?}");

        let message = Outgoing { context_id: Some("context-2".into()), ..Outgoing::new("m-2", "hang") };
        let sent = agent.send(&message, Mode::NonBlocking, &none).await?;
        let Answer::Task(task) = sent.answer else { bail!("{kind:?}: no task") };
        ensure!(!agent.get(&task.id, Some(sent.wire), &none).await?.state.is_terminal(), "{kind:?}");
        match (kind, agent.find("context-2", "m-2", &none).await) {
            (AgentKind::Go03, Err(ListError::Unsupported(_))) => {}
            (_, found) => ensure!(found?.context("it is not listed")?.id == task.id, "{kind:?}"),
        }
        match agent.cancel(&task.id, &none).await {
            Ok(canceled) => ensure!(canceled.state == State::Canceled, "{kind:?} {canceled:?}"),
            Err(error) => ensure!(matches!(error, CancelError::NotCancelable(_)), "{kind:?} {error}"),
        }
        let card = agent.card(&none).await?;
        ensure!(card.name == "echo_agent" && card.wires.contains(&wire), "{kind:?} {card:?}");
    }
    Ok(())
}
