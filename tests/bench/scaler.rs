//! `make bench`, a part: how soon an entry is told of on the push streams, what many `ScaledObject`s cost Redis, and
//! what open push streams cost the scaler.
//!
//! `scaler N` takes N samples of each time. A sample is an edge: everything was drained and every stream had said
//! `false` before.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use line_tests::keda::{IsActive, ScaledObject};
use line_tests::line::{DATABASE, Member, STREAM, Settings};
use line_tests::{Client, Keda, Redis, RedisOptions, eventually};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tonic::Streaming;

const PATIENCE: Duration = Duration::from_secs(30);
const SAMPLES: usize = 300;
const CROWD: usize = 1_000;
const CONNECTIONS: usize = 5;
/// From XADD to `true`, 99th percentile.
const AIM: Duration = Duration::from_millis(10);
const OBJECTS: usize = 500;
const STREAMS: usize = 2_500;
/// In the long run a push stream says `true` once a second at most.
const EDGES_EVERY: Duration = Duration::from_millis(1050);
/// KEDA at its defaults asks three things about an object in ten seconds.
const ASKED_EVERY: Duration = Duration::from_secs(10);
const COUNTED: Duration = Duration::from_secs(20);
const PINGS: usize = 2_000;

/// One thread for all clients leaves the rest of a small machine to the scaler and Redis.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let samples = std::env::args().nth(1).map_or(Ok(SAMPLES), |samples| samples.parse())?;
    line("push streams, from XADD to true", "is", "aim")?;
    let mut slowest = Duration::ZERO;
    for streams in [1, CROWD] {
        slowest = slowest.max(wake(streams, samples).await?);
    }
    cost().await?;
    memory().await?;
    ensure!(slowest < AIM, "XADD to true took {slowest:?} (p99)");
    Ok(())
}

fn line(what: &str, is: &str, aim: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{what:<56} {is:>12} {aim:>10}").context("nobody reads")
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// A Redis, a scaler, and clients of both.
struct Desk {
    _redis: Redis,
    scaler: Member,
    keda: Vec<Keda>,
    client: Client,
}

impl Desk {
    async fn open() -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let scaler = Member::scaler(&Settings::of_redis(&redis.address())).await?;
        let keda = try_join_all((0..CONNECTIONS).map(|_| Keda::connect(&scaler.grpc))).await?;
        let client = redis.database(DATABASE).await?;
        Ok(Self { _redis: redis, scaler, keda, client })
    }

    fn keda(&self, number: usize) -> Result<&Keda> {
        self.keda.get(number % CONNECTIONS).context("no connection")
    }

    async fn push_stream(&self, number: usize) -> Result<Streaming<IsActive>> {
        Ok(self.keda(number)?.stream_is_active(&object(number)).await?)
    }
}

fn object(number: usize) -> ScaledObject {
    ScaledObject { name: format!("workers-{number}"), ..ScaledObject::with_metadata(&[]) }
}

/// Open push streams, each read by a task.
struct Crowd {
    heard: mpsc::UnboundedReceiver<(usize, bool, Instant)>,
    now: Vec<Option<bool>>,
    _tasks: JoinSet<()>,
}

impl Crowd {
    async fn open(desk: &Desk, streams: usize) -> Result<Self> {
        let (sender, heard) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for number in 0..streams {
            let (mut stream, sender) = (desk.push_stream(number).await?, sender.clone());
            tasks.spawn(async move {
                while let Ok(Some(told)) = stream.message().await {
                    if sender.send((number, told.result, Instant::now())).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { heard, now: vec![None; streams], _tasks: tasks })
    }

    /// Until all say `active`; gives when each began to.
    async fn until(&mut self, active: bool) -> Result<Vec<Instant>> {
        let mut since = vec![Instant::now(); self.now.len()];
        while self.now.iter().any(|now| *now != Some(active)) {
            let heard = timeout(PATIENCE, self.heard.recv()).await.context("nothing came")?;
            let (number, said, at) = heard.context("the streams ended")?;
            if let (Some(now), Some(since)) = (self.now.get_mut(number), since.get_mut(number)) {
                (*now, *since) = (Some(said), at);
            }
        }
        Ok(since)
    }
}

/// Gives the 99th percentile.
async fn wake(streams: usize, samples: usize) -> Result<Duration> {
    let mut desk = Desk::open().await?;
    let round_trip = ping(&mut desk.client).await?;
    let mut crowd = Crowd::open(&desk, streams).await?;
    crowd.until(false).await?;
    let (mut one, mut all) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    let mut pace = interval(EDGES_EVERY);
    // The first one, while the scaler connects, does not count.
    for sample in 0..=samples {
        if streams > 1 {
            pace.tick().await;
        } else {
            // A new stream may say true at once: no need to wait.
            crowd = Crowd::open(&desk, streams).await?;
            crowd.until(false).await?;
        }
        let begin = Instant::now();
        desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]).await?;
        let heard = crowd.until(true).await?;
        if sample > 0 {
            // Each sample looks at another stream.
            one.push(heard.get(sample * 37 % streams).context("no stream")?.duration_since(begin));
            all.push(heard.iter().max().context("no stream")?.duration_since(begin));
        }
        desk.client.cmd(&["XTRIM", STREAM, "MAXLEN", "0"]).await?;
        crowd.until(false).await?;
    }
    one.sort();
    all.sort();
    let p99 = percentile(&one, 99)?;
    line(&format!("{streams} open, {samples} samples: p50, ms"), &ms(percentile(&one, 50)?), "-")?;
    line("  p99, ms", &ms(p99), "< 10")?;
    line("  max, ms", &ms(percentile(&one, 100)?), "-")?;
    if streams > 1 {
        line("  the last of all streams, p50, ms", &ms(percentile(&all, 50)?), "-")?;
        line("  the last of all streams, p99, ms", &ms(percentile(&all, 99)?), "-")?;
    }
    line("  bare PING round trip, p50, ms", &ms(round_trip), "-")?;
    let ratio = percentile(&one, 50)?.as_secs_f64() / round_trip.as_secs_f64();
    line("  p50 in round trips", &format!("{ratio:.1}"), "-")?;
    Ok(p99)
}

fn percentile(sorted: &[Duration], percent: usize) -> Result<Duration> {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().context("no samples")
}

async fn ping(client: &mut Client) -> Result<Duration> {
    let mut took = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let begin = Instant::now();
        client.cmd(&["PING"]).await?;
        took.push(begin.elapsed());
    }
    took.sort();
    percentile(&took, 50)
}

