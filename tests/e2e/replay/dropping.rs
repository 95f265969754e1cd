//! `drop`.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::{Books, DEAD, GROUP, Member, STREAM, Settings};
use line_tests::{Agent, AgentKind, AgentOptions, eventually_ok};

use super::counter::{Counter, PARKED, WAITING};

const PATIENCE: Duration = Duration::from_secs(20);

async fn field(books: &mut Books, workflow_id: &str, name: &str) -> Result<String> {
    let key = format!("incident:dispatch:{workflow_id}-investigation");
    Ok(books.0.cmd(&["HGET", &key, name]).await?.text()?.to_owned())
}

async fn ghost_idles(counter: &mut Counter, id: &str) -> Result<()> {
    let words = ["XCLAIM", STREAM, GROUP, "ghost", "0", id, "IDLE", "60000", "JUSTID"];
    counter.books.0.cmd(&words).await.map(drop)
}

#[tokio::test]
async fn everything_that_is_open_becomes_a_dead_letter_once() -> Result<()> {
    let mut counter = Counter::open().await?;
    let held = counter.held("am-held", "x", "1").await?;
    ghost_idles(&mut counter, &held).await?;
    counter.waiting("am-waiting").await?;
    counter.copy(PARKED, "am-parked", "x", "input-required").await?;
    let unread = counter.books.order("am-unread", "x").await?;
    let all = ["am-held", "am-waiting", "am-parked", "am-unread"];
    let arguments = |rest: &'static [&'static str]| [&["drop"], &all[..], &["--reason", "a test"], rest].concat();
    let said = counter.replay(&arguments(&["--dry-run"])).await?;
    ensure!(said.code == 0 && said.last().starts_with("replay: dropped=4 skipped=0 failed=0 (dry"), "{}", said.out);
    ensure!(counter.books.length(DEAD).await? == 0);

    let said = counter.replay(&arguments(&["--yes"])).await?;
    ensure!(said.code == 0 && said.last() == "replay: dropped=4 skipped=0 failed=0", "{} {}", said.out, said.err);
    let books = &mut counter.books;
    ensure!(books.column(DEAD, "reason").await? == ["dropped"; 4]);
    ensure!(books.column(DEAD, "error").await? == ["dropped by an operator: a test"; 4]);
    let mut dead = books.column(DEAD, "workflow_id").await?;
    dead.sort();
    ensure!(dead == ["am-held", "am-parked", "am-unread", "am-waiting"], "{dead:?}");
    ensure!(books.column(DEAD, "original_id").await?.contains(&"5-1".to_owned()), "the parked one's own");
    ensure!(books.pending().await? == 0 && books.length(WAITING).await? == 0 && books.length(PARKED).await? == 0);
    ensure!(books.0.cmd(&["EXISTS", "incident:events:waiting"]).await?.int()? == 0);
    ensure!(books.length("incident:outcomes").await? == 4);
    for id in all {
        ensure!(field(books, id, "state").await? == "dead" && field(books, id, "reason").await? == "dropped", "{id}");
        let key = format!("incident:dispatch:{id}-investigation");
        ensure!(books.0.cmd(&["TTL", &key]).await?.int()? > 0, "{id}: a final record expires");
    }
    let said = counter.replay(&arguments(&["--yes"])).await?;
    ensure!(said.code == 0 && said.last() == "replay: dropped=0 skipped=4 failed=0", "{}", said.out);
    ensure!(counter.books.length(DEAD).await? == 4 && counter.books.length("incident:outcomes").await? == 4);

    // The unread one is still on the stream: whoever reads it finds that it has ended.
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let settings = Settings::of_redis(&counter.redis.address()).agents_at(&agent.url());
    let _worker = Member::dispatcher("work", &settings).await?;
    eventually_ok("the stream to be drained", PATIENCE, async || counter.books.is_drained().await).await?;
    ensure!(agent.executions().await?.is_empty() && counter.books.length(DEAD).await? == 4, "{unread}");
    Ok(())
}

