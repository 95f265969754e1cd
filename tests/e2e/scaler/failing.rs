//! Redis is away: an error in time, and the right number as soon as it is back.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::ports::free_port;
use line_tests::road::{Road, Weather};
use line_tests::{Keda, Trio, TrioOptions, eventually_ok};
use tonic::Code;

use super::{ANSWER_WITHIN, Desk, PATIENCE, expect_error, figure, object, timed, value};

async fn until_value(keda: &Keda, object: &ScaledObject, expected: i64) -> Result<()> {
    eventually_ok("the number", PATIENCE, async || {
        let found = value(keda, object).await?;
        ensure!(found == expected, "{found}");
        Ok(())
    })
    .await
}

/// Asks until the answer is the error; every answer until then is the last number, and none is late.
async fn until_unavailable(keda: &Keda, object: &ScaledObject, expected: i64) -> Result<Duration> {
    let begin = Instant::now();
    eventually_ok("the error", Duration::from_secs(5), async || {
        let (found, took) = timed(value(keda, object)).await;
        if took >= ANSWER_WITHIN || found.is_ok_and(|found| found != expected) {
            return Ok(Err((found, took)));
        }
        if found != Err(Code::Unavailable) {
            bail!("{found:?}");
        }
        Ok(Ok(begin.elapsed()))
    })
    .await?
    .map_err(|(found, took)| anyhow::anyhow!("{found:?} after {took:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("XADD incident:events * f v").await?;
    let asked = object(&[]);
    ensure!(value(&desk.keda, &asked).await? == 1);
    desk.redis.stop().await?;
    let blind = until_unavailable(&desk.keda, &asked, 1).await?;
    let warm = expect_error(&desk.keda, &asked, Code::Unavailable).await?;
    // A source that nobody asked for before has no reading to fall back on.
    let cold = expect_error(&desk.keda, &object(&[("stream", "new")]), Code::Unavailable).await?;
    figure(&format!("redis stopped: unavailable after {blind:?}; calls took {warm:?}, for a new source {cold:?}"));
    ensure!(desk.scaler.program.is_running());
    desk.redis.restart().await?;
    until_value(&desk.keda, &asked, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("XADD incident:events * f v").await?;
    let asked = object(&[]);
    ensure!(value(&desk.keda, &asked).await? == 1);
    desk.redis.pause()?;
    let blind = until_unavailable(&desk.keda, &asked, 1).await?;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        longest = longest.max(expect_error(&desk.keda, &asked, Code::Unavailable).await?);
        longest = longest.max(expect_error(&desk.keda, &object(&[("stream", "new")]), Code::Unavailable).await?);
    }
    figure(&format!("redis paused: unavailable after {blind:?}; calls took at most {longest:?}"));
    ensure!(blind < Duration::from_secs(3), "{blind:?}");
    desk.redis.resume()?;
    until_value(&desk.keda, &asked, 1).await
}

/// Every command waits, also the blocked read of the push streams; their connection is given up and replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_pauses_its_clients() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("XADD incident:events * f v").await?;
    let asked = object(&[]);
    let mut stream = desk.keda.stream_is_active(&asked).await?;
    ensure!(stream.message().await?.is_some_and(|told| told.result));
    // Longer than what follows takes; an UNPAUSE would have to wait, too.
    desk.redis("CLIENT PAUSE 8000 ALL").await?;
    let blind = until_unavailable(&desk.keda, &asked, 1).await?;
    let warm = expect_error(&desk.keda, &asked, Code::Unavailable).await?;
    let cold = expect_error(&desk.keda, &object(&[("stream", "new")]), Code::Unavailable).await?;
    figure(&format!("clients paused: unavailable after {blind:?}; calls took {warm:?}, for a new source {cold:?}"));
    until_value(&desk.keda, &asked, 1).await?;
    desk.redis("XADD incident:events * f v").await?;
    until_value(&desk.keda, &asked, 2).await
}

/// Nothing comes through and nothing is refused, to the data servers alone, then to the Sentinels alone, then to all.
#[tokio::test(flavor = "multi_thread")]
async fn packets_that_do_not_arrive() -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    trio.client(DATABASE).await?.cmd(&["XADD", "incident:events", "*", "f", "v"]).await?;
    let road = Road::open(&trio.addresses(), &trio.sentinels()).await?;
    let scaler = Member::scaler(&Settings::default().with("REDIS_SENTINELS", road.sentinels().join(","))).await?;
    let (keda, asked) = (Keda::connect(&scaler.grpc).await?, object(&[]));
    let _stream = keda.stream_is_active(&asked).await?;
    until_value(&keda, &asked, 1).await?;
    for nodes_only in [true, false] {
        if nodes_only {
            road.at_nodes(Weather::Blocked);
        } else {
            road.everywhere(Weather::Blocked);
        }
        until_unavailable(&keda, &asked, 1).await?;
        let warm = expect_error(&keda, &asked, Code::Unavailable).await?;
        let cold = expect_error(&keda, &object(&[("stream", "new")]), Code::Unavailable).await?;
        figure(&format!("packets dropped (nodes only: {nodes_only}): {warm:?}, for a new source {cold:?}"));
        road.everywhere(Weather::Clear);
        until_value(&keda, &asked, 1).await?;
    }
    // Without Sentinels what works goes on.
    trio.stop_all_sentinels().await?;
    for _ in 0..20 {
        let (found, took) = timed(value(&keda, &asked)).await;
        ensure!(found == Ok(1) && took < ANSWER_WITHIN, "{found:?} after {took:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redis_from_the_start() -> Result<()> {
    let scaler = Member::scaler(&Settings::of_redis(&format!("127.0.0.1:{}", free_port()?))).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    let cold = expect_error(&keda, &object(&[]), Code::Unavailable).await?;
    figure(&format!("no redis: unavailable after {cold:?}"));
    Ok(())
}

/// Sentinels that nobody answers for: the same, and readiness does not depend on them.
#[tokio::test(flavor = "multi_thread")]
async fn no_sentinel_from_the_start() -> Result<()> {
    let sentinels = format!("127.0.0.1:{},127.0.0.1:{}", free_port()?, free_port()?);
    let scaler = Member::scaler(&Settings::default().with("REDIS_SENTINELS", sentinels)).await?;
    let keda = Keda::connect(&scaler.grpc).await?;
    expect_error(&keda, &object(&[]), Code::Unavailable).await?;
    let message = keda.is_active(&object(&[])).await.err().map(|status| status.message().to_owned());
    ensure!(message.as_ref().is_some_and(|message| message.contains("Sentinel")), "{message:?}");
    Ok(())
}
