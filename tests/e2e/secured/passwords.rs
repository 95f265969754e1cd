//! Wrong passwords: one clear error, no end of the process, and well again when the file is.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use line_tests::alerts;
use line_tests::line::{Books, DATABASE, Member, Settings};
use line_tests::{
    Agent, AgentKind, AgentOptions, Client, Redis, RedisOptions, Trio, TrioOptions, eventually, eventually_ok,
};
use tempfile::NamedTempFile;
use tonic::Code;

use super::{PASSWORD, PATIENCE, until_backlog, until_error, user};

const WRONG: &str = "marker-of-a-secret";

/// Waits until the server has refused `count` sign-ins.
async fn refused(client: &mut Client, count: i64) -> Result<()> {
    eventually(format!("{count} refused sign-ins"), PATIENCE, async || {
        let log = client.cmd(&["ACL", "LOG"]).await.ok()?;
        let mut sum = 0;
        for entry in log.items().ok()? {
            let entry = entry.fields().ok()?;
            if entry.get("reason")?.text().ok()? == "auth" {
                sum += entry.get("count")?.int().ok()?;
            }
        }
        (sum >= count).then_some(())
    })
    .await
}

/// Said once, with the setting to look at and without the secret, however often it is tried.
fn expect_one_error(log: &str, setting: &str) -> Result<()> {
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    ensure!(errors.len() == 1 && errors.concat().contains(setting), "{errors:?} in:\n{log}");
    ensure!(!log.contains(WRONG) && !log.contains(PASSWORD), "{log}");
    Ok(())
}

async fn still_ready(member: &mut Member) -> Result<()> {
    ensure!(member.program.is_running(), "it has ended: {}", member.program.tail());
    let (status, body) = alerts::get(&format!("{}/readyz", member.admin)).await?;
    ensure!(status == 200, "{status} {body}");
    Ok(())
}

fn secret_file(text: &str) -> Result<(NamedTempFile, String)> {
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let path = file.path().display().to_string();
    Ok((file, path))
}

fn put_right(path: &str) -> Result<()> {
    Ok(std::fs::write(Path::new(path), format!("{PASSWORD}\n"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_wrong_password() -> Result<()> {
    let config = vec![user("incident-worker")?];
    let redis = Redis::start(RedisOptions { config, ..RedisOptions::default() }).await?;
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let (_file, path) = secret_file(WRONG)?;
    let settings = Settings::of_redis(&redis.address())
        .with("REDIS_USERNAME", "incident-worker")
        .with("REDIS_PASSWORD_FILE", path.clone())
        .agents_at(&agent.url());
    let mut worker = Member::dispatcher("work", &settings).await?;
    let mut books = Books(redis.database(DATABASE).await?);
    books.order("am-later", "echo").await?;
    refused(&mut books.0, 5).await?;
    expect_one_error(&worker.program.log(), "REDIS_PASSWORD")?;
    still_ready(&mut worker).await?;
    ensure!(agent.executions_from_log()?.is_empty());
    put_right(&path)?;
    eventually_ok("the entry's run", PATIENCE, async || {
        ensure!(agent.executions_from_log()?.len() == 1);
        books.is_drained().await
    })
    .await
    .with_context(|| worker.program.tail())?;
    expect_one_error(&worker.program.log(), "REDIS_PASSWORD")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scaler_with_a_wrong_password() -> Result<()> {
    let redis = Redis::start(RedisOptions { password: Some(PASSWORD.into()), ..RedisOptions::default() }).await?;
    let (_file, path) = secret_file(WRONG)?;
    let settings = Settings::of_redis(&redis.address()).with("REDIS_PASSWORD_FILE", path.clone());
    let mut scaler = Member::scaler(&settings).await?;
    let message = until_error(&scaler, Code::FailedPrecondition, "REDIS_PASSWORD").await?;
    ensure!(!message.contains(WRONG), "{message}");
    still_ready(&mut scaler).await?;
    put_right(&path)?;
    until_backlog(&scaler, 0).await?;

    let none = Member::scaler(&Settings::of_redis(&redis.address())).await?;
    until_error(&none, Code::FailedPrecondition, "REDIS_PASSWORD").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_for_sentinel() -> Result<()> {
    let options = TrioOptions { sentinel_password: Some(PASSWORD.into()), ..TrioOptions::default() };
    let mut trio = Trio::start(options).await?;
    let (_file, path) = secret_file(WRONG)?;
    let settings = Settings::of_trio(&trio).with("REDIS_SENTINEL_PASSWORD_FILE", path.clone());
    let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
    let mut scaler = Member::scaler(&settings).await?;
    let mut worker = Member::dispatcher("work", &settings.agents_at(&agent.url())).await?;
    let message = until_error(&scaler, Code::FailedPrecondition, "REDIS_SENTINEL_PASSWORD").await?;
    ensure!(!message.contains(WRONG), "{message}");
    let sentinel = trio.sentinel_nodes().first().context("no sentinel")?;
    refused(&mut sentinel.client().await?, 5).await?;
    for member in [&mut scaler, &mut worker] {
        still_ready(member).await?;
        let log = member.program.log();
        ensure!(!log.contains(WRONG) && !log.contains(PASSWORD), "{log}");
        for sentinel in trio.sentinels() {
            let errors = log.lines().filter(|line| line.contains("ERROR") && line.contains(&sentinel)).count();
            ensure!(errors == 1, "{errors} errors about {sentinel}:\n{log}");
        }
        ensure!(log.contains("REDIS_SENTINEL_PASSWORD"), "{log}");
    }
    put_right(&path)?;
    until_backlog(&scaler, 0).await?;
    let mut books = Books(trio.client(DATABASE).await?);
    books.order("am-later", "echo").await?;
    eventually_ok("the entry's run", PATIENCE, async || {
        ensure!(agent.executions_from_log()?.len() == 1);
        Ok(())
    })
    .await
    .with_context(|| worker.program.tail())
}
