//! What a producer without an outbox loses: it follows Sentinel, counts on a stream of its own, and notes what Redis
//! acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use line_tests::sentinel::MASTER_NAME;
use line_tests::{Client, Trio};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::now;

const STREAM: &str = "drill:plain";
const DATABASE: u32 = 14;
const EVERY: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(1);

type Acknowledged = Arc<Mutex<Vec<(u64, f64)>>>;

/// The producer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Plain {
    acknowledged: Acknowledged,
    _task: AbortOnDropHandle<()>,
}

impl Plain {
    pub(crate) fn start(trio: &Trio) -> Self {
        let acknowledged = Acknowledged::default();
        let task = tokio::spawn(produce(trio.sentinels(), Arc::clone(&acknowledged)));
        Self { acknowledged, _task: AbortOnDropHandle::new(task) }
    }

    /// Of what was acknowledged since `since` (Unix seconds): how much, and how much of it is gone.
    pub(crate) async fn lost_since(&self, since: f64, trio: &Trio) -> Result<(usize, usize)> {
        let acknowledged: Vec<u64> = {
            let list = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().filter(|(_, at)| *at >= since).map(|(number, _)| *number).collect()
        };
        let mut client = trio.client(DATABASE).await?;
        let entries = client.cmd(&["XRANGE", STREAM, "-", "+"]).await?;
        let mut there = BTreeSet::new();
        for entry in entries.items()? {
            let fields = entry.items()?.get(1).context("an entry without fields")?.fields()?;
            there.insert(u64::try_from(fields.get("n").context("an entry without a number")?.int()?)?);
        }
        let lost = acknowledged.iter().filter(|number| !there.contains(number)).count();
        Ok((acknowledged.len(), lost))
    }
}

async fn produce(sentinels: Vec<String>, acknowledged: Acknowledged) {
    let (mut client, mut pace) = (None, interval(EVERY));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1.. {
        pace.tick().await;
        if add(&mut client, &sentinels, number).await.is_ok() {
            acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push((number, now()));
        } else {
            client = None;
        }
    }
}

async fn add(client: &mut Option<Client>, sentinels: &[String], number: u64) -> Result<()> {
    let mut open = match client.take() {
        Some(open) => open,
        None => connect(sentinels).await?,
    };
    open.cmd(&["XADD", STREAM, "MAXLEN", "~", "20000", "*", "n", &number.to_string()]).await?;
    *client = Some(open);
    Ok(())
}

/// As common clients do: the first Sentinel that answers is believed.
async fn connect(sentinels: &[String]) -> Result<Client> {
    for sentinel in sentinels {
        let Ok(mut asked) = Client::connect_within(sentinel, LIMIT).await else { continue };
        let words = ["SENTINEL", "get-master-addr-by-name", MASTER_NAME];
        let master = asked.cmd(&words).await?.texts()?.join(":");
        let mut client = Client::connect_within(&master, LIMIT).await?;
        client.select(DATABASE).await?;
        return Ok(client);
    }
    anyhow::bail!("no Sentinel answers")
}
