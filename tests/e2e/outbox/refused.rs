//! Redis answers and takes nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use line_tests::alerts::burst;
use line_tests::{AgentKind, eventually_ok};

use super::scene::{LEASE, PATIENCE, Scene};

/// Incidents that wait, each of which calls for another try of all.
const WAITING: u64 = 60;
/// Incidents whose runs go on while Redis takes no writes.
const RUNNING: u64 = 8;
/// Tries in a second: one in 100 ms by the loop of what waits, one by that of what was offered before.
const TRIES_A_SECOND: f64 = 11.0;

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_refuses_is_said_once_and_tried_at_a_bounded_rate() -> Result<()> {
    let scene = Scene::with(AgentKind::V10, |settings| settings.with("DIRECT_AFTER", "1h")).await?;
    let mut books = scene.books().await?;
    books.0.cmd(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    let begin = Instant::now();
    for alert in burst(1, WAITING, "echo") {
        scene.post(&[alert]).await?;
    }
    let errors = scene.hook.metric("redis_errors_total", "").await?;
    let tries = begin.elapsed().as_secs_f64() * TRIES_A_SECOND + 2.0;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let most = tries * WAITING as f64;
    ensure!(errors >= 1.0 && errors <= most, "{errors} refusals, at most {most} are right");
    let log = scene.hook.program.log();
    ensure!(log.matches("not published").count() == 1 && log.contains("OOM"), "{log}");
    books.0.cmd(&["CONFIG", "SET", "maxmemory", "0"]).await?;
    let _worker = scene.worker().await?;
    scene.ran(usize::try_from(WAITING)?).await?;
    scene.closed().await
}

/// Two entries of one incident at an agent that cannot be asked: whoever waits until nobody speaks of it any more must
/// not take for silence that Redis lets nobody speak.
#[tokio::test(flavor = "multi_thread")]
async fn silence_while_redis_takes_no_writes_is_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("agents.toml");
    std::fs::write(&file, "[defaults]\nversion = \"0.3\"\nmode = \"blocking\"\nrecovery = \"none\"\n")?;
    let scene = Scene::with(AgentKind::V03, |settings| settings.with("CONFIG", file.to_string_lossy())).await?;
    let _workers = (scene.worker().await?, scene.worker().await?);
    scene.post(&burst(1, RUNNING, "slow 9 x")).await?;
    scene.ran(usize::try_from(RUNNING)?).await?;
    let mut books = scene.books().await?;
    books.0.cmd(&["FLUSHALL"]).await?;
    eventually_ok("their second entries to be delivered", PATIENCE, async || {
        ensure!(books.pending().await? == i64::try_from(RUNNING)?);
        Ok(())
    })
    .await?;
    books.0.cmd(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await?;
    // How long it lasts is the case, longer than a lease: nothing is waited for.
    tokio::time::sleep(LEASE + Duration::from_millis(500)).await;
    books.0.cmd(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await?;
    scene.closed().await?;
    scene.once()
}
