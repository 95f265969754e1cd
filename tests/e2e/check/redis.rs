//! The master: memory, eviction, persistence, what refuses writes.

use anyhow::{Result, ensure};
use line_tests::ports::free_port;
use line_tests::{Redis, RedisOptions};

use super::counter::{agent, books, check, json, server, settings};

#[tokio::test(flavor = "multi_thread")]
async fn what_will_hurt_some_day_is_a_warning() -> Result<()> {
    let agent = agent().await?;
    let rows: [(&[&str], &str, &[&str]); 4] = [
        (&["maxmemory-policy allkeys-lru"], "eviction", &["allkeys-lru", "stream itself", "noeviction"]),
        (
            &["appendonly no", "save 900 1"],
            "persistence",
            &["appendonly is off (save points 900 1)", "changes of the last"],
        ),
        (&["maxmemory 0"], "memory", &["maxmemory is not set"]),
        (&["appendfsync no"], "persistence", &["appendfsync everysec"]),
    ];
    for (lines, id, words) in rows {
        let redis = server(lines).await?;
        let said = json(&settings(&redis, &agent)).await?;
        ensure!(said.code == 0 && said.amiss()? == [id], "{lines:?}: {said:?}");
        said.expect("warning", id, words)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_writes_is_a_problem() -> Result<()> {
    let agent = agent().await?;
    let redis = server(&["maxmemory 1"]).await?;
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("problem", "write", &["OOM", "raise maxmemory"])?;
    said.expect("ok", "permissions", &[])?;

    let redis = server(&["min-replicas-to-write 1"]).await?;
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("problem", "write", &["NOREPLICAS"])?;

    let master = server(&[]).await?;
    let replica = RedisOptions { replica_of: Some(master.port()), ..RedisOptions::default() };
    let replica = Redis::start(replica).await?;
    let said = json(&settings(&replica, &agent)).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("problem", "role", &["not the master", "REDIS_SENTINELS"])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_69() -> Result<()> {
    let (mut redis, mut agent) = (server(&[]).await?, agent().await?);
    let mut settings = settings(&redis, &agent);
    agent.stop().await?;
    let said = json(&settings).await?;
    ensure!(said.code == 69 && said.amiss()? == ["agent"], "{said:?}");
    said.expect("problem", "agent", &["kagent/triage-agent", "refused", "KAGENT_A2A_URL"])?;
    ensure!(check(&["--for", "scaler", "-o", "json"], &settings).await?.code == 0, "the scaler needs no agent");

    agent.restart().await?;
    redis.pause()?;
    let begun = std::time::Instant::now();
    let said = check(&["-o", "json", "--timeout", "500ms"], &settings).await?;
    ensure!(said.code == 69 && begun.elapsed().as_secs() < 10, "{said:?}");
    said.expect("problem", "connect", &["timed out", "let this host reach"])?;
    redis.resume()?;
    settings.retain(|(name, _)| *name != "REDIS_URL");
    settings.push(("REDIS_URL", format!("redis://127.0.0.1:{}", free_port()?)));
    let said = json(&settings).await?;
    ensure!(said.code == 69, "{said:?}");
    said.expect("problem", "connect", &["start Redis"])
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() -> Result<()> {
    let (redis, agent) = (server(&[]).await?, agent().await?);
    let said = json(&settings(&redis, &agent)).await?;
    ensure!(said.code == 0 && said.amiss()?.is_empty(), "{said:?}");
    let mut books = books(&redis).await?;
    ensure!(books.0.cmd(&["DBSIZE"]).await?.int()? == 0, "{:?}", books.0.cmd(&["KEYS", "*"]).await?);
    ensure!(agent.executions().await?.is_empty());
    Ok(())
}
