//! Accepted is accepted: without Redis, over a kill of the hook, in order, up to a limit.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use line_tests::alerts::{self, Alert, burst, count};
use line_tests::line::{Member, STREAM, Settings};
use line_tests::{AgentKind, eventually_ok};

use super::scene::{PATIENCE, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_without_redis_is_published_in_order_after_a_kill_of_the_hook() -> Result<()> {
    let mut scene = Scene::with(AgentKind::V10, |settings| settings.with("DIRECT_AFTER", "1h")).await?;
    scene.redis.kill9().await?;
    let alerts = burst(1, 250, "echo");
    for group in alerts.chunks(50) {
        let answer = scene.post(group).await?;
        ensure!(count(&answer, "outbox") == 50 && count(&answer, "accepted") == 50, "{answer}");
    }
    let answer = scene.post(&alerts).await?;
    ensure!(count(&answer, "duplicate") == 250 && count(&answer, "accepted") == 0, "{answer}");
    scene.kill_hook().await?;
    scene.redis.restart().await?;
    let mut books = scene.books().await?;
    eventually_ok("the stream to have them", PATIENCE, async || {
        ensure!(books.length(STREAM).await? == 250);
        Ok(())
    })
    .await?;
    let order: Vec<_> = alerts.iter().map(|alert| alert.fingerprint.clone()).collect();
    ensure!(books.column(STREAM, "fingerprint").await? == order, "not in order");
    // They were never offered before, so nobody has to ask the agent about them.
    let ids = books.column(STREAM, "workflow_id").await?;
    let record = format!("incident:dispatch:{}-investigation", ids.first().map_or("", String::as_str));
    let state = books.field(&record, "state").await?;
    ensure!(state == "queued", "{state}");
    let _worker = scene.worker().await?;
    scene.ran(250).await?;
    scene.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_waits_in_the_outbox() -> Result<()> {
    let scene = Scene::with(AgentKind::V10, |settings| settings.with("STREAM_MAX_OPEN", "20")).await?;
    for group in burst(1, 100, "echo").chunks(10) {
        scene.post(group).await?;
    }
    let mut books = scene.books().await?;
    eventually_ok("the stream to have its part", PATIENCE, async || {
        ensure!(books.length(STREAM).await? == 20);
        Ok(())
    })
    .await?;
    let waiting = scene.hook.metric("outbox_open", r#"place="kept""#).await?;
    ensure!((waiting - 80.0).abs() < 0.5, "{waiting} wait");
    let _worker = scene.worker().await?;
    scene.ran(100).await?;
    scene.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_leaves_the_way_over_redis() -> Result<()> {
    let mut scene = Scene::with(AgentKind::V10, |settings| {
        settings.with("OUTBOX_MAX_OPEN", "5").with("DIRECT_AFTER", "1h").agents_at("http://127.0.0.1:9")
    })
    .await?;
    scene.redis.kill9().await?;
    scene.post(&burst(1, 5, "echo")).await?;
    let (status, answer) = alerts::post(&scene.hook.http, &[Alert::firing(6, "echo")]).await?;
    ensure!(status == 503, "{status} {answer}");
    scene.redis.restart().await?;
    let mut books = scene.books().await?;
    eventually_ok("the five", PATIENCE, async || {
        ensure!(books.length(STREAM).await? == 5);
        Ok(())
    })
    .await?;
    let answer = scene.post(&[Alert::firing(6, "echo")]).await?;
    ensure!(count(&answer, "stream") == 1, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_is_an_error_with_the_reason() -> Result<()> {
    let scene = Scene::open().await?;
    let mut second = Member::launch("stream-dispatcher", &["hook"], &scene.settings)?;
    let code = second.program.exit_code(PATIENCE).await?;
    let log = second.program.log();
    ensure!(code == 1 && log.contains("outbox.redb"), "{code}: {log}");
    let mode = std::fs::metadata(scene.file())?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "others may read it: {mode:o}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_is_kept_and_drains_it_when_the_hook_is_gone() -> Result<()> {
    let mut scene = Scene::with(AgentKind::V10, |settings| settings.with("DIRECT_AFTER", "1h")).await?;
    scene.redis.kill9().await?;
    scene.post(&burst(1, 120, "echo")).await?;
    let settings = scene.settings.clone().with("OUTBOX_URL", scene.hook.admin.clone());
    let listed = said(&["replay", "list", "-o", "json"], &settings, 69).await?;
    ensure!(listed.matches(r#""state":"outbox""#).count() == 120 && listed.contains(r#""reason":"kept""#), "{listed}");

    let held = said(&["outbox", "drain"], &scene.settings, 1).await?;
    ensure!(held.contains("cannot be opened"), "{held}");
    scene.hook.program.terminate(PATIENCE).await?;
    let away = said(&["outbox", "drain"], &scene.settings, 69).await?;
    ensure!(away.contains("left=120"), "{away}");
    scene.redis.restart().await?;
    let drained = said(&["outbox", "drain"], &scene.settings, 0).await?;
    ensure!(drained.contains("published=120 left=0"), "{drained}");
    ensure!(scene.books().await?.length(STREAM).await? == 120);
    Ok(())
}

/// Runs a command to its end; all that it said.
async fn said(arguments: &[&str], settings: &Settings, code: i32) -> Result<String> {
    let mut command = Member::launch("stream-dispatcher", arguments, settings)?;
    let ended = command.program.exit_code(PATIENCE).await?;
    let said = format!("{}{}", command.program.output(), command.program.log());
    ensure!(ended == code, "{ended} instead of {code}: {said}");
    Ok(said)
}
