//! `retry`, with workers and real agents.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use line_tests::line::{DEAD, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, eventually, eventually_ok};

use super::counter::{Counter, PARKED, WAITING};

const PATIENCE: Duration = Duration::from_secs(20);

async fn agent_for(counter: &mut Counter, kind: AgentKind) -> Result<Agent> {
    let agent = Agent::start(kind, AgentOptions::default()).await?;
    counter.agents = format!("{}/?agent={{agent}}", agent.url());
    Ok(agent)
}

async fn worker(counter: &Counter) -> Result<Member> {
    let settings = Settings::of_redis(&counter.redis.address());
    let settings = settings.with("KAGENT_A2A_URL", &*counter.agents).with("MIN_IDLE_MS", counter.lease);
    Member::dispatcher("work", &settings).await
}

async fn message_ids(agent: &Agent) -> Result<Vec<String>> {
    Ok(agent.executions().await?.into_iter().map(|execution| execution.message_id).collect())
}

#[tokio::test]
async fn what_a_silent_worker_holds_is_taken_over_at_once() -> Result<()> {
    let mut counter = Counter::open().await?;
    let _agent = agent_for(&mut counter, AgentKind::V10).await?;
    let id = counter.held("am-1", "slow 600", "3").await?;
    let _worker = worker(&counter).await?;
    let said = counter.replay(&["retry", "--yes", &id]).await?;
    ensure!(said.code == 0 && said.last() == "replay: retried=0 skipped=1 failed=0", "{}", said.out);
    ensure!(said.out.contains("in progress") && said.out.contains("--force"), "{}", said.out);
    ensure!(counter.holder(&id).await?.as_deref() == Some("ghost"));

    let said = counter.replay(&["retry", "--yes", "--force", "am-1"]).await?;
    ensure!(said.code == 0 && said.last() == "replay: retried=1 skipped=0 failed=0", "{} {}", said.out, said.err);
    // The lease is 30 seconds: without the retry the worker could not have it for as long.
    eventually("the worker to take it", Duration::from_secs(2), async || {
        counter.holder(&id).await.ok()?.filter(|holder| holder != "ghost" && holder != "handed-back")
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_stuck_entry_keeps_its_delivery_count_and_is_given_once() -> Result<()> {
    let mut counter = Counter::open().await?;
    let id = counter.held("am-1", "x", "4").await?;
    let words = ["XCLAIM", STREAM, "dispatch-group", "ghost", "0", &id, "IDLE", "60000", "JUSTID"];
    counter.books.0.cmd(&words).await?;
    for (retried, skipped) in [(1, 0), (0, 1)] {
        let said = counter.replay(&["retry", "--all", "--state", "stuck", "--yes"]).await?;
        let summary = format!("replay: retried={retried} skipped={skipped} failed=0");
        ensure!(said.code == 0 && said.last() == summary, "{} {}", said.out, said.err);
        let list = counter.replay(&["list", "-o", "json"]).await?;
        let row = &list.rows()?[0];
        ensure!(row["owner"] == "handed-back" && row["deliveries"] == 4, "{row}");
        ensure!(row["idle_ms"].as_i64().context("idle_ms")? >= 30_000, "{row}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_runs_again_as_a_new_run_once() -> Result<()> {
    let mut counter = Counter::open().await?;
    let agent = agent_for(&mut counter, AgentKind::V10).await?;
    let _worker = worker(&counter).await?;
    let id = counter.dead("am-1").await?;
    let said = counter.replay(&["retry", "--yes", &id]).await?;
    ensure!(said.code == 0 && said.last() == "replay: retried=1 skipped=0 failed=0", "{} {}", said.out, said.err);
    ensure!(counter.books.length(DEAD).await? == 0, "the dead letter is gone");
    for name in ["error", "original_id", "failed_at", "reason", "attempts", "task_id", "context_id"] {
        ensure!(counter.books.column(STREAM, name).await?.is_empty(), "{name}");
    }
    eventually_ok("the new run to settle", PATIENCE, async || {
        match &*counter.books.field("incident:dispatch:am-1-investigation", "state").await? {
            "settled" => Ok(()),
            state => bail!("it is {state}"),
        }
    })
    .await?;
    ensure!(message_ids(&agent).await? == ["am-1-investigation-r1"]);

    let by_entry = counter.replay(&["retry", "--yes", &id]).await?;
    ensure!(by_entry.code == 1 && by_entry.out.contains("retried already"), "{}", by_entry.out);
    let by_name = counter.replay(&["retry", "--yes", "am-1"]).await?;
    ensure!(by_name.code == 0 && by_name.out.contains("acknowledged (settled)"), "{}", by_name.out);
    ensure!(message_ids(&agent).await?.len() == 1 && counter.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn each_retry_is_another_run_and_a_settled_one_is_left_alone() -> Result<()> {
    let mut counter = Counter::open().await?;
    let agent = agent_for(&mut counter, AgentKind::V10).await?;
    let _worker = worker(&counter).await?;
    counter.books.order("am-1", "fail always").await?;
    for runs in 1..=2 {
        eventually_ok("a dead letter", PATIENCE, async || {
            let (dead, ids) = (counter.books.length(DEAD).await?, message_ids(&agent).await?);
            ensure!(dead == 1 && ids.len() == runs, "{dead} dead, {ids:?}");
            Ok(())
        })
        .await?;
        let said = counter.replay(&["retry", "--yes", "am-1"]).await?;
        ensure!(said.code == 0 && said.out.contains("retried=1"), "{} {}", said.out, said.err);
    }
    let expected = ["am-1-investigation", "am-1-investigation-r1", "am-1-investigation-r2"];
    eventually_ok("the third run", PATIENCE, async || {
        ensure!(message_ids(&agent).await? == expected && counter.books.length(DEAD).await? == 1);
        Ok(())
    })
    .await?;
    let client = &mut counter.books.0;
    client.cmd(&["HSET", "incident:dispatch:am-1-investigation", "state", "settled"]).await?;
    let said = counter.replay(&["retry", "--yes", "--all"]).await?;
    ensure!(said.out.contains("settled it") && said.last().contains("retried=0 skipped=1"), "{}", said.out);
    ensure!(counter.books.length(DEAD).await? == 1);
    Ok(())
}

#[tokio::test]
async fn the_open_task_of_a_parked_incident_is_canceled_first() -> Result<()> {
    let mut counter = Counter::open().await?;
    let agent = agent_for(&mut counter, AgentKind::V10).await?;
    let _worker = worker(&counter).await?;
    counter.books.order("am-1", "input").await?;
    eventually_ok("a parked copy", PATIENCE, async || {
        ensure!(counter.books.length(PARKED).await? == 1);
        Ok(())
    })
    .await?;
    let task = counter.books.column(PARKED, "task_id").await?.remove(0);
    let said = counter.replay(&["retry", "--yes", "am-1"]).await?;
    ensure!(said.code == 0 && said.out.contains(&format!("its open task {task} was canceled")), "{}", said.out);
    let expected = ["am-1-investigation", "am-1-investigation-r1"];
    eventually_ok("the new run to be parked", PATIENCE, async || {
        ensure!(message_ids(&agent).await? == expected && counter.books.length(PARKED).await? == 1);
        Ok(())
    })
    .await?;
    let cancels = agent.requests().await?.iter().filter(|request| request["rpc"] == "CancelTask").count();
    ensure!(cancels == 1, "{cancels}");
    Ok(())
}

#[tokio::test]
async fn an_agent_that_is_gone_does_not_keep_a_parked_incident_from_a_new_run() -> Result<()> {
    let mut counter = Counter::open().await?;
    let fields = [("workflow_id", "am-1"), ("agent_target", "triage-agent"), ("text", "x"), ("task_id", "t-1")];
    counter.books.add(PARKED, &fields).await?;
    let said = counter.replay(&["retry", "--yes", "am-1"]).await?;
    ensure!(said.code == 0 && said.out.contains("its open task t-1 stays"), "{} {}", said.out, said.err);
    ensure!(counter.books.length(PARKED).await? == 0 && counter.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn waiting_entries_come_back_with_their_record() -> Result<()> {
    let mut counter = Counter::open().await?;
    let (first, second) = (counter.waiting("am-1").await?, counter.waiting("am-2").await?);
    let key = "incident:dispatch:am-1-investigation";
    let words = ["HSET", key, "v", "1", "state", "queued", "entry_id", &first, "stream", WAITING];
    counter.books.0.cmd(&words).await?;
    let said = counter.replay(&["retry", "--yes", "am-1"]).await?;
    ensure!(said.code == 0 && said.out.contains("back on the stream as"), "{} {}", said.out, said.err);
    ensure!(counter.books.field(key, "stream").await? == STREAM);
    ensure!(
        counter.books.column(STREAM, "workflow_id").await? == ["am-1"] && counter.books.length(WAITING).await? == 1
    );
    let again = counter.replay(&["retry", "--yes", "am-1"]).await?;
    ensure!(again.code == 0 && again.out.contains("not read yet"), "{}", again.out);

    let said = counter.replay(&["retry", "--yes", "--all", "--state", "waiting"]).await?;
    ensure!(said.last() == "replay: retried=1 skipped=0 failed=0" && said.out.contains(&second), "{}", said.out);
    let left = counter.books.0.cmd(&["EXISTS", WAITING, "incident:events:waiting"]).await?.int()?;
    ensure!(left == 0 && counter.books.length(STREAM).await? == 2, "an empty waiting stream is no more");
    Ok(())
}
