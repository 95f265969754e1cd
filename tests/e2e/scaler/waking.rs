//! Activation by event: an entry is told of when it comes, not at the next reading; one blocking connection does it for
//! all streams of a database, and only while somebody wants to be told.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use line_tests::keda::IsActive;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client, Keda, Redis, RedisOptions, Trio, TrioOptions, eventually_ok};
use tokio::time::timeout;
use tonic::Streaming;

use super::{Desk, PATIENCE, figure, object};

const SAMPLES: usize = 15;
/// A scaler's connections, as `CLIENT LIST` names them.
const CONTROL: &str = "stream-scaler";
const BLOCKING: &str = "stream-scaler-events";

/// Reads until the stream says `expected`; gives when it did.
async fn told(stream: &mut Streaming<IsActive>, expected: bool) -> Result<Instant> {
    loop {
        let message = timeout(PATIENCE, stream.message()).await.context("nothing came")??;
        if message.context("the stream ended")?.result == expected {
            return Ok(Instant::now());
        }
    }
}

/// The connections with this name.
async fn connections(client: &mut Client, name: &str) -> Result<Vec<String>> {
    let list = client.cmd(&["CLIENT", "LIST"]).await?.text()?.to_owned();
    let name = format!(" name={name} ");
    Ok(list.lines().filter(|line| line.contains(&name)).map(str::to_owned).collect())
}

async fn until_connections(client: &mut Client, name: &str, expected: usize) -> Result<()> {
    eventually_ok(format!("{expected} of {name}"), PATIENCE, async || {
        let found = connections(client, name).await?;
        ensure!(found.len() == expected, "{found:?}");
        Ok(())
    })
    .await
}

/// Waits until the scaler waits in a blocked read.
async fn until_blocked(client: &mut Client) -> Result<()> {
    eventually_ok("a blocked XREAD", PATIENCE, async || {
        let found = connections(client, BLOCKING).await?;
        ensure!(found.iter().any(|line| line.contains(" cmd=xread ")), "{found:?}");
        Ok(())
    })
    .await
}

/// From XADD to `true`, on a stream that said `false` right before.
async fn wake_up(keda: &Keda, client: &mut Client) -> Result<Duration> {
    client.cmd(&["XTRIM", "incident:events", "MAXLEN", "0"]).await?;
    let mut stream = keda.stream_is_active(&object(&[])).await?;
    told(&mut stream, false).await?;
    let begin = Instant::now();
    client.cmd(&["XADD", "incident:events", "*", "f", "v"]).await?;
    Ok(told(&mut stream, true).await?.duration_since(begin))
}

async fn median(keda: &Keda, client: &mut Client) -> Result<Duration> {
    // The first one opens the connection.
    wake_up(keda, client).await?;
    let mut took = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        took.push(wake_up(keda, client).await?);
    }
    took.sort();
    took.get(SAMPLES / 2).copied().context("no samples")
}

