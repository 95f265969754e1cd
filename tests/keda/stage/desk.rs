//! A trio, this scaler, and one process of KEDA's clients for each way of reading, so that a slow one holds up none.

use std::time::Duration;

use anyhow::{Context, Result};
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Client as Redis, Trio, TrioOptions};

use crate::client::{Client, Reading};

/// Something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The group of all streams.
pub(crate) const GROUP: &str = "workers";
/// The ways of reading, in the order of the columns.
pub(crate) const WAYS: [Way; 3] = [Way::Ours, Way::Lag, Way::Pending];

/// A way of reading a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `external`, this scaler, metric `backlog`.
    Ours,
    /// KEDA's `redis-sentinel-streams` with `lagCount`.
    Lag,
    /// KEDA's `redis-sentinel-streams` with `pendingEntriesCount`.
    Pending,
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) trio: Trio,
    pub(crate) scaler: Member,
    clients: Vec<Client>,
    program: String,
}

impl Desk {
    pub(crate) async fn open(program: &str) -> Result<Self> {
        // From the beginning: whoever lacks Go is told so at once.
        let clients = WAYS.iter().map(|_| Client::start(program)).collect::<Result<Vec<_>>>()?;
        let trio = Trio::start(TrioOptions::default()).await?;
        let scaler = Member::scaler(&Settings::of_trio(&trio)).await?;
        Ok(Self { trio, scaler, clients, program: program.to_owned() })
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let info = self.redis().await?.cmd(&["INFO", "server"]).await?;
        let line = info.text()?.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(line.context("no version")?.trim().to_owned())
    }

    /// The master, in the line's database.
    pub(crate) async fn redis(&self) -> Result<Redis> {
        self.trio.client(DATABASE).await
    }

    /// Another process of KEDA's clients.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::start(&self.program)
    }

    /// Keeps a trigger for this stream, its name being the stream's.
    pub(crate) fn make(&self, client: &mut Client, way: Way, name: &str, stream: &str) -> Result<()> {
        let (database, sentinels) = (DATABASE.to_string(), self.trio.sentinels().join(","));
        let mut metadata = vec![("stream", stream), ("consumerGroup", GROUP), ("databaseIndex", database.as_str())];
        let kind = match way {
            Way::Ours => {
                metadata.push(("scalerAddress", self.scaler.grpc.as_str()));
                "external"
            }
            Way::Lag | Way::Pending => {
                metadata.extend([("addresses", sentinels.as_str()), ("sentinelMaster", "mymaster")]);
                metadata.push((if way == Way::Lag { "lagCount" } else { "pendingEntriesCount" }, "10"));
                "redis-sentinel-streams"
            }
        };
        client.make(name, kind, &metadata)
    }

    /// Keeps the three triggers of a stream.
    pub(crate) fn make_all(&mut self, stream: &str) -> Result<()> {
        let mut clients = std::mem::take(&mut self.clients);
        let made = WAYS.iter().zip(&mut clients).try_for_each(|(way, client)| self.make(client, *way, stream, stream));
        self.clients = clients;
        made
    }

    /// All three at the same time, each as often as `again` says; gives the readings of each.
    pub(crate) fn ask_all(&mut self, stream: &str, again: impl Fn(usize) -> bool + Sync) -> Result<Vec<Vec<Reading>>> {
        let ask = |client: &mut Client| -> Result<Vec<Reading>> {
            let mut readings = Vec::new();
            while again(readings.len()) {
                readings.push(client.ask(stream)?);
                // KEDA does not ask without a pause either.
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(readings)
        };
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let asked: Vec<_> = self.clients.iter_mut().map(|client| scope.spawn(|| ask(client))).collect();
                asked
                    .into_iter()
                    .map(|asked| asked.join().map_err(|_| anyhow::anyhow!("a client's thread panicked"))?)
                    .collect()
            })
        })
    }
}
