//! Many ask, one reads: what hundreds of `ScaledObject`s cost Redis, and two replicas that say the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use line_tests::keda::{IsActive, ScaledObject};
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client, Keda, Redis, RedisOptions, eventually_ok};
use tokio::time::timeout;
use tonic::Streaming;

use super::{Desk, PATIENCE, figure, object, value};

const OBJECTS: usize = 200;
/// Ten readings.
const WINDOW: Duration = Duration::from_secs(4);

fn named(number: usize) -> ScaledObject {
    ScaledObject { name: format!("workers-{number}"), ..object(&[]) }
}

async fn processed(client: &mut Client) -> Result<f64> {
    let stats = client.cmd(&["INFO", "stats"]).await?.text()?.to_owned();
    let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).context("no count")?;
    Ok(line.trim().parse()?)
}

/// Commands per second while every object is asked about once in the window, as KEDA does more rarely.
async fn rate(desk: &mut Desk, objects: usize) -> Result<f64> {
    let (begin, before) = (Instant::now(), processed(&mut desk.client).await?);
    let mut pace = tokio::time::interval(WINDOW / u32::try_from(objects)?);
    for number in 0..objects {
        pace.tick().await;
        value(&desk.keda, &named(number)).await?;
        desk.keda.is_active(&named(number)).await?;
    }
    eventually_ok("the end of the window", PATIENCE, async || {
        ensure!(begin.elapsed() >= WINDOW);
        Ok(())
    })
    .await?;
    Ok((processed(&mut desk.client).await? - before - 1.0) / begin.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_cost_redis_no_more_than_one() -> Result<()> {
    let mut desk = Desk::open().await?;
    let _first = desk.keda.stream_is_active(&named(0)).await?;
    ensure!(value(&desk.keda, &named(0)).await? == 0);
    let one = rate(&mut desk, 1).await?;
    let _others =
        try_join_all((1..OBJECTS).map(async |number| desk.keda.stream_is_active(&named(number)).await)).await?;
    let many = rate(&mut desk, OBJECTS).await?;
    figure(&format!("commands per second: {one:.1} for one object, {many:.1} for {OBJECTS}"));
    ensure!(many < one * 1.35, "{many:.1} and {one:.1} commands per second");
    let list = desk.client.cmd(&["CLIENT", "LIST"]).await?.text()?.to_owned();
    let of_scaler = list.lines().filter(|line| line.contains(" name=stream-scaler")).count();
    ensure!(of_scaler == 2, "{list}");
    ensure!(desk.scaler.metric("scaler_watched_sources", "").await? < 1.5);
    Ok(())
}

async fn next(stream: &mut Streaming<IsActive>) -> Result<(bool, Instant)> {
    let message = timeout(PATIENCE, stream.message()).await.context("nothing came")??;
    Ok((message.context("the stream ended")?.result, Instant::now()))
}

/// KEDA may ask either of them.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_say_the_same_within_a_tick() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut client = redis.database(DATABASE).await?;
    let settings = Settings::of_redis(&redis.address());
    let (first, second) = (Member::scaler(&settings).await?, Member::scaler(&settings).await?);
    let (first, second) = (Keda::connect(&first.grpc).await?, Keda::connect(&second.grpc).await?);
    let (mut one, mut other) =
        (first.stream_is_active(&object(&[])).await?, second.stream_is_active(&object(&[])).await?);
    ensure!(!next(&mut one).await?.0 && !next(&mut other).await?.0);
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        for (command, active) in [("XADD incident:events * f v", true), ("XTRIM incident:events MAXLEN 0", false)] {
            client.cmd(&command.split(' ').collect::<Vec<_>>()).await?;
            let (said, also) = tokio::try_join!(next(&mut one), next(&mut other))?;
            ensure!(said.0 == active && also.0 == active, "round {round}: {said:?} {also:?} after {command}");
            let apart = said.1.max(also.1).duration_since(said.1.min(also.1));
            longest = longest.max(apart);
        }
    }
    figure(&format!("two replicas were at most {longest:?} apart"));
    // A tick, a reading, and a busy machine.
    ensure!(longest < Duration::from_secs(1), "{longest:?}");
    ensure!(value(&first, &object(&[])).await? == value(&second, &object(&[])).await?);
    Ok(())
}
