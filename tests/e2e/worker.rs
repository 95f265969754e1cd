//! Workers that die or are asked to go: others go on, nothing runs twice, nothing is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, DEAD, GROUP, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    redis: Redis,
    agent: Agent,
    books: Books,
    settings: Settings,
}

async fn place(kind: AgentKind) -> Result<Place> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    let books = Books::at(&redis.address()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url()).many_runs();
    Ok(Place { redis, agent, books, settings })
}

async fn running(agent: &Agent, count: usize) -> Result<()> {
    eventually_ok(format!("{count} runs"), PATIENCE, async || {
        let runs = agent.runs()?;
        ensure!(runs.len() >= count, "{} runs", runs.len());
        Ok(())
    })
    .await
}

async fn killed_in_the_middle(kind: AgentKind) -> Result<()> {
    let mut place = place(kind).await?;
    let settings = place.settings.clone().with("MIN_IDLE_MS", "3000");
    let mut first = Member::dispatcher("work", &settings).await?;
    place.books.order("wf-1", "slow 20 deep thought").await?;
    let key = "incident:dispatch:wf-1-investigation";
    eventually_ok("the task id to be recorded", PATIENCE, async || {
        ensure!(place.books.field(key, "state").await? == "accepted");
        Ok(())
    })
    .await?;
    let task = place.books.field(key, "task_id").await?;
    let owner = place.books.field(key, "owner").await?;
    first.program.kill9().await?;
    let second = Member::dispatcher("work", &settings).await?;
    let killed = Instant::now();
    eventually_ok("another worker to have it", PATIENCE, async || {
        let row = place.books.0.cmd(&["XPENDING", STREAM, GROUP, "-", "+", "1"]).await?;
        let row = row.items()?.first().context("nothing pending")?;
        let holder = row.items()?.get(1).context("no holder")?.text()?.to_owned();
        ensure!(holder != owner, "still {holder}'s");
        Ok(())
    })
    .await?;
    ensure!(killed.elapsed() < Duration::from_secs(5), "lease + 2 s: {:?}", killed.elapsed());
    eventually_ok("the outcome", PATIENCE, async || {
        ensure!(place.books.field(key, "state").await? == "settled", "{}", second.program.tail());
        Ok(())
    })
    .await?;
    ensure!(place.books.field(key, "task_id").await? == task, "another task than the one that was running");
    ensure!(place.books.field(key, "result_head").await?.contains("done after 20s"));
    ensure!(place.agent.runs()? == BTreeMap::from([("wf-1-investigation".to_owned(), 1)]));
    ensure!(place.books.field(key, "attempts").await? == "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_during_a_run_is_replaced_by_task_id_at_version_0_3() -> Result<()> {
    killed_in_the_middle(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_during_a_run_is_replaced_by_task_id_at_version_1_0() -> Result<()> {
    killed_in_the_middle(AgentKind::V10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_go_gives_back_what_is_not_running() -> Result<()> {
    let mut place = place(AgentKind::V03).await?;
    let mut first = Member::dispatcher("work", &place.settings.clone().with("DISPATCHER_WORKERS", "15")).await?;
    // Ten run; five are refused for now and wait for their next try; fifty stay unread.
    for number in 0..10 {
        place.books.order(&format!("running-{number}"), "slow 4 x").await?;
    }
    running(&place.agent, 10).await?;
    let busy =
        serde_json::json!({"mode": "status", "status": 503, "count": 1000, "onlyRpc": ["message/send", "SendMessage"]});
    place.agent.fault(busy).await?;
    for number in 0..5 {
        place.books.order(&format!("waiting-{number}"), "echo").await?;
    }
    eventually_ok("fifteen to be held, five of them refused", PATIENCE, async || {
        let (pending, waits) = (place.books.pending().await?, first.metric("dispatch_waits_total", "").await?);
        ensure!(pending == 15 && waits > 4.5, "{pending} pending, {waits} waits\n{}", first.program.tail());
        Ok(())
    })
    .await?;
    for number in 0..50 {
        place.books.order(&format!("unread-{number}"), "echo").await?;
    }
    place.agent.clear_faults().await?;
    let second = Member::dispatcher("work", &place.settings.clone().with("DISPATCHER_WORKERS", "5")).await?;
    // The second one must not be busy with the unread ones when it shall take over: it is started now and reads
    // them as it can, five at a time.
    let asked = Instant::now();
    let leaving = first.program.terminate(PATIENCE);
    let taken = eventually_ok("the five to be run by another worker", PATIENCE, async || {
        let runs = place.agent.runs()?;
        let count = (0..5).filter(|n| runs.contains_key(&format!("waiting-{n}-investigation"))).count();
        ensure!(count == 5, "{count} of 5");
        Ok(asked.elapsed())
    });
    let (status, taken) = tokio::join!(leaving, taken);
    let (status, taken) = (status?, taken?);
    ensure!(status.code() == Some(0), "{status:?}");
    ensure!(taken < Duration::from_secs(2), "taken over after {taken:?}");
    eventually_ok("everything to be done", PATIENCE, async || place.books.is_drained().await).await?;
    let runs = place.agent.runs()?;
    ensure!(runs.len() == 65 && runs.values().all(|count| *count == 1), "{runs:?}");
    for number in 0..5 {
        let key = format!("incident:dispatch:waiting-{number}-investigation");
        ensure!(place.books.field(&key, "attempts").await? == "1", "an attempt was counted for the one that left");
    }
    ensure!(place.books.length(DEAD).await? == 0);
    let consumers = place.books.0.cmd(&["XINFO", "CONSUMERS", STREAM, GROUP]).await?;
    let names: Vec<_> = consumers.items()?.iter().map(line_tests::Reply::fields).collect::<Result<_>>()?;
    let left =
        names.iter().filter(|row| row.get("name").is_some_and(|name| name.text().is_ok_and(|n| n != "handed-back")));
    ensure!(left.count() == 1, "only the second worker is a consumer: {names:?}");
    drop(second);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_entries_stay_unread_when_the_last_worker_goes() -> Result<()> {
    let mut place = place(AgentKind::V10).await?;
    let settings = place.settings.clone().with("DISPATCHER_WORKERS", "2").with("SHUTDOWN_GRACE", "6s");
    let mut worker = Member::dispatcher("work", &settings).await?;
    for number in 0..2 {
        place.books.order(&format!("running-{number}"), "slow 2 x").await?;
    }
    running(&place.agent, 2).await?;
    for number in 0..20 {
        place.books.order(&format!("unread-{number}"), "echo").await?;
    }
    let status = worker.program.terminate(PATIENCE).await?;
    ensure!(status.code() == Some(0), "{status:?}");
    ensure!(place.books.unread().await? == 20 && place.books.pending().await? == 0);
    ensure!(place.agent.runs()?.len() == 2, "nothing was begun after the signal");
    let _next = Member::dispatcher("work", &settings).await?;
    eventually_ok("the rest", PATIENCE, async || place.books.is_drained().await).await?;
    ensure!(place.agent.runs()?.len() == 22);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_longer_than_the_grace_is_handed_back_and_continued() -> Result<()> {
    let mut place = place(AgentKind::V03).await?;
    let settings = place.settings.clone().with("SHUTDOWN_GRACE", "3s");
    let mut first = Member::dispatcher("work", &settings).await?;
    place.books.order("wf-long", "slow 8 x").await?;
    running(&place.agent, 1).await?;
    eventually_ok("the task id to be recorded", PATIENCE, async || {
        ensure!(place.books.field("incident:dispatch:wf-long-investigation", "state").await? == "accepted");
        Ok(())
    })
    .await?;
    let status = first.program.terminate(PATIENCE).await?;
    ensure!(status.code() == Some(0), "{status:?}\n{}", first.program.log());
    ensure!(place.books.pending().await? == 1);
    let _second = Member::dispatcher("work", &settings).await?;
    eventually_ok("the run to be settled", PATIENCE, async || place.books.is_drained().await).await?;
    ensure!(place.books.field("incident:dispatch:wf-long-investigation", "state").await? == "settled");
    ensure!(place.agent.runs()?.values().all(|count| *count == 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_destroyed_is_created_again_and_nothing_runs_twice() -> Result<()> {
    let mut place = place(AgentKind::V10).await?;
    let _worker = Member::dispatcher("work", &place.settings).await?;
    for number in 0..20 {
        place.books.order(&format!("wf-{number}"), "echo").await?;
    }
    eventually_ok("all", PATIENCE, async || place.books.is_drained().await).await?;
    place.books.0.cmd(&["XGROUP", "DESTROY", STREAM, GROUP]).await?;
    place.books.order("wf-after", "echo").await?;
    running(&place.agent, 21).await?;
    eventually_ok("all again", PATIENCE, async || place.books.is_drained().await).await?;
    ensure!(place.agent.runs()?.values().all(|count| *count == 1), "{:?}", place.agent.runs()?);
    drop(place.redis);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_set_by_hand_belongs_to_one_live_worker() -> Result<()> {
    let mut place = place(AgentKind::V10).await?;
    let settings = place.settings.clone().with("CONSUMER_NAME", "worker-1").with("MIN_IDLE_MS", "2000");
    let mut first = Member::dispatcher("work", &settings).await?;
    place.books.order("wf-1", "slow 3 x").await?;
    running(&place.agent, 1).await?;
    let mut second = Member::dispatcher("work", &settings).await?;
    ensure!(second.program.exit_code(PATIENCE).await? == 1);
    let log = second.program.log();
    ensure!(log.contains("\"worker-1\" belongs to another live worker"), "{log}");
    ensure!(first.program.is_running());

    // After a clean stop the name is free at once, after a death within a lease.
    first.program.terminate(PATIENCE).await?;
    ensure!(place.books.0.cmd(&["EXISTS", "incident:events:consumer:dispatch-group:worker-1"]).await?.int()? == 0);
    let mut third = Member::dispatcher("work", &settings).await?;
    place.books.order("wf-2", "slow 3 x").await?;
    running(&place.agent, 2).await?;
    third.program.kill9().await?;
    let _fourth = Member::dispatcher("work", &settings).await?;
    place.books.order("wf-3", "echo").await?;
    eventually_ok("everything to be settled", PATIENCE, async || place.books.is_drained().await).await?;
    ensure!(place.agent.runs()?.values().all(|count| *count == 1) && place.agent.runs()?.len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_a_run_counts_from_its_acceptance_whoever_follows_it() -> Result<()> {
    let mut place = place(AgentKind::V10).await?;
    let settings = place.settings.clone().with("MIN_IDLE_MS", "2000").with("RUN_DEADLINE", "6s");
    let mut first = Member::dispatcher("work", &settings).await?;
    let accepted = Instant::now();
    place.books.order("wf-1", "hang").await?;
    running(&place.agent, 1).await?;
    // Dead after the better part of the time.
    eventually_ok("four seconds", PATIENCE, async || {
        ensure!(accepted.elapsed() > Duration::from_secs(4));
        Ok(())
    })
    .await?;
    first.program.kill9().await?;
    let _second = Member::dispatcher("work", &settings).await?;
    let key = "incident:dispatch:wf-1-investigation";
    eventually_ok("the deadline", PATIENCE, async || {
        ensure!(place.books.field(key, "reason").await? == "run-deadline");
        Ok(())
    })
    .await?;
    ensure!(accepted.elapsed() < Duration::from_secs(9), "it began anew: {:?}", accepted.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_keeps_from_being_worked_on_is_not_poison() -> Result<()> {
    let mut place = place(AgentKind::V10).await?;
    let worker = Member::dispatcher("work", &place.settings.clone().with("MIN_IDLE_MS", "2000")).await?;
    let health = "incident:events:agent:kagent:triage-agent";
    place.books.0.cmd(&["SET", health, "not a hash"]).await?;
    place.books.order("wf-1", "echo").await?;
    // More often than deliveries would be counted to a poison.
    eventually_ok("twelve tries", PATIENCE, async || {
        let tries = worker.program.log().matches("left alone for a while").count();
        ensure!(tries >= 12, "{tries} tries: {}", worker.program.tail());
        Ok(())
    })
    .await?;
    place.books.0.cmd(&["DEL", health]).await?;
    let key = "incident:dispatch:wf-1-investigation";
    eventually_ok("the outcome", PATIENCE, async || {
        ensure!(place.books.field(key, "state").await? == "settled", "{}", worker.program.tail());
        Ok(())
    })
    .await?;
    ensure!(place.agent.runs()?.len() == 1);
    Ok(())
}