/// What one object and what many cost Redis, with a push stream open for each and KEDA's polls.
async fn cost() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut open = vec![desk.push_stream(0).await?];
    let one = rate(&mut desk, 1).await?;
    for number in 1..OBJECTS {
        open.push(desk.push_stream(number).await?);
    }
    let many = rate(&mut desk, OBJECTS).await?;
    let list = desk.client.cmd(&["CLIENT", "LIST"]).await?.text()?.to_owned();
    let of = |name: &str| list.lines().filter(|line| line.contains(&format!(" name={name} "))).count();
    let (control, blocking) = (of("stream-scaler"), of("stream-scaler-events"));
    line("\nRedis commands per second, one ScaledObject", &format!("{one:.1}"), "-")?;
    line(&format!("{OBJECTS} ScaledObjects"), &format!("{many:.1}"), "-")?;
    line("  ratio", &format!("{:.2}", many / one), "<= 1.2")?;
    line("  control and blocking connections", &format!("{control} + {blocking}"), "1 + 1")?;
    ensure!(many <= one * 1.2 && control == 1 && blocking == 1, "{list}");
    Ok(())
}

async fn rate(desk: &mut Desk, objects: usize) -> Result<f64> {
    let (begin, before) = (Instant::now(), processed(&mut desk.client).await?);
    let mut pace = interval(ASKED_EVERY / u32::try_from(objects)?);
    for number in 0.. {
        pace.tick().await;
        if begin.elapsed() >= COUNTED {
            break;
        }
        let (keda, object) = (desk.keda(number)?, object(number % objects));
        let specs = keda.metric_specs(&object).await?;
        let name = &specs.first().context("no spec")?.metric_name;
        keda.metrics(&object, name).await?;
        keda.is_active(&object).await?;
    }
    // One of them was the question itself.
    Ok((processed(&mut desk.client).await? - before - 1.0) / begin.elapsed().as_secs_f64())
}

async fn processed(client: &mut Client) -> Result<f64> {
    let stats = client.cmd(&["INFO", "stats"]).await?.text()?.to_owned();
    let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).context("no count")?;
    Ok(line.trim().parse()?)
}

/// Resident memory with many streams open on a few connections, all of which have been told twice.
async fn memory() -> Result<()> {
    let mut desk = Desk::open().await?;
    let before = desk.scaler.program.resident_mib()?;
    let mut crowd = Crowd::open(&desk, STREAMS).await?;
    crowd.until(false).await?;
    desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]).await?;
    crowd.until(true).await?;
    let (mut last, mut same) = (0.0, 0);
    let mib = eventually("the memory to settle", PATIENCE, async || {
        let now = desk.scaler.program.resident_mib().ok()?;
        same = if (now - last).abs() < 0.05 { same + 1 } else { 0 };
        last = now;
        (same > 100).then_some(now)
    })
    .await?;
    line("\nmemory before (VmRSS), MiB", &format!("{before:.1}"), "-")?;
    let what = format!("with {STREAMS} push streams on {CONNECTIONS} connections, MiB");
    line(&what, &format!("{mib:.1}"), "< 100")?;
    ensure!(mib < 100.0, "{mib} MiB");
    Ok(())
}
