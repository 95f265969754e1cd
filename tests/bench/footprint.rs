//! `make footprint`: idle memory of each program, and the time from its start to its first read.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, GROUP, STREAM, Settings};
use line_tests::{Keda, Member, Program, Redis, RedisOptions, eventually};

const PATIENCE: Duration = Duration::from_secs(10);
/// Starts of each program; the median counts.
const STARTS: usize = 9;
const AIM_MIB: f64 = 20.0;
const AIM_START: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let settings = Settings::of_redis(&redis.address());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<24} {:>12} {:>10}", "idle memory (VmRSS)", "MiB", "aim")?;
    for (name, member) in [
        ("stream-scaler", Member::scaler(&settings).await?),
        ("stream-dispatcher work", Member::dispatcher("work", &settings).await?),
        ("stream-dispatcher hook", Member::dispatcher("hook", &settings).await?),
    ] {
        if name == "stream-scaler" {
            // A watched stream belongs to an idle scaler.
            Keda::connect(&member.grpc).await?.is_active(&line_tests::keda::ScaledObject::with_metadata(&[])).await?;
        }
        let mib = settled_memory(&member.program).await?;
        writeln!(out, "{name:<24} {mib:>12.1} {:>10}", format!("< {AIM_MIB}"))?;
    }
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        starts.push(start_to_first_read(&redis, &settings).await?);
    }
    starts.sort();
    let median = starts.get(STARTS / 2).context("no start was measured")?;
    writeln!(out, "\n{:<24} {:>12} {:>10}", "start to first read", "ms", "aim")?;
    let (median, aim) = (median.as_secs_f64() * 1000.0, AIM_START.as_millis());
    writeln!(out, "{:<24} {median:>12.1} {:>10}", "stream-dispatcher work", format!("< {aim}"))?;
    Ok(())
}

/// Resident memory once it no longer changes, MiB.
async fn settled_memory(program: &Program) -> Result<f64> {
    let mut last = 0.0;
    let mut same = 0;
    eventually("the memory to settle", PATIENCE, async || {
        let now = program.resident_mib().ok()?;
        same = if (now - last).abs() < 0.05 { same + 1 } else { 0 };
        last = now;
        (same > 100).then_some(now)
    })
    .await
}

/// From the fork to the moment when Redis has delivered the waiting entry to the worker.
async fn start_to_first_read(redis: &Redis, settings: &Settings) -> Result<Duration> {
    let mut books = Books::at(&redis.address()).await?;
    books.0.cmd(&["DEL", STREAM]).await?;
    books.0.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
    // Nobody can be asked at this address: the entry stays pending.
    books.order("wf-first", "echo").await?;
    let settings = settings.clone().agents_at("http://127.0.0.1:9");
    let started = Instant::now();
    let member = Member::launch("stream-dispatcher", &["work"], &settings)?;
    let took =
        eventually("the first read", PATIENCE, async || (books.pending().await.ok()? > 0).then(|| started.elapsed()))
            .await?;
    ensure!(member.program.pid() > 0);
    Ok(took)
}
