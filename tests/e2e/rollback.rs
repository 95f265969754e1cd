//! Redis comes back with an older state: what was finished meanwhile does not run again, and its dead letter is back.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::{Books, DEAD, Member, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, Redis, RedisOptions, eventually_ok};

const PATIENCE: Duration = Duration::from_secs(30);

async fn field(books: &mut Books, id: &str, field: &str) -> Result<String> {
    books.field(&format!("incident:dispatch:{id}-investigation"), field).await
}

/// A Redis that keeps only what it was told to save.
async fn redis() -> Result<Redis> {
    Redis::start(RedisOptions { config: vec!["appendonly no".into()], ..RedisOptions::default() }).await
}

/// All these are final in Redis, and everything is acknowledged.
async fn ended(books: &mut Books, ids: &[&str]) -> Result<()> {
    eventually_ok("all outcomes", PATIENCE, async || {
        let mut ends = books.column("incident:outcomes", "workflow_id").await?;
        ends.sort();
        ensure!(ends == ids, "{ends:?}");
        books.is_drained().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgot_of_finished_incidents_is_written_back() -> Result<()> {
    let mut redis = redis().await?;
    // It cannot be asked and recognises nothing: whatever a worker were to take up again would run again.
    let agent = Agent::start(AgentKind::V03, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let mut books = Books::at(&redis.address()).await?;
    // Of these the saved state knows the unread entries.
    books.order("a-settled", "echo").await?;
    books.order("b-dead", "fail").await?;
    books.0.cmd(&["SAVE"]).await?;
    let mut worker = Member::dispatcher("work", &settings).await?;
    // Of these it knows nothing.
    books.order("c-dead", "reject").await?;
    books.order("d-parked", "input").await?;
    let ids = ["a-settled", "b-dead", "c-dead", "d-parked"];
    ended(&mut books, &ids).await?;
    let before = books.column(DEAD, "text").await?;
    let history = field(&mut books, "b-dead", "replid").await?;

    redis.kill9().await?;
    redis.restart().await?;
    let mut books = Books::at(&redis.address()).await?;
    ended(&mut books, &ids).await?;
    for (id, state, reason) in [
        ("a-settled", "settled", "completed"),
        ("b-dead", "dead", "failed"),
        ("c-dead", "dead", "rejected"),
        ("d-parked", "parked", "input-required"),
    ] {
        let record = (field(&mut books, id, "state").await?, field(&mut books, id, "reason").await?);
        ensure!(record == (state.into(), reason.into()), "{id}: {record:?}");
        ensure!(field(&mut books, id, "attempts").await? == "1", "{id}");
    }
    ensure!(field(&mut books, "b-dead", "replid").await? != history, "it was another history");
    let mut dead = books.column(DEAD, "workflow_id").await?;
    dead.sort();
    ensure!(dead == ["b-dead", "c-dead"] && books.column(DEAD, "text").await? == before, "once each: {dead:?}");
    ensure!(books.column("incident:events:parked", "workflow_id").await? == ["d-parked"]);
    ensure!(books.column(DEAD, "attempts").await? == ["1", "1"]);
    let written = worker.metric("worker_finals_written_back_total", "").await?;
    ensure!((written - 4.0).abs() < 0.5, "{written} written back");
    let runs = agent.runs()?;
    ensure!(runs.len() == 4 && runs.values().all(|count| *count == 1), "{runs:?}");

    // A restart that forgets nothing: nothing is done a second time.
    books.0.cmd(&["SAVE"]).await?;
    redis.kill9().await?;
    redis.restart().await?;
    let mut books = Books::at(&redis.address()).await?;
    books.order("e-after", "echo").await?;
    ended(&mut books, &["a-settled", "b-dead", "c-dead", "d-parked", "e-after"]).await?;
    ensure!(books.length(DEAD).await? == 2 && books.length("incident:events:parked").await? == 1);
    let written = worker.metric("worker_finals_written_back_total", "").await?;
    ensure!((written - 4.0).abs() < 0.5, "{written} written back");
    ensure!(worker.program.is_running() && agent.runs()?.len() == 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliberate_new_run_is_not_ended_by_the_last_one() -> Result<()> {
    let mut redis = redis().await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let mut books = Books::at(&redis.address()).await?;
    let worker = Member::dispatcher("work", &settings).await?;
    let entry = books.order("wf", "fail").await?;
    ended(&mut books, &["wf"]).await?;
    // What an operator's retry leaves behind, with a worker that is not known here; the same entry stands for it.
    let key = "incident:dispatch:wf-investigation";
    let fields = ["state", "accepted", "message_id", "wf-investigation-r1", "owner", "somebody", "entry_id", &entry];
    books.0.cmd(&[["HSET", key].as_slice(), &fields].concat()).await?;
    books.0.cmd(&["HDEL", key, "reason"]).await?;
    books.0.cmd(&["SAVE"]).await?;
    let before = books.0.cmd(&["HGETALL", key]).await?.texts()?;

    redis.kill9().await?;
    redis.restart().await?;
    let mut books = Books::at(&redis.address()).await?;
    books.order("wf-after", "echo").await?;
    ended(&mut books, &["wf", "wf-after"]).await?;
    ensure!(books.0.cmd(&["HGETALL", key]).await?.texts()? == before && books.length(DEAD).await? == 1);
    ensure!(worker.metric("worker_finals_written_back_total", "").await? < 0.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_under_a_live_master_is_written_back_too() -> Result<()> {
    let redis = redis().await?;
    let agent = Agent::start(AgentKind::V03, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let mut books = Books::at(&redis.address()).await?;
    let worker = Member::dispatcher("work", &settings).await?;
    for (id, order) in [("a-settled", "echo"), ("b-dead", "fail"), ("c-parked", "input")] {
        books.order(id, order).await?;
    }
    let ids = ["a-settled", "b-dead", "c-parked"];
    ended(&mut books, &ids).await?;
    // Only a record: its dead letter is still there.
    books.0.cmd(&["DEL", "incident:dispatch:b-dead-investigation"]).await?;
    eventually_ok("the record to be back", PATIENCE, async || {
        ensure!(field(&mut books, "b-dead", "state").await? == "dead");
        Ok(())
    })
    .await?;
    ensure!(books.length(DEAD).await? == 1 && field(&mut books, "b-dead", "reason").await? == "failed");
    books.0.cmd(&["FLUSHALL"]).await?;
    ended(&mut books, &ids).await?;
    ensure!(books.column(DEAD, "workflow_id").await? == ["b-dead"]);
    ensure!(books.column("incident:events:parked", "workflow_id").await? == ["c-parked"]);
    let written = worker.metric("worker_finals_written_back_total", "").await?;
    ensure!((written - 4.0).abs() < 0.5, "{written} written back");
    // The producers say it again, and the line goes on.
    for (id, order) in [("a-settled", "echo"), ("b-dead", "fail"), ("d-new", "echo")] {
        books.order(id, order).await?;
    }
    ended(&mut books, &["a-settled", "b-dead", "c-parked", "d-new"]).await?;
    let runs = agent.runs()?;
    ensure!(runs.len() == 4 && runs.values().all(|count| *count == 1), "{runs:?}");
    Ok(())
}
