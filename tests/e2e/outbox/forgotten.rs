//! Redis forgets: all of it, single keys, what came after a snapshot. What is open runs, what has ended stays so.

use anyhow::{Result, ensure};
use line_tests::alerts::{Alert, burst, count};
use line_tests::line::{DEAD, Member, STREAM};
use line_tests::{AgentKind, eventually_ok};

use super::scene::{PATIENCE, Scene};

async fn reasons(scene: &Scene) -> Result<Vec<String>> {
    scene.books().await?.column(DEAD, "reason").await
}

/// Three settled, two dead letters, one parked.
async fn six_ends(scene: &Scene) -> Result<Vec<Alert>> {
    let mut alerts = burst(1, 3, "echo");
    alerts.extend([Alert::firing(11, "fail"), Alert::firing(12, "reject"), Alert::firing(13, "input")]);
    scene.post(&alerts).await?;
    scene.ran(6).await?;
    scene.closed().await?;
    ensure!(reasons(scene).await?.len() == 2);
    Ok(alerts)
}

async fn six_ends_are_back(scene: &Scene) -> Result<()> {
    eventually_ok("all ends to be put back", PATIENCE, async || {
        let mut books = scene.books().await?;
        let mut dead = books.column(DEAD, "reason").await?;
        dead.sort();
        ensure!(dead == ["failed", "rejected"], "{dead:?}");
        let parked = books.column("incident:events:parked", "reason").await?;
        ensure!(parked == ["input-required"], "{parked:?}");
        let records = books.0.cmd(&["KEYS", "incident:dispatch:*"]).await?.texts()?;
        ensure!(records.len() == 6, "{records:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_flushed() -> Result<()> {
    let scene = Scene::open().await?;
    let _worker = scene.worker().await?;
    let alerts = six_ends(&scene).await?;
    scene.books().await?.0.cmd(&["FLUSHALL"]).await?;
    six_ends_are_back(&scene).await?;
    let answer = scene.post(&alerts).await?;
    ensure!(count(&answer, "duplicate") == 6, "{answer}");
    // What is open when everything is flushed runs too.
    scene.post(&burst(21, 5, "slow 2")).await?;
    scene.ran(11).await?;
    scene.books().await?.0.cmd(&["FLUSHALL"]).await?;
    scene.post(&burst(31, 5, "echo")).await?;
    scene.ran(16).await?;
    scene.closed().await?;
    six_ends_are_back_among(&scene, 16).await?;
    scene.once()
}

async fn six_ends_are_back_among(scene: &Scene, records: usize) -> Result<()> {
    eventually_ok("the records of all", PATIENCE, async || {
        let mut books = scene.books().await?;
        let found = books.0.cmd(&["KEYS", "incident:dispatch:*"]).await?.texts()?;
        ensure!(found.len() == records, "{found:?}");
        ensure!(books.length(DEAD).await? == 2 && books.length("incident:events:parked").await? == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn single_keys_are_evicted() -> Result<()> {
    let scene = Scene::open().await?;
    let mut worker = scene.worker().await?;
    six_ends(&scene).await?;
    // It would put back what it has finished itself.
    worker.program.terminate(PATIENCE).await?;
    for key in [DEAD, "incident:events:parked", "incident:outcomes"] {
        scene.books().await?.0.cmd(&["DEL", key]).await?;
    }
    let mut books = scene.books().await?;
    let records = books.0.cmd(&["KEYS", "incident:dispatch:*"]).await?.texts()?;
    // Those without a copy: a record and its copy that are both missing would be put back by one call.
    for record in &records {
        if books.0.cmd(&["HGET", record, "state"]).await?.text()? == "settled" {
            books.0.cmd(&["DEL", record]).await?;
        }
    }
    six_ends_are_back(&scene).await?;
    let restored = scene.hook.metric("outbox_restored_total", "").await?;
    ensure!(restored > 5.5, "{restored} put back");
    scene.once()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_evicted_before_anybody_read_it() -> Result<()> {
    let scene = Scene::open().await?;
    scene.post(&burst(1, 20, "echo")).await?;
    let mut books = scene.books().await?;
    ensure!(books.length(STREAM).await? == 20);
    books.0.cmd(&["DEL", STREAM]).await?;
    eventually_ok("all to be on the stream again", PATIENCE, async || {
        ensure!(books.length(STREAM).await? == 20);
        Ok(())
    })
    .await?;
    let _worker = scene.worker().await?;
    scene.ran(20).await?;
    scene.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_with_an_old_snapshot() -> Result<()> {
    let mut scene = Scene::open().await?;
    let _worker = scene.worker().await?;
    scene.post(&[Alert::firing(90, "echo")]).await?;
    scene.ran(1).await?;
    scene.closed().await?;
    scene.books().await?.0.cmd(&["SAVE"]).await?;
    six_ends_after(&scene).await?;
    scene.redis.kill9().await?;
    scene.redis.restart().await?;
    eventually_ok("the ends to be put back", PATIENCE, async || {
        let dead = reasons(&scene).await?;
        ensure!(dead == ["failed"], "{dead:?}");
        Ok(())
    })
    .await?;
    scene.post(&[Alert::firing(95, "echo")]).await?;
    scene.ran(6).await?;
    scene.closed().await?;
    let other = scene.hook.metric("hook_history_total", r#"verdict="unknown""#).await?;
    ensure!(other > 0.5, "the change of history was not noticed");
    scene.once()
}

/// What one hook has put back, the other does not know; and then the record that says so is gone as well.
#[tokio::test(flavor = "multi_thread")]
async fn two_hooks_put_a_copy_back_once() -> Result<()> {
    let mut scene = Scene::open().await?;
    let mut worker = scene.worker().await?;
    let file = scene.file().with_extension("second");
    let mut other =
        Member::dispatcher("hook", &scene.settings.clone().with("OUTBOX_PATH", file.to_string_lossy())).await?;
    six_ends(&scene).await?;
    eventually_ok("the other hook to know all ends", PATIENCE, async || {
        let kept = other.metric("outbox_tombstones", "").await?;
        ensure!(kept > 5.5, "{kept} tombstones");
        Ok(())
    })
    .await?;
    // It would put back what it has finished itself.
    worker.program.terminate(PATIENCE).await?;
    other.program.pause()?;
    let mut books = scene.books().await?;
    books.0.cmd(&["FLUSHALL"]).await?;
    six_ends_are_back(&scene).await?;
    scene.hook.program.pause()?;
    let records = books.0.cmd(&["KEYS", "incident:dispatch:*"]).await?.texts()?;
    for record in &records {
        books.0.cmd(&["DEL", record]).await?;
    }
    other.program.resume()?;
    six_ends_are_back(&scene).await?;
    scene.hook.program.resume()
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_begin_again_below_what_was_read_are_read() -> Result<()> {
    // Too rare a round to help.
    let scene = Scene::with(AgentKind::V10, |settings| settings.with("OUTBOX_ROUND", "1h")).await?;
    let _worker = scene.worker().await?;
    let mut books = scene.books().await?;
    let in_an_hour = (jiff::Timestamp::now().as_millisecond() + 3_600_000).to_string();
    // As a server writes whose clock is ahead; what comes after it has ids above it.
    books.0.cmd(&["XADD", "incident:outcomes", &in_an_hour, "workflow_id", "am-1"]).await?;
    scene.post(&burst(1, 3, "echo")).await?;
    scene.ran(3).await?;
    scene.closed().await?;
    books.0.cmd(&["FLUSHALL"]).await?;
    scene.post(&burst(11, 3, "echo")).await?;
    scene.ran(6).await?;
    scene.closed().await
}

async fn six_ends_after(scene: &Scene) -> Result<()> {
    scene.post(&burst(1, 3, "echo")).await?;
    scene.post(&[Alert::firing(11, "fail")]).await?;
    scene.ran(5).await?;
    scene.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_retry_is_not_undone() -> Result<()> {
    let scene = Scene::with(AgentKind::V10, |settings| settings).await?;
    let _worker = scene.worker().await?;
    scene.post(&[Alert::firing(11, "fail")]).await?;
    scene.ran(1).await?;
    scene.closed().await?;
    let mut retry = Member::launch(
        "stream-dispatcher",
        &["replay", "retry", "--all", "--state", "dead", "--yes"],
        &scene.settings,
    )?;
    ensure!(retry.program.exit_code(PATIENCE).await? == 0, "{}", retry.program.log());
    // The same text fails again, as a run of its own: one dead letter, not two.
    scene.ran(2).await?;
    scene.post(&burst(1, 3, "echo")).await?;
    scene.ran(5).await?;
    scene.closed().await?;
    ensure!(reasons(&scene).await? == ["failed"], "{:?}", reasons(&scene).await?);
    Ok(())
}

/// Outcomes that were deleted before the hook had read them, while others came after them: the ids go on, the stream is
/// another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_deleted_unread_is_asked_for_at_once() -> Result<()> {
    let mut scene = Scene::with(AgentKind::V10, |settings| settings.with("OUTBOX_ROUND", "1h")).await?;
    let _worker = scene.worker().await?;
    scene.post(&burst(1, 3, "echo")).await?;
    scene.ran(3).await?;
    scene.closed().await?;
    scene.post(&[Alert::firing(11, "slow 1 x")]).await?;
    scene.hook.program.pause()?;
    let mut books = scene.books().await?;
    eventually_ok("its end", PATIENCE, async || {
        ensure!(books.length("incident:outcomes").await? == 4);
        Ok(())
    })
    .await?;
    books.0.cmd(&["DEL", "incident:outcomes"]).await?;
    books.order("foreign", "echo").await?;
    scene.ran(5).await?;
    eventually_ok("an end after it", PATIENCE, async || {
        ensure!(books.length("incident:outcomes").await? == 1);
        Ok(())
    })
    .await?;
    scene.hook.program.resume()?;
    scene.closed().await
}