/// The scaler whose user may not run XREAD tells as well, at its next reading, and says so once.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_told_of_long_before_the_next_reading_and_without_xread_at_that() -> Result<()> {
    let user = "user polling on nopass ~* +@all -xread";
    let redis = Redis::start(RedisOptions { config: vec![user.to_owned()], ..RedisOptions::default() }).await?;
    let settings = Settings::of_redis(&redis.address());
    let prompt = Member::scaler(&settings).await?;
    let polling =
        Member::scaler(&settings.clone().with("REDIS_USERNAME", "polling").with("REDIS_PASSWORD", "x")).await?;
    let mut client = redis.database(DATABASE).await?;
    let keda = Keda::connect(&prompt.grpc).await?;
    let first = keda.stream_is_active(&object(&[])).await?;
    until_blocked(&mut client).await?;
    let at_once = median(&keda, &mut client).await?;
    drop(first);
    let late = median(&Keda::connect(&polling.grpc).await?, &mut client).await?;
    figure(&format!("XADD to true, median of {SAMPLES}: {at_once:?}, without XREAD {late:?}"));
    ensure!(at_once * 4 < late, "{at_once:?} and {late:?}");
    ensure!(prompt.metric("scaler_events_refused", "").await? < 0.5);
    ensure!(polling.metric("scaler_events_refused", "").await? > 0.5);
    let log = polling.program.log();
    ensure!(log.lines().filter(|line| line.contains("NOPERM")).count() == 1, "{log}");
    ensure!(log.contains("allow XREAD"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_waits_for_all_streams_while_they_are_open() -> Result<()> {
    let mut desk = Desk::open().await?;
    let names: Vec<String> = (0..12).map(|number| format!("incident:events:{number}")).collect();
    let mut open = Vec::new();
    for (name, group) in names.iter().flat_map(|name| [(name, "one"), (name, "two")]) {
        let mut stream = desk.keda.stream_is_active(&object(&[("stream", name), ("consumerGroup", group)])).await?;
        told(&mut stream, false).await?;
        open.push((name.as_str(), stream));
    }
    until_blocked(&mut desk.client).await?;
    for name in &names {
        desk.redis(&format!("XADD {name} * f v")).await?;
        let same = open.iter_mut().filter(|(of, _)| of == name);
        try_join_all(same.map(|(_, stream)| told(stream, true))).await?;
    }
    let seen = desk.scaler.metric("scaler_events_total", "").await?;
    ensure!(seen > 11.5, "{seen} events");
    let (blocking, control) =
        (connections(&mut desk.client, BLOCKING).await?, connections(&mut desk.client, CONTROL).await?);
    ensure!(blocking.len() == 1 && control.len() == 1, "{blocking:?} {control:?}");

    drop(open);
    until_connections(&mut desk.client, BLOCKING, 0).await?;
    ensure!(desk.keda.is_active(&object(&[("stream", "incident:events:0")])).await?);
    ensure!(connections(&mut desk.client, BLOCKING).await?.is_empty(), "a poll waits for nothing");
    ensure!(connections(&mut desk.client, CONTROL).await?.len() == 1);
    Ok(())
}

/// One stream's key is of another type: the others are still told of at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_keeps_nobody_waiting() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("SET odd text").await?;
    let odd = desk.keda.stream_is_active(&object(&[("stream", "odd")])).await?;
    let mut good = desk.keda.stream_is_active(&object(&[])).await?;
    told(&mut good, false).await?;
    until_blocked(&mut desk.client).await?;
    let before = desk.scaler.metric("scaler_events_total", "").await?;
    desk.redis("XADD incident:events * f v").await?;
    told(&mut good, true).await?;
    eventually_ok("the event", PATIENCE, async || {
        ensure!(desk.scaler.metric("scaler_events_total", "").await? > before + 0.5);
        Ok(())
    })
    .await?;
    drop(odd);
    Ok(())
}

/// Entries by the thousand do not become readings by the thousand.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_read_a_few_times_a_second() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut stream = desk.keda.stream_is_active(&object(&[])).await?;
    told(&mut stream, false).await?;
    until_blocked(&mut desk.client).await?;
    let (begin, before) = (Instant::now(), desk.scaler.metric("scaler_samples_total", "").await?);
    let mut entries = 0;
    while begin.elapsed() < Duration::from_secs(3) {
        desk.redis("XADD incident:events * f v").await?;
        entries += 1;
    }
    let (took, after) = (begin.elapsed(), desk.scaler.metric("scaler_samples_total", "").await?);
    let readings = after - before;
    figure(&format!("{entries} entries in {took:?}: {readings} readings"));
    ensure!(entries > 200, "{entries} entries are no flood");
    // Ten at once, then ten a second, and the ticks that fall between.
    ensure!(readings < 20.0 + 13.0 * took.as_secs_f64(), "{readings} readings in {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_the_new_master_is_waited_on() -> Result<()> {
    let mut trio = Trio::start(TrioOptions::default()).await?;
    let scaler = Member::scaler(&Settings::of_trio(&trio)).await?;
    let mut stream = Keda::connect(&scaler.grpc).await?.stream_is_active(&object(&[])).await?;
    told(&mut stream, false).await?;
    until_blocked(&mut trio.client(DATABASE).await?).await?;
    let old = trio.kill_master().await?;
    trio.wait_for_new_master(&old, PATIENCE).await?;
    let mut client = trio.client(DATABASE).await?;
    until_blocked(&mut client).await?;
    let before = scaler.metric("scaler_events_total", "").await?;
    client.cmd(&["XADD", "incident:events", "*", "f", "v"]).await?;
    told(&mut stream, true).await?;
    eventually_ok("the event", PATIENCE, async || {
        ensure!(scaler.metric("scaler_events_total", "").await? > before + 0.5);
        Ok(())
    })
    .await
}

/// The blocking connection dies alone: nobody is blind for it, and there is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_blocking_connection_is_replaced_and_blinds_nobody() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut stream = desk.keda.stream_is_active(&object(&[])).await?;
    told(&mut stream, false).await?;
    until_blocked(&mut desk.client).await?;
    let control = connections(&mut desk.client, CONTROL).await?;
    let blocking = connections(&mut desk.client, BLOCKING).await?;
    let id = blocking.first().and_then(|line| line.split(' ').next()?.strip_prefix("id=")).context("no id")?;
    desk.redis(&format!("CLIENT KILL ID {id}")).await?;
    ensure!(!desk.keda.is_active(&object(&[])).await?);
    eventually_ok("another connection", PATIENCE, async || {
        let found = connections(&mut desk.client, BLOCKING).await?;
        ensure!(found.len() == 1 && !found.iter().any(|line| line.starts_with(&format!("id={id} "))), "{found:?}");
        Ok(())
    })
    .await?;
    let id_of = |line: &String| line.split(' ').next().map(str::to_owned);
    let now = connections(&mut desk.client, CONTROL).await?;
    ensure!(now.first().and_then(id_of) == control.first().and_then(id_of), "{control:?} {now:?}");
    Ok(())
}
