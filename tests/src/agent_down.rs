//! One of two agents is down for three leases while entries for both keep coming.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::keda::ScaledObject;
use crate::line::{Books, DEAD, Member, Settings};
use crate::{Agent, AgentKind, AgentOptions, Keda, Redis, RedisOptions, eventually, eventually_ok};

/// The scaler's name for the backlog.
const METRIC: &str = "incident-events-dispatch-group-backlog";
/// Between two entries for the same agent.
const APART: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);
/// Load before and after what is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// Runs that the workers give an agent at once by default, and with it what they can hold of a dead one.
const LIMIT: i64 = 10;

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Entries for each agent.
    pub entries: usize,
    /// Median seconds from an entry's writing to its run at the agent that stays, before the other goes.
    pub before: f64,
    /// The same while the other is down.
    pub during: f64,
    /// The largest backlog that the scaler told while the agent was down for less than a lease.
    pub most_at_first: i64,
    /// What it told at the end of the third lease, when nothing else was under way.
    pub at_last: i64,
    /// Waiting then.
    pub waiting: i64,
    /// Requests that the dead agent's address would have seen after its first lease: tries by the workers.
    pub tries: f64,
    /// Seconds from its return until everything had run.
    pub caught_up: f64,
}

struct Scene {
    _redis: Redis,
    _folder: TempDir,
    address: String,
    books: Books,
    gone: Agent,
    stays: Agent,
    workers: Vec<Member>,
    keda: Keda,
    _scaler: Member,
}

/// Runs the scene and checks everything but the speeds.
pub async fn run(lease: Duration) -> Result<Seen> {
    let mut scene = Scene::open(lease).await?;
    // Connections, code and caches are warm before anything is measured.
    let mut warm_up = Load::start(&scene.address, 0).await?;
    warm_up.for_as_long_as(WARM_UP).await?;
    let first = warm_up.stop().await?;
    eventually_ok("both agents to be idle", PATIENCE, async || scene.books.is_drained().await).await?;
    let warm = unix_now();
    let mut load = Load::start(&scene.address, first.len()).await?;
    load.for_as_long_as(lease.max(Duration::from_secs(5))).await?;
    let mut written = first;
    written.extend(load.stop().await?);
    // The agent keeps its tasks in memory: none may be under way when it goes.
    eventually_ok("both agents to be idle", PATIENCE, async || scene.books.is_drained().await).await?;
    let turn = unix_now();
    scene.gone.stop().await?;
    let mut load = Load::start(&scene.address, written.len()).await?;
    let most_at_first = scene.watch(&mut load, lease).await?;
    let tries_before = scene.tries().await?;
    load.for_as_long_as(lease * 3).await?;
    let tries = scene.tries().await? - tries_before;
    written.extend(load.stop().await?);
    let (at_last, waiting) = scene.at_rest().await?;
    // Entries go on coming while it is back.
    let mut load = Load::start(&scene.address, written.len()).await?;
    let (back, until) = (Instant::now(), unix_now());
    scene.gone.restart().await?;
    load.for_as_long_as(WARM_UP).await?;
    written.extend(load.stop().await?);
    let patience = lease * 3 + Duration::from_secs(60);
    eventually_ok("everything to run", patience, async || scene.books.is_drained().await).await?;
    let caught_up = back.elapsed().as_secs_f64();
    scene.check(&written).await?;
    let took = scene.latencies(&written)?;
    let median_between = |from: f64, to: f64| {
        median(took.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, took)| *took).collect())
    };
    Ok(Seen {
        entries: written.len(),
        before: median_between(warm, turn)?,
        during: median_between(turn, until)?,
        most_at_first,
        at_last,
        waiting,
        tries,
        caught_up,
    })
}

