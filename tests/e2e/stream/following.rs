//! Sentinels that are dead, hung or gone, and masters that change.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::ports::free_port;
use line_tests::{Prober, Trio, TrioOptions, eventually, eventually_ok};
use redis_stream::error::Class;

use super::{Linked, PATIENCE, cmd, expect_certain, figure};

/// From the new master's first write to a session on it.
const WITHIN: Duration = Duration::from_secs(1);

async fn trio() -> Result<Trio> {
    Trio::start(TrioOptions::default()).await
}

/// The first Sentinel refuses, the second takes the connection and says nothing: the third is asked all the same.
#[tokio::test(flavor = "multi_thread")]
async fn dead_and_hung_sentinels_cost_nothing() -> Result<()> {
    let trio = trio().await?;
    let hung = TcpListener::bind("127.0.0.1:0")?;
    let good = trio.sentinels().into_iter().next().context("no sentinel")?;
    let sentinels = [format!("127.0.0.1:{}", free_port()?), hung.local_addr()?.to_string(), good];
    let begin = Instant::now();
    let linked = Linked::through(&sentinels)?;
    let session = linked.session().await?;
    let took = begin.elapsed();
    figure(&format!("with a dead and a hung sentinel: a session after {took:?}"));
    ensure!(session.address().to_string() == trio.master_address().await?);
    ensure!(took < Duration::from_millis(400), "{took:?}");
    // The one that answered has told of its peers.
    eventually("the other sentinels", PATIENCE, async || {
        linked.link.verdict().filter(|verdict| verdict.answering == 3)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sentinels_an_open_session_stays_and_a_lost_one_waits() -> Result<()> {
    let mut trio = trio().await?;
    let linked = Linked::through(&trio.sentinels())?;
    let session = linked.session().await?;
    trio.stop_all_sentinels().await?;
    eventually("no verdict", PATIENCE, async || linked.link.verdict().is_none().then_some(())).await?;
    let since = Instant::now();
    // Several heartbeats long.
    eventually_ok("three seconds of work", PATIENCE, async || {
        session.run(&cmd("INCR worked")).await?;
        ensure!(since.elapsed() > Duration::from_secs(3));
        Ok(())
    })
    .await?;
    ensure!(linked.link.current().is_some_and(|current| current.id() == session.id()), "another session");

    trio.client(4).await.err().context("the sentinels still answer")?;
    let master = session.address().to_string();
    trio.node(&master)?.client().await?.cmd(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
    session.closed().await;
    let error = linked.link.session(Duration::from_secs(1)).await.err().context("a master nobody has named")?;
    ensure!(error.class() == Class::Reconnect && error.to_string().contains("no Sentinel can be asked"), "{error}");
    expect_certain(&error)?;
    trio.start_all_sentinels().await?;
    linked.session().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_name_that_sentinel_does_not_know() -> Result<()> {
    let trio = trio().await?;
    let sentinels = trio.sentinels().iter().map(|text| super::address(text)).collect::<Result<_>>()?;
    let linked = super::link(redis_stream::endpoint::Locator::Sentinel { sentinels, master: "other".into() });
    eventually_ok("the reason", PATIENCE, async || {
        let error = linked.link.session(Duration::from_millis(100)).await.err().context("a session")?;
        ensure!(error.to_string().contains("REDIS_SENTINEL_MASTER_NAME"), "{error}");
        Ok(())
    })
    .await
}

async fn the_master_goes(what: &str, end: impl AsyncFnOnce(&mut Trio) -> Result<String>) -> Result<()> {
    let mut trio = trio().await?;
    let linked = Linked::through(&trio.sentinels())?;
    let first = linked.session().await?;
    let prober = Prober::start(&trio);
    let since = Instant::now();
    let old = end(&mut trio).await?;
    let (turn, found) = tokio::join!(prober.first_write_off(&old, since, PATIENCE), linked.session_off(&old));
    let (turn, (session, at)) = (turn?, found?);
    let late = at.saturating_duration_since(turn.at);
    let early = turn.at.saturating_duration_since(at);
    figure(&format!("{what}: a session {late:?} after the new master's first write (or {early:?} before it)"));
    ensure!(late < WITHIN, "{late:?}");
    ensure!(!first.is_open() && first.id() < session.id(), "the old session is still open");
    ensure!(session.address().to_string() == turn.address, "{} and {}", session.address(), turn.address);
    session.run(&cmd("INCR worked")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover() -> Result<()> {
    the_master_goes("planned failover", async |trio| trio.failover().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master() -> Result<()> {
    the_master_goes("kill -9", async |trio| trio.kill_master().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_master() -> Result<()> {
    the_master_goes("SIGSTOP", async |trio| trio.pause_master().await).await
}
