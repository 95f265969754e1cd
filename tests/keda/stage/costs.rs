//! What a reading costs Redis: commands on the master and connections of all servers, against the same without it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::Client as Redis;
use tokio::time::sleep;

use crate::client::Client;
use crate::desk::{Desk, WAYS, Way};
use crate::states::one;

/// Polls that are counted.
const POLLS: u32 = 100;
/// `ScaledObject`s whose connections are counted.
const OBJECTS: usize = 20;
/// How long this scaler's own reading is counted.
const WATCH: Duration = Duration::from_secs(10);

pub(crate) async fn all(desk: &mut Desk) -> Result<String> {
    let mut text = String::new();
    for way in WAYS {
        let (name, stream) = ("costs", "state-2");
        let mut client = one(desk, way, name, stream)?;
        tokio::task::block_in_place(|| client.ask(name))?;
        let commands = match way {
            // It reads by itself, whoever asks and however often.
            Way::Ours => per_second(desk, &mut client, name).await?,
            Way::Lag | Way::Pending => per_poll(desk, &mut client, name).await?,
        };
        let connections = connections(desk, way, stream).await?;
        writeln!(text, "{}: {commands}; {connections}", word(way))?;
    }
    Ok(text)
}

fn word(way: Way) -> &'static str {
    match way {
        Way::Ours => "this scaler",
        Way::Lag => "KEDA, lagCount",
        Way::Pending => "KEDA, pendingEntriesCount",
    }
}

/// Calls of each command on the master, without what Sentinel and replicas send all the time.
async fn calls(redis: &mut Redis) -> Result<BTreeMap<String, f64>> {
    let info = redis.cmd(&["INFO", "commandstats"]).await?;
    let mut calls = BTreeMap::new();
    for line in info.text()?.lines() {
        let Some((name, rest)) = line.strip_prefix("cmdstat_").and_then(|line| line.split_once(":calls=")) else {
            continue;
        };
        let count = rest.split(',').next().context("no count")?.parse::<f64>()?;
        calls.insert(name.to_owned(), count);
    }
    for noise in ["ping", "publish", "replconf", "psync", "config|resetstat"] {
        calls.remove(noise);
    }
    Ok(calls)
}

fn listed(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, share: f64) -> String {
    let mut sum = 0.0;
    let mut parts = Vec::new();
    for (name, count) in after {
        let more = (count - before.get(name).copied().unwrap_or_default()) / share;
        // Sentinels send INFO every ten seconds, and this program two of its own.
        if more >= 0.1 {
            sum += more;
            parts.push(format!("{name} {more:.1}"));
        }
    }
    format!("{sum:.1} ({})", parts.join(", "))
}

async fn per_poll(desk: &Desk, client: &mut Client, name: &str) -> Result<String> {
    let mut redis = desk.redis().await?;
    let before = calls(&mut redis).await?;
    tokio::task::block_in_place(|| -> Result<()> {
        for _ in 0..POLLS {
            ensure!(client.ask(name)?.is_known(), "a poll failed");
        }
        Ok(())
    })?;
    let after = calls(&mut redis).await?;
    Ok(format!("commands per poll {}", listed(&before, &after, f64::from(POLLS))))
}

async fn per_second(desk: &Desk, client: &mut Client, name: &str) -> Result<String> {
    let mut redis = desk.redis().await?;
    // The streams of the table are read on for five minutes after the last question: they are counted apart.
    let before = calls(&mut redis).await?;
    let begin = Instant::now();
    // So long is counted.
    sleep(WATCH).await;
    let after = calls(&mut redis).await?;
    let idle = listed(&before, &after, begin.elapsed().as_secs_f64());
    let before = calls(&mut redis).await?;
    let begin = Instant::now();
    tokio::task::block_in_place(|| -> Result<()> {
        while begin.elapsed() < WATCH {
            ensure!(client.ask(name)?.is_known(), "a poll failed");
            // The pace of the polls.
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    })?;
    let after = calls(&mut redis).await?;
    let polled = listed(&before, &after, begin.elapsed().as_secs_f64());
    let sources = desk.scaler.metric("scaler_watched_sources", "").await?;
    Ok(format!("commands per second for {sources} streams: {idle}; polled 20 times a second: {polled}"))
}

async fn connections(desk: &Desk, way: Way, stream: &str) -> Result<String> {
    let before = open(desk).await?;
    let mut client = desk.client()?;
    for number in 0..OBJECTS {
        let name = format!("object-{number}");
        desk.make(&mut client, way, &name, stream)?;
        tokio::task::block_in_place(|| client.ask(&name))?;
    }
    let after = open(desk).await?;
    Ok(format!("{} more connections for {OBJECTS} further ScaledObjects", after - before))
}

/// Clients of all servers, Sentinels too.
async fn open(desk: &Desk) -> Result<i64> {
    let mut count = 0;
    for address in desk.trio.addresses().iter().chain(&desk.trio.sentinels()) {
        let mut client = Redis::connect(address).await?;
        let list = client.cmd(&["CLIENT", "LIST"]).await?;
        count += i64::try_from(list.text()?.lines().count())?;
    }
    Ok(count)
}
