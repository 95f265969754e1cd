//! An independent observer: follows the sentinels and notes when a write first works, and where.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::patience::eventually;
use crate::redis::connect;
use crate::resp::Client;
use crate::sentinel::{MASTER_NAME, Trio};

/// Time between two rounds.
const EVERY: Duration = Duration::from_millis(10);
/// The longest that a server may take to answer before it counts as failed.
const LIMIT: Duration = Duration::from_millis(200);
/// The probe's own database and key.
const DATABASE: u32 = 15;
const KEY: &str = "line-tests:probe";

/// A write that worked after one that did not, or the first one on an address.
#[derive(Debug, Clone)]
pub struct Turn {
    /// When the write was answered.
    pub at: Instant,
    /// Where, `host:port`.
    pub address: String,
    /// The last write that had worked anywhere before.
    pub after: Option<Instant>,
}

/// Probes every 10 ms until it is dropped.
#[derive(Debug)]
pub struct Prober {
    turns: Arc<Mutex<Vec<Turn>>>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Starts to probe the master of a trio.
    pub fn start(trio: &Trio) -> Self {
        let turns = Arc::<Mutex<Vec<Turn>>>::default();
        let probe = Probe {
            sentinels: trio.asked(),
            password: trio.password().map(str::to_owned),
            masters: HashMap::new(),
            failed: BTreeSet::new(),
            last_write: None,
            turns: Arc::clone(&turns),
        };
        Self { turns, task: tokio::spawn(probe.run()) }
    }

    /// All turns so far, oldest first.
    pub fn turns(&self) -> Vec<Turn> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first write on `address` at or after `since`.
    pub async fn first_write_on(&self, address: &str, since: Instant, patience: Duration) -> Result<Turn> {
        eventually(format!("a write on {address}"), patience, async || {
            self.turns().into_iter().find(|turn| turn.address == address && turn.at >= since)
        })
        .await
    }

    /// The first write on any other address than `old` at or after `since`.
    pub async fn first_write_off(&self, old: &str, since: Instant, patience: Duration) -> Result<Turn> {
        eventually(format!("a write elsewhere than on {old}"), patience, async || {
            self.turns().into_iter().find(|turn| turn.address != old && turn.at >= since)
        })
        .await
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A sentinel to ask, with the connection that is kept to it.
#[derive(Debug)]
pub(crate) struct Asked {
    address: String,
    password: Option<String>,
    client: Option<Client>,
}

impl Asked {
    pub(crate) fn new(address: String, password: Option<String>) -> Self {
        Self { address, password, client: None }
    }

    async fn master(&mut self) -> Option<String> {
        let answer = self.ask().await;
        if answer.is_err() {
            self.client = None;
        }
        answer.ok()
    }

    async fn ask(&mut self) -> Result<String> {
        let client = kept(&mut self.client, &self.address, self.password.as_deref()).await?;
        let words = ["SENTINEL", "get-master-addr-by-name", MASTER_NAME];
        Ok(client.cmd(&words).await?.texts()?.join(":"))
    }
}

#[derive(Debug)]
struct Probe {
    sentinels: Vec<Asked>,
    password: Option<String>,
    masters: HashMap<String, Option<Client>>,
    /// Addresses whose last write failed, or that were never written to.
    failed: BTreeSet<String>,
    last_write: Option<Instant>,
    turns: Arc<Mutex<Vec<Turn>>>,
}

impl Probe {
    async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.round().await;
        }
    }

    /// Sentinels disagree for a moment during a failover: every address that one names is tried.
    async fn round(&mut self) {
        let named = join_all(self.sentinels.iter_mut().map(Asked::master)).await;
        let named: BTreeSet<String> = named.into_iter().flatten().collect();
        for address in named {
            if !self.masters.contains_key(&address) {
                self.masters.insert(address.clone(), None);
                self.failed.insert(address.clone());
            }
            if self.write(&address).await.is_ok() {
                self.succeeded(address);
            } else {
                self.masters.insert(address.clone(), None);
                self.failed.insert(address);
            }
        }
    }

    async fn write(&mut self, address: &str) -> Result<()> {
        let client = self.masters.get_mut(address).context("an address that nobody named")?;
        let fresh = client.is_none();
        let client = kept(client, address, self.password.as_deref()).await?;
        if fresh {
            client.select(DATABASE).await?;
        }
        client.cmd(&["INCR", KEY]).await.map(drop)
    }

    fn succeeded(&mut self, address: String) {
        let at = Instant::now();
        let after = self.last_write.replace(at);
        if self.failed.remove(&address) {
            self.turns.lock().unwrap_or_else(PoisonError::into_inner).push(Turn { at, address, after });
        }
    }
}

/// The kept connection, opened if there is none.
async fn kept<'a>(client: &'a mut Option<Client>, address: &str, password: Option<&str>) -> Result<&'a mut Client> {
    let open = match client.take() {
        Some(open) => open,
        None => connect(address, password, LIMIT).await?,
    };
    Ok(client.insert(open))
}
