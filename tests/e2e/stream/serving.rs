//! One node: only a master that serves is used, and only while it answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use line_tests::{Redis, RedisOptions, eventually, eventually_ok};
use redis_stream::error::Class;

use super::{Linked, PATIENCE, cmd, ended, expect_certain, figure};

async fn redis() -> Result<Redis> {
    Redis::start(RedisOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_never_used_and_that_is_said() -> Result<()> {
    let master = redis().await?;
    let replica = Redis::start(RedisOptions { replica_of: Some(master.port()), ..RedisOptions::default() }).await?;
    let linked = Linked::direct(&replica.address())?;
    let error = linked.link.session(Duration::from_millis(1500)).await.err().context("a session on a replica")?;
    ensure!(error.class() == Class::Reconnect, "{error}");
    ensure!(error.to_string().contains("slave, not the master"), "{error}");
    ensure!(error.to_string().contains(&replica.address()), "{error}");
    expect_certain(&error)?;
    replica.client().await?.cmd(&["REPLICAOF", "NO", "ONE"]).await?;
    let session = linked.session().await?;

    // Demoted again, its connections left open: the heartbeat notices.
    replica.client().await?.cmd(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]).await?;
    let took = ended(&session, Duration::from_millis(2500)).await?;
    figure(&format!("a demoted node was left after {took:?}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_to_a_demoted_node_ends_the_session() -> Result<()> {
    let (master, node) = (redis().await?, redis().await?);
    let linked = Linked::direct(&node.address())?;
    let session = linked.session().await?;
    node.client().await?.cmd(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]).await?;
    let error = session.run(&cmd("INCR x")).await.err().context("a replica took a write")?;
    ensure!(error.class() == Class::Reconnect && error.code() == Some("READONLY"), "{error}");
    expect_certain(&error)?;
    ensure!(!session.is_open() && linked.link.current().is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_left_in_time() -> Result<()> {
    let mut redis = redis().await?;
    let linked = Linked::direct(&redis.address())?;
    let session = linked.session().await?;
    redis.pause()?;
    let took = ended(&session, Duration::from_millis(2500)).await?;
    figure(&format!("a paused server was left after {took:?}"));
    ensure!(linked.link.current().is_none());
    let error = session.run(&cmd("PING")).await.err().context("answered")?;
    expect_certain(&error)?;
    redis.resume()?;
    let next = linked.session().await?;
    ensure!(next.id() > session.id() && next.replid() == session.replid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_another_history() -> Result<()> {
    let mut redis = redis().await?;
    let linked = Linked::direct(&redis.address())?;
    let session = linked.session().await?;
    redis.kill9().await?;
    ended(&session, Duration::from_secs(1)).await?;
    let error = linked.link.session(Duration::from_millis(300)).await.err().context("a session")?;
    ensure!(error.class() == Class::Reconnect && error.to_string().contains(&redis.address()), "{error}");
    redis.restart().await?;
    ensure!(linked.session().await?.replid() != session.replid());
    Ok(())
}

/// A server that reads its data says that it is a master, and refuses work.
#[tokio::test(flavor = "multi_thread")]
async fn a_loading_server_is_waited_for() -> Result<()> {
    // Microseconds per key: loading takes more than a second.
    let config = ["key-load-delay 400", "loading-process-events-interval-bytes 1024"].map(str::to_owned).to_vec();
    let mut redis = Redis::start(RedisOptions { config, ..RedisOptions::default() }).await?;
    let fill = "for i = 1, 4000 do redis.call('SET', 'key:' .. i, string.rep('x', 100)) end";
    redis.client().await?.cmd(&["EVAL", fill, "0"]).await?;
    let linked = Linked::direct(&redis.address())?;
    linked.session().await?;
    redis.kill9().await?;
    let said = eventually_ok("LOADING to be said", PATIENCE, async || {
        match linked.link.session(Duration::from_millis(1)).await {
            Err(error) if error.to_string().contains("LOADING") => Ok(error),
            Err(error) => bail!("{error}"),
            Ok(_) => bail!("a session before it was said"),
        }
    });
    let (said, restarted) = tokio::join!(said, redis.restart());
    restarted?;
    ensure!(said?.class() == Class::Retry);
    let session = linked.session().await?;
    session.run(&cmd("INCR x")).await?;
    Ok(())
}

/// Writes hang (a planned failover of the platform's chart does this): the deadline holds, the answer may still come.
#[tokio::test(flavor = "multi_thread")]
async fn paused_writes_end_at_their_deadline() -> Result<()> {
    let redis = redis().await?;
    let linked = Linked::direct(&redis.address())?;
    let session = linked.session().await?;
    let mut client = redis.client().await?;
    client.cmd(&["CLIENT", "PAUSE", "30000", "WRITE"]).await?;
    let begin = Instant::now();
    let error = session.run_within(&cmd("INCR x"), Duration::from_millis(500)).await.err().context("written")?;
    let took = begin.elapsed();
    ensure!(error.uncertain() && error.class() == Class::Reconnect, "{error}");
    ensure!((500..700).contains(&took.as_millis()), "{took:?}");
    ensure!(!session.is_open(), "an answer that comes later would belong to nobody");
    // Reads go on, on a new session, and the heartbeat does not end it.
    let next = linked.session().await?;
    let since = Instant::now();
    eventually_ok("two seconds of reading", PATIENCE, async || {
        next.run(&cmd("GET x")).await?;
        ensure!(since.elapsed() > Duration::from_secs(2));
        Ok(())
    })
    .await?;
    client.cmd(&["CLIENT", "UNPAUSE"]).await?;
    eventually("a write", PATIENCE, async || next.run(&cmd("INCR y")).await.ok()).await?;
    ensure!(linked.link.current().is_some_and(|current| current.id() == next.id()));
    Ok(())
}
