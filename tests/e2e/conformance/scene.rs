//! A trio, two scalers, and KEDA's cases in a hundredth of their time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::keda::workload::Limits;
use line_tests::keda::{Operator, Plan, ScaledObject, Version};
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client, Trio, TrioOptions, eventually_ok};

/// KEDA's `pollingInterval` of 5 s.
pub(crate) const POLLING: Duration = Duration::from_millis(200);
/// A new number of replicas, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a wrong step: the scaler reads about each 400 ms.
pub(crate) const WATCH: Duration = Duration::from_millis(1500);

pub(crate) struct Scene {
    pub(crate) trio: Trio,
    pub(crate) scalers: Vec<Member>,
}

impl Scene {
    pub(crate) async fn open() -> Result<Self> {
        let trio = Trio::start(TrioOptions::default()).await?;
        let settings = Settings::of_trio(&trio);
        let scalers = vec![Member::scaler(&settings).await?, Member::scaler(&settings).await?];
        Ok(Self { trio, scalers })
    }

    /// A `ScaledObject` on one stream of its own.
    pub(crate) fn operator(&self, stream: &str, metadata: &[(&str, &str)], plan: Plan) -> Result<Operator> {
        let addresses: Vec<&str> = self.scalers.iter().map(|scaler| scaler.grpc.as_str()).collect();
        Operator::start(&addresses, object(stream, metadata), plan)
    }

    pub(crate) async fn books(&self) -> Result<Books> {
        Ok(Books(self.trio.client(DATABASE).await?))
    }
}

pub(crate) fn object(stream: &str, metadata: &[(&str, &str)]) -> ScaledObject {
    let mut object = ScaledObject::with_metadata(metadata);
    object.metadata.insert("stream".into(), stream.into());
    object
}

/// Times of KEDA's tests, scaled.
pub(crate) fn plan(version: Version, min: u32, max: u32) -> Plan {
    Plan {
        version,
        push: false,
        limits: Limits {
            min,
            max,
            idle: None,
            cooldown: Duration::from_millis(600),
            stabilization: Duration::from_millis(600),
            fallback: None,
        },
        replicas: min,
        polling: POLLING,
        syncing: POLLING,
        reconnect: Duration::from_millis(100),
    }
}

/// What a producer and a consumer do.
pub(crate) struct Books(Client);

impl Books {
    pub(crate) async fn add(&mut self, stream: &str, count: usize) -> Result<()> {
        let script = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'f', 'v') end";
        self.run(&["EVAL", script, "1", stream, &count.to_string()]).await
    }

    /// Waits until so many replicas have everything.
    pub(crate) async fn replicated(&mut self, replicas: i64) -> Result<()> {
        eventually_ok(format!("{replicas} replicas to have everything"), PATIENCE, async || {
            let have = self.0.cmd(&["WAIT", &replicas.to_string(), "1000"]).await?.int()?;
            ensure!(have >= replicas, "{have} have");
            Ok(())
        })
        .await
    }

    pub(crate) async fn group(&mut self, stream: &str) -> Result<()> {
        self.run(&["XGROUP", "CREATE", stream, "g", "0", "MKSTREAM"]).await
    }

    pub(crate) async fn read_all(&mut self, stream: &str) -> Result<()> {
        self.run(&["XREADGROUP", "GROUP", "g", "c", "COUNT", "10000", "STREAMS", stream, ">"]).await
    }

    pub(crate) async fn acknowledge_all(&mut self, stream: &str) -> Result<()> {
        let script = "for _, row in ipairs(redis.call('XPENDING', KEYS[1], 'g', '-', '+', 10000)) do \
                      redis.call('XACK', KEYS[1], 'g', row[1]) end";
        self.run(&["EVAL", script, "1", stream]).await
    }

    /// Everything is read and done, by a consumer that makes the group if there is none.
    pub(crate) async fn drain(&mut self, stream: &str) -> Result<()> {
        self.group(stream).await.ok();
        self.read_all(stream).await?;
        self.acknowledge_all(stream).await
    }

    pub(crate) async fn remove(&mut self, stream: &str) -> Result<()> {
        self.run(&["DEL", stream]).await
    }

    async fn run(&mut self, words: &[&str]) -> Result<()> {
        self.0.cmd(words).await.map(drop).with_context(|| format!("{words:?}"))
    }
}