#[tokio::test]
async fn what_a_worker_is_at_work_on_needs_force_and_its_task_is_canceled() -> Result<()> {
    let mut counter = Counter::open().await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    counter.agents = format!("{}/?agent={{agent}}", agent.url());
    let settings = Settings::of_redis(&counter.redis.address()).agents_at(&agent.url()).with("MIN_IDLE_MS", "2000");
    let worker = Member::dispatcher("work", &settings).await?;
    counter.books.order("am-1", "slow 600").await?;
    eventually_ok("the run", PATIENCE, async || {
        ensure!(field(&mut counter.books, "am-1", "state").await? == "accepted");
        Ok(())
    })
    .await?;
    let drop = ["drop", "am-1", "--yes", "--reason", "enough"];
    let said = counter.replay(&drop).await?;
    ensure!(said.code == 0 && said.out.contains("in progress") && said.out.contains("--force"), "{}", said.out);
    let said = counter.replay(&[&drop[..], &["--force"]].concat()).await?;
    ensure!(said.code == 0 && said.last() == "replay: dropped=1 skipped=0 failed=0", "{} {}", said.out, said.err);
    ensure!(said.out.contains("was canceled"), "{}", said.out);
    // The slot is free again, and the worker's verdict on the canceled run changes nothing.
    counter.books.order("am-2", "echo").await?;
    eventually_ok("the next one", PATIENCE, async || {
        ensure!(field(&mut counter.books, "am-2", "state").await? == "settled");
        ensure!(worker.metric("dispatch_in_flight", "").await? < 1.0);
        Ok(())
    })
    .await?;
    ensure!(counter.books.pending().await? == 0 && counter.books.column(DEAD, "reason").await? == ["dropped"]);
    ensure!(field(&mut counter.books, "am-1", "reason").await? == "dropped");

    let said = counter.replay(&["retry", "am-1", "--yes"]).await?;
    ensure!(said.code == 0 && said.last() == "replay: retried=1 skipped=0 failed=0", "{}", said.out);
    ensure!(field(&mut counter.books, "am-1", "message_id").await? == "am-1-investigation-r1");
    Ok(())
}

#[tokio::test]
async fn what_names_no_incident_and_what_has_ended_is_removed() -> Result<()> {
    let mut counter = Counter::open().await?;
    let nameless = counter.books.add(STREAM, &[("junk", "1")]).await?;
    counter.ghost_reads().await?;
    ghost_idles(&mut counter, &nameless).await?;
    let said = counter.replay(&["drop", &nameless, "--yes", "--reason", "junk"]).await?;
    ensure!(said.last() == "replay: dropped=1 skipped=0 failed=0", "{} {}", said.out, said.err);
    ensure!(counter.books.pending().await? == 0 && counter.books.column(DEAD, "junk").await? == ["1"]);

    let ended = counter.held("am-1", "x", "1").await?;
    ghost_idles(&mut counter, &ended).await?;
    let key = "incident:dispatch:am-1-investigation";
    counter.books.0.cmd(&["HSET", key, "v", "1", "state", "settled"]).await?;
    let said = counter.replay(&["drop", "--all", "--state", "pending", "--yes", "--reason", "x"]).await?;
    ensure!(said.out.contains("settled already") && counter.books.pending().await? == 0, "{}", said.out);
    counter.copy(PARKED, "am-2", "x", "uncertain").await?;
    counter.books.0.cmd(&["HSET", "incident:dispatch:am-2-investigation", "v", "1", "state", "sending"]).await?;
    let said = counter.replay(&["drop", "am-2", "--yes", "--reason", "x"]).await?;
    ensure!(said.out.contains("a later run is sending") && counter.books.length(PARKED).await? == 1, "{}", said.out);
    counter.books.0.cmd(&["HSET", "incident:dispatch:am-2-investigation", "v", "1", "state", "settled"]).await?;
    let said = counter.replay(&["drop", "am-2", "--yes", "--reason", "x"]).await?;
    ensure!(said.out.contains("settled already") && counter.books.length(PARKED).await? == 0, "{}", said.out);
    for arguments in [&["drop", "am-2", "--yes"][..], &["drop", "am-2", "--reason", " ", "--yes"]] {
        let said = counter.replay(arguments).await?;
        ensure!(said.code == 64, "{arguments:?}: {} {}", said.code, said.err);
    }
    Ok(())
}
