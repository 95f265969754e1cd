//! What the outbox costs: durable accepts against the disk's own rate, and a hundred thousand incidents that wait over a
//! kill of the hook.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use line_tests::alerts::{self, burst, count};
use line_tests::line::{Books, Member, STREAM, Settings};
use line_tests::{Redis, RedisOptions, eventually_ok};
use stream_dispatcher::incident::Incident;
use stream_dispatcher::outbox::item::Offer;
use stream_dispatcher::outbox::{Outbox, OutboxSettings};

const PATIENCE: Duration = Duration::from_secs(120);
/// Incidents of one webhook.
const GROUP: u64 = 100;
/// Webhooks at the same time.
const SENDERS: u64 = 8;
/// For how long each rate is measured.
const MEASURED: Duration = Duration::from_secs(5);
const WAITING: u64 = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    rates().await?;
    a_hundred_thousand_wait().await
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("nobody reads")
}

fn incident(number: u64) -> Incident {
    Incident {
        workflow_id: format!("am-{number:032}"),
        agent_target: "triage-agent".into(),
        text: "x".repeat(800),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        tracestate: String::new(),
        timestamp: Timestamp::UNIX_EPOCH,
        fingerprint: format!("{number:016x}"),
        starts_at: Timestamp::UNIX_EPOCH,
        severity: "critical".into(),
        alertname: "HighCPU".into(),
        firing_workflow_id: None,
    }
}

/// Incidents made durable in a second: by a file that is appended to and synced for each batch of as many as the outbox
/// can have in one commit, and by the outbox.
async fn rates() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let raw = raw_rate(folder.path())?;
    let outbox = outbox_rate(folder.path()).await?;
    say(&format!(
        "raw batched fsync    {raw:>9.0} incidents/s ({} of {} bytes in a batch)",
        GROUP * SENDERS,
        bytes(0)?.len()
    ))?;
    say(&format!("outbox               {outbox:>9.0} incidents/s, {:.2} of raw", outbox / raw))
}

fn bytes(number: u64) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&incident(number))?)
}

fn raw_rate(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("raw"))?;
    let (mut number, start) = (0, Instant::now());
    while start.elapsed() < MEASURED {
        let mut batch = Vec::new();
        for _ in 0..GROUP * SENDERS {
            batch.extend(bytes(number)?);
            number += 1;
        }
        file.write_all(&batch)?;
        file.sync_data()?;
    }
    Ok(rate(number, start))
}

fn rate(count: u64, start: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count / start.elapsed().as_secs_f64()
}

async fn outbox_rate(folder: &Path) -> Result<f64> {
    let outbox = Outbox::open(OutboxSettings {
        path: Some(folder.join("outbox.redb")),
        keep: Duration::from_secs(3600),
        most_open: usize::MAX,
        most_published: 1,
        round_every: Duration::from_secs(60),
        direct_after: Duration::from_secs(3600),
        direct_after_uncertain: Duration::from_secs(3600),
    })?;
    let start = Instant::now();
    let senders = (0..SENDERS).map(|sender| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            let mut number = 0;
            while start.elapsed() < MEASURED {
                let first = sender * 1_000_000_000 + number;
                let group: Vec<_> = (first..first + GROUP).map(incident).collect();
                outbox.accept(&group, Offer::Never).await?;
                number += GROUP;
            }
            Ok::<_, stream_dispatcher::outbox::store::Error>(number)
        })
    });
    let mut all = 0;
    for sender in try_join_all(senders).await? {
        all += sender?;
    }
    Ok(rate(all, start))
}

async fn a_hundred_thousand_wait() -> Result<()> {
    let (mut redis, folder) = (Redis::start(RedisOptions::default()).await?, tempfile::tempdir()?);
    let file = folder.path().join("outbox.redb");
    let settings = Settings::of_redis(&redis.address())
        .agents_at("http://127.0.0.1:9")
        .with("OUTBOX_PATH", file.to_string_lossy())
        .with("STREAM_MAX_OPEN", "1000000")
        .with("DIRECT_AFTER", "1h");
    redis.kill9().await?;
    let mut hook = Member::dispatcher("hook", &settings).await?;
    let start = Instant::now();
    for first in (1..=WAITING).step_by(500) {
        let (status, answer) = alerts::post(&hook.http, &burst(first, 500, "echo")).await?;
        ensure!(status == 200 && count(&answer, "outbox") == 500, "{status} {answer}");
    }
    say(&format!("accepted over HTTP   {:>9.0} incidents/s without Redis, by one sender", rate(WAITING, start)))?;
    let size = std::fs::metadata(&file)?.len() / 1024 / 1024;
    hook.program.kill9().await?;
    let start = Instant::now();
    let hook = Member::dispatcher("hook", &settings).await?;
    let ready = start.elapsed();
    let memory = hook.program.resident_mib()?;
    say(&format!(
        "restart              {:>9.0} ms until ready, {WAITING} open, {size} MiB on disk, {memory:.0} MiB in memory",
        ready.as_secs_f64() * 1000.0
    ))?;
    let start = Instant::now();
    redis.restart().await?;
    let mut books = Books::at(&redis.address()).await?;
    eventually_ok("all to be on the stream", PATIENCE, async || {
        ensure!(books.length(STREAM).await? == i64::try_from(WAITING)?);
        Ok(())
    })
    .await?;
    say(&format!("drained              {:>9.0} incidents/s onto the stream", rate(WAITING, start)))?;
    let mut books = Books(books.0.with_timeout(PATIENCE));
    let on_stream = books.column(STREAM, "fingerprint").await?;
    let accepted: Vec<_> = burst(1, WAITING, "echo").into_iter().map(|alert| alert.fingerprint).collect();
    ensure!(on_stream == accepted, "not in the order of acceptance");
    say("order                as accepted")
}
