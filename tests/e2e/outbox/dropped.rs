//! What an operator gives up has ended for the outbox too.

use anyhow::{Result, ensure};
use line_tests::alerts::{burst, count};
use line_tests::line::{DATABASE, DEAD};
use line_tests::{Program, eventually_ok};

use super::scene::{PATIENCE, Scene};

const WAITING: &str = "incident:events:waiting:kagent:triage-agent";

async fn drop_all(scene: &Scene, state: &str) -> Result<()> {
    let (redis, agents) = (format!("redis://{}/{DATABASE}", scene.redis.address()), format!("{}/", scene.agent.url()));
    let settings = [("REDIS_URL", redis.as_str()), ("KAGENT_A2A_URL", agents.as_str())];
    let arguments = ["replay", "drop", "--all", "--state", state, "--reason", "a test", "--yes"];
    let mut program = Program::start("stream-dispatcher", &arguments, &settings)?;
    ensure!(program.exit_code(PATIENCE).await? == 0, "{}", program.tail());
    ensure!(program.output().contains("dropped=1 "), "{}", program.output());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_stays_so_when_everything_is_flushed() -> Result<()> {
    let mut scene = Scene::open().await?;
    let mut worker = scene.worker().await?;
    let asks = burst(1, 1, "input");
    scene.post(&asks).await?;
    scene.ran(1).await?;
    scene.closed().await?;
    drop_all(&scene, "parked").await?;

    scene.agent.stop().await?;
    let waits = burst(2, 1, "echo");
    scene.post(&waits).await?;
    let mut books = scene.books().await?;
    eventually_ok("the agent to be closed", PATIENCE, async || {
        ensure!(books.length(WAITING).await? == 1);
        Ok(())
    })
    .await?;
    drop_all(&scene, "waiting").await?;
    scene.closed().await?;
    scene.agent.restart().await?;

    // It remembers for a while that the first one was parked; here only the outbox does.
    worker.program.kill9().await?;
    books.0.cmd(&["FLUSHALL"]).await?;
    eventually_ok("both to be put back", PATIENCE, async || {
        let reasons = books.column(DEAD, "reason").await?;
        ensure!(reasons == ["dropped"; 2], "{reasons:?}");
        Ok(())
    })
    .await?;
    ensure!(books.column(DEAD, "error").await?.iter().all(|error| error.contains("a test")));
    for alerts in [asks, waits] {
        let answer = scene.post(&alerts).await?;
        ensure!(count(&answer, "duplicate") == 1, "{answer}");
    }
    scene.ran(1).await
}