impl Scene {
    async fn open(lease: Duration) -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let gone = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
        let stays = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("agents.toml");
        let profile =
            |name: &str, agent: &Agent| format!("[agents.{name}]\nurl = \"{}/?agent={{agent}}\"\n", agent.url());
        std::fs::write(&config, profile("gone", &gone) + &profile("stays", &stays))?;
        let settings = Settings::of_redis(&redis.address())
            .with("CONFIG", config.to_string_lossy())
            .with("MIN_IDLE_MS", lease.as_millis().to_string());
        let workers = vec![Member::dispatcher("work", &settings).await?, Member::dispatcher("work", &settings).await?];
        let scaler = Member::scaler(&settings).await?;
        let keda = Keda::connect(&scaler.grpc).await?;
        let books = Books::at(&redis.address()).await?;
        let address = redis.address();
        Ok(Self { _redis: redis, _folder: folder, address, books, gone, stays, workers, keda, _scaler: scaler })
    }

    async fn backlog(&self) -> Result<i64> {
        let values = self.keda.metrics(&ScaledObject::with_metadata(&[]), METRIC).await?;
        Ok(values.first().context("no value")?.metric_value)
    }

    /// The largest backlog of a lease: no more than what the workers hold, and what is on its way to them.
    async fn watch(&mut self, load: &mut Load, lease: Duration) -> Result<i64> {
        let (mut most, mut lasted) = (0, Duration::ZERO);
        while lasted < lease {
            lasted += APART * 2;
            load.for_as_long_as(lasted).await?;
            let backlog = self.backlog().await?;
            most = most.max(backlog);
            ensure!(
                backlog <= 1 + 2 * LIMIT,
                "a backlog of {backlog} while {} are pending",
                self.books.pending().await?
            );
        }
        Ok(most)
    }

    /// With no load: the backlog is one for the probe and what is held, and everything else waits.
    async fn at_rest(&mut self) -> Result<(i64, i64)> {
        let waiting = eventually("only waiting entries", PATIENCE, async || {
            let (waiting, unread, pending) =
                (self.books.waiting().await.ok()?, self.books.unread().await.ok()?, self.books.pending().await.ok()?);
            (unread == 0 && pending <= 1).then_some(waiting)
        })
        .await?;
        ensure!(waiting > 0, "nothing waits for the agent that is down");
        // The scaler's last reading can be older than the rest.
        let backlog = eventually("a backlog of one and what tries the agent", PATIENCE, async || {
            self.backlog().await.ok().filter(|backlog| (1..=2).contains(backlog))
        })
        .await?;
        Ok((backlog, waiting))
    }

    /// Tries that did not reach an agent, by both workers.
    async fn tries(&self) -> Result<f64> {
        let mut tries = 0.0;
        for worker in &self.workers {
            tries += worker.metric("dispatch_waits_total", "").await?;
        }
        Ok(tries)
    }

    /// Everything ran once, nothing is dead, no attempt was counted in vain.
    async fn check(&mut self, written: &[Written]) -> Result<()> {
        ensure!(self.books.length(DEAD).await? == 0, "dead letters: {:?}", self.books.column(DEAD, "error").await?);
        for (name, agent) in [("gone", &self.gone), ("stays", &self.stays)] {
            let runs: BTreeMap<String, usize> = agent.runs()?;
            for one in written {
                let id = one.id(name);
                ensure!(runs.get(&format!("{id}-investigation")) == Some(&1), "{id}: {runs:?}");
                let attempts = self.books.field(&format!("incident:dispatch:{id}-investigation"), "attempts").await?;
                ensure!(attempts == "1", "{id} took {attempts} attempts");
            }
            ensure!(runs.len() == written.len(), "{} runs at {name}", runs.len());
        }
        Ok(())
    }

    /// Of the agent that stays: when an entry was written, and how long until it ran; seconds.
    fn latencies(&self, written: &[Written]) -> Result<Vec<(f64, f64)>> {
        let ran: HashMap<String, f64> =
            self.stays.executions_from_log()?.into_iter().map(|run| (run.message_id, run.t)).collect();
        written
            .iter()
            .map(|one| {
                let at = ran.get(&format!("{}-investigation", one.id("stays"))).context("it did not run")?;
                Ok((one.at, at - one.at))
            })
            .collect()
    }
}

/// A pair of entries, one for each agent.
#[derive(Debug)]
struct Written {
    number: usize,
    at: f64,
}

impl Written {
    fn id(&self, agent: &str) -> String {
        format!("{agent}-{}", self.number)
    }
}

/// Pairs of entries at an even pace: it is the clock of the scene.
struct Load {
    stop: Arc<AtomicBool>,
    written: watch::Receiver<u32>,
    task: JoinHandle<Result<Vec<Written>>>,
}

impl Load {
    async fn start(address: &str, first: usize) -> Result<Self> {
        let mut books = Books::at(address).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (count, written) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(APART);
            let mut written = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                ticks.tick().await;
                let one = Written { number: first + written.len(), at: unix_now() };
                for agent in ["gone", "stays"] {
                    books.order_of(agent, &one.id(agent), "echo").await?;
                }
                written.push(one);
                count.send_modify(|count| *count += 1);
            }
            Ok(written)
        });
        Ok(Self { stop, written, task })
    }

    /// Until it has written what it writes in this time from its start.
    async fn for_as_long_as(&mut self, time: Duration) -> Result<()> {
        let written = self.written.wait_for(|count| APART * *count >= time).await;
        written.map(drop).context("the load has ended")
    }

    async fn stop(self) -> Result<Vec<Written>> {
        self.stop.store(true, Ordering::Release);
        self.task.await?
    }
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("nothing was measured")
}
