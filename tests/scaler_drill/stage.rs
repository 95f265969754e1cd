//! Everything the drill starts. Dropping it kills the processes and removes their folders.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{DATABASE, GROUP, Member, STREAM, Settings};
use line_tests::{Client, Trio, TrioOptions, eventually_ok};

use crate::marks::{Observer, add};
use crate::sample::Sampler;

/// Replicas of the scaler.
pub(crate) const REPLICAS: usize = 2;
/// Entries at the beginning, half of them pending. None is ever acknowledged: the backlog is the stream's length.
const ENTRIES: i64 = 40;
/// Long enough for a killed master to come back before anybody misses it.
const DOWN_AFTER: u64 = 1500;
/// Something that has to happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The same where a number may be held up.
const TRUTH_WITHIN: Duration = Duration::from_secs(90);

/// The stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) trio: Trio,
    pub(crate) scalers: Vec<Member>,
    pub(crate) sampler: Sampler,
    pub(crate) observer: Observer,
    /// How long is watched after a fault.
    pub(crate) after: Duration,
    /// A blind scaler has to end its streams.
    pub(crate) blind_ends: bool,
    settings: Settings,
}

impl Stage {
    pub(crate) async fn start(after: Duration, blind_ends: bool) -> Result<Self> {
        // Only what SAVE was asked for is on disk: a master that is killed comes back with that.
        let options =
            TrioOptions { down_after_ms: DOWN_AFTER, config: vec!["appendonly no".into()], ..TrioOptions::default() };
        let trio = Trio::start(options).await?;
        fill(&trio).await?;
        let settings = Settings::of_trio(&trio);
        let scalers = vec![Member::scaler(&settings).await?, Member::scaler(&settings).await?];
        let addresses: Vec<&str> = scalers.iter().map(|scaler| scaler.grpc.as_str()).collect();
        let sampler = Sampler::start(&addresses)?;
        let observer = Observer::start(trio.addresses(), trio.sentinels());
        let stage = Self { trio, scalers, sampler, observer, after, blind_ends, settings };
        stage.told(ENTRIES).await?;
        Ok(stage)
    }

    /// A connection to the master.
    pub(crate) async fn master(&self) -> Result<Client> {
        self.trio.client(DATABASE).await
    }

    /// The true backlog.
    pub(crate) async fn truth(&self) -> Result<i64> {
        self.master().await?.cmd(&["XLEN", STREAM]).await?.int()
    }

    /// Waits until both replicas say this number.
    pub(crate) async fn told(&self, number: i64) -> Result<Duration> {
        let begin = Instant::now();
        eventually_ok(format!("{number} from both replicas"), PATIENCE, async || {
            let numbers = self.sampler.numbers(REPLICAS);
            ensure!(numbers.iter().all(|told| *told == Some(number)), "{numbers:?}");
            Ok(())
        })
        .await?;
        Ok(begin.elapsed())
    }

    /// Waits until both replicas say this number or a larger one.
    pub(crate) async fn told_at_least(&self, number: i64) -> Result<()> {
        eventually_ok(format!("{number} or more from both replicas"), PATIENCE, async || {
            let numbers = self.sampler.numbers(REPLICAS);
            ensure!(numbers.iter().all(|told| told.is_some_and(|told| told >= number)), "{numbers:?}");
            Ok(())
        })
        .await
    }

    /// Waits until both replicas say what is true; after a failover they may say more for a minute.
    pub(crate) async fn told_truth(&self) -> Result<()> {
        eventually_ok("the truth from both replicas", TRUTH_WITHIN, async || {
            let (truth, numbers) = (self.truth().await?, self.sampler.numbers(REPLICAS));
            ensure!(numbers.iter().all(|told| *told == Some(truth)), "{numbers:?}, not {truth}");
            Ok(())
        })
        .await
    }

    /// Adds entries and waits until both replicas tell of them.
    pub(crate) async fn add(&self, count: i64) -> Result<()> {
        let number = add(&mut self.master().await?, count).await?;
        self.told(number).await.map(drop)
    }

    /// The demoted node joins the master; Sentinel would take ten seconds to say so.
    pub(crate) async fn demote(&mut self, node: &str) -> Result<()> {
        let master = self.trio.master_address().await?;
        let (host, port) = master.rsplit_once(':').context("no port")?;
        let mut client = self.trio.node(node)?.client().await?;
        client.cmd(&["REPLICAOF", host, port]).await?;
        self.trio.wait_for_replicas(2, PATIENCE).await
    }

    /// SAVE on every data server.
    pub(crate) async fn save(&mut self) -> Result<()> {
        for node in self.trio.nodes() {
            node.client().await?.cmd(&["SAVE"]).await?;
        }
        Ok(())
    }

    /// Starts all replicas again.
    pub(crate) async fn start_scalers(&mut self) -> Result<()> {
        for (replica, scaler) in self.scalers.iter_mut().enumerate() {
            *scaler = Member::scaler(&self.settings).await?;
            self.sampler.replace(replica, &scaler.grpc)?;
        }
        Ok(())
    }
}

async fn fill(trio: &Trio) -> Result<()> {
    let mut client = trio.client(DATABASE).await?;
    client.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
    add(&mut client, ENTRIES).await?;
    let half = (ENTRIES / 2).to_string();
    client.cmd(&["XREADGROUP", "GROUP", GROUP, "c", "COUNT", &half, "STREAMS", STREAM, ">"]).await?;
    let reached = client.cmd(&["WAIT", "2", "3000"]).await?.int()?;
    ensure!(reached == 2, "{reached} replicas have it all");
    Ok(())
}
