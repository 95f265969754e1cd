//! Firing before resolved: the agent hears of an alert's end after it has dealt with its beginning.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::alerts::{self, burst, count};
use line_tests::line::{Books, DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Execution, Redis, RedisOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    _redis: Redis,
    agent: Agent,
    books: Books,
    settings: Settings,
}

async fn place() -> Result<Place> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let books = Books::at(&redis.address()).await?;
    let settings = Settings::of_redis(&redis.address())
        .agents_at(&agent.url())
        .with("MIN_IDLE_MS", "2000")
        .with("ALERTMANAGER_INCLUDE_RESOLVED", "true");
    Ok(Place { _redis: redis, agent, books, settings })
}

fn began(executions: &[Execution], workflow_id: &str) -> Option<f64> {
    let message = format!("{workflow_id}-investigation");
    executions.iter().find(|execution| execution.message_id == message).map(|execution| execution.t)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_whole_line_the_end_of_an_alert_waits_for_the_run_of_its_beginning() -> Result<()> {
    let mut place = place().await?;
    let hook = Member::dispatcher("hook", &place.settings).await?;
    let worker = Member::dispatcher("work", &place.settings).await?;
    let firing = burst(1, 1, "slow 4 x");
    let resolved: Vec<_> = firing.iter().map(|alert| alert.clone().resolved()).collect();
    for alerts in [&firing, &resolved] {
        let (status, answer) = alerts::post(&hook.http, alerts).await?;
        ensure!(status == 200 && count(&answer, "stream") == 1, "{status} {answer}");
    }
    let ids = place.books.column(STREAM, "workflow_id").await?;
    let [first, second] = ids.as_slice() else { anyhow::bail!("{ids:?}") };
    ensure!(place.books.column(STREAM, "firing_workflow_id").await? == std::slice::from_ref(first));
    eventually_ok("both ends", PATIENCE, async || place.books.is_drained().await).await?;
    let ends = place.books.column("incident:outcomes", "workflow_id").await?;
    ensure!(ends == [first.clone(), second.clone()], "{ends:?}");
    let executions = place.agent.executions().await?;
    let (one, two) = (began(&executions, first).context("firing")?, began(&executions, second).context("resolved")?);
    ensure!(two - one >= 4.0, "{} s apart", two - one);
    ensure!(executions.len() == 2, "once each");
    for id in [first, second] {
        let attempts = place.books.field(&format!("incident:dispatch:{id}-investigation"), "attempts").await?;
        ensure!(attempts == "1", "{attempts}");
    }
    ensure!(worker.metric("dispatch_decisions_total", "row=\"firing-first\"").await? > 0.5);
    Ok(())
}

/// The ends of alerts are in front of their beginnings, and there are more of them than places to wait in.
async fn many_before_their_firing_ones(books: &mut Books, number: usize) -> Result<()> {
    let replication = books.0.cmd(&["INFO", "replication"]).await?.text()?.to_owned();
    let history = replication.lines().find_map(|line| line.strip_prefix("master_replid:")).context("no replid")?;
    let key = |n| format!("incident:dispatch:firing-{n}-investigation");
    for n in 0..number {
        let message = format!("firing-{n}-investigation");
        let record = ["v", "1", "state", "queued", "attempts", "0", "replid", history.trim(), "stream", STREAM];
        let rest = ["message_id", message.as_str(), "entry_id", "0-0"];
        books.0.cmd(&[&["HSET", &*key(n)], record.as_slice(), rest.as_slice()].concat()).await?;
        let (id, firing) = (format!("resolved-{n}"), format!("firing-{n}"));
        let fields = [("workflow_id", &*id), ("agent_target", "triage-agent"), ("text", "echo")];
        books.add(STREAM, &[fields.as_slice(), &[("firing_workflow_id", &firing)]].concat()).await?;
    }
    for n in 0..number {
        let entry = books.order(&format!("firing-{n}"), "slow 1 x").await?;
        books.0.cmd(&["HSET", &key(n), "entry_id", &entry]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_do_not_keep_the_only_slot_from_those_they_wait_for() -> Result<()> {
    let mut place = place().await?;
    many_before_their_firing_ones(&mut place.books, 8).await?;
    let _worker = Member::dispatcher("work", &place.settings.clone().with("DISPATCHER_WORKERS", "1")).await?;
    eventually_ok("all of them", PATIENCE, async || {
        let ends = place.books.length("incident:outcomes").await?;
        ensure!(ends == 16, "{ends}");
        place.books.is_drained().await
    })
    .await?;
    let executions = place.agent.executions().await?;
    ensure!(executions.len() == 16 && place.books.length(DEAD).await? == 0, "once each, none given up");
    for n in 0..8 {
        let one = began(&executions, &format!("firing-{n}")).context("firing")?;
        let two = began(&executions, &format!("resolved-{n}")).context("resolved")?;
        ensure!(two - one >= 1.0, "{n}: {} s apart", two - one);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_gives_back_who_waits_without_counting_it() -> Result<()> {
    let mut place = place().await?;
    let mut first = Member::dispatcher("work", &place.settings.clone().with("SHUTDOWN_GRACE", "3s")).await?;
    place.books.order("firing", "slow 6 x").await?;
    let key = "incident:dispatch:resolved-investigation";
    eventually_ok("the run", PATIENCE, async || {
        ensure!(place.books.field("incident:dispatch:firing-investigation", "state").await? == "accepted");
        Ok(())
    })
    .await?;
    let fields = [
        ("workflow_id", "resolved"),
        ("agent_target", "triage-agent"),
        ("text", "echo"),
        ("firing_workflow_id", "firing"),
    ];
    place.books.add(STREAM, &fields).await?;
    eventually_ok("it to wait", PATIENCE, async || {
        ensure!(!place.books.field(key, "firing_since").await?.is_empty());
        Ok(())
    })
    .await?;
    ensure!(first.program.terminate(PATIENCE).await?.code() == Some(0), "{}", first.program.tail());
    let _second = Member::dispatcher("work", &place.settings).await?;
    eventually_ok("both ends", PATIENCE, async || place.books.is_drained().await).await?;
    let ends = place.books.column("incident:outcomes", "workflow_id").await?;
    ensure!(ends == ["firing", "resolved"], "{ends:?}");
    ensure!(place.books.field(key, "attempts").await? == "1" && place.agent.executions().await?.len() == 2);
    Ok(())
}
