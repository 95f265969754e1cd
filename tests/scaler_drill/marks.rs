//! Which node is the master, and a mark on each new one: more entries than the old one has, written as soon as it is
//! promoted, so before the Sentinels tell anybody. A number without the mark was not read from there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use line_tests::Client;
use line_tests::line::{DATABASE, STREAM};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};
use tokio_util::task::AbortOnDropHandle;

/// Entries that a new master gets.
pub(crate) const MARK: i64 = 100;
/// Time between two looks at a node's role.
const LOOK: Duration = Duration::from_millis(5);
/// The longest that a node may take to answer.
const LIMIT: Duration = Duration::from_millis(200);
/// Before a lost Sentinel is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// A new master, and what it has since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    pub(crate) node: String,
    /// Entries with the mark.
    pub(crate) count: i64,
}

/// The first time that a Sentinel named another master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) at: Instant,
    pub(crate) node: String,
}

/// What the observers have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) marks: Vec<Mark>,
    pub(crate) switches: Vec<Switch>,
    /// New masters get no mark.
    unmarked: bool,
}

/// Observes until it is dropped.
#[derive(Debug)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Observer {
    pub(crate) fn start(nodes: Vec<String>, sentinels: Vec<String>) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let nodes = nodes.into_iter().map(|node| tokio::spawn(watch_role(node, Arc::clone(&seen))));
        let mut tasks: Vec<_> = nodes.collect();
        tasks.extend(sentinels.into_iter().map(|sentinel| tokio::spawn(listen(sentinel, Arc::clone(&seen)))));
        Self { seen, _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect() }
    }

    /// Whether new masters get a mark.
    pub(crate) fn mark(&self, marked: bool) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unmarked = !marked;
    }

    /// Marks and switches since then.
    pub(crate) fn since(&self, begin: Instant) -> (Vec<Mark>, Vec<Switch>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = seen.marks.iter().filter(|mark| mark.at >= begin).cloned().collect();
        (marks, seen.switches.iter().filter(|switch| switch.at >= begin).cloned().collect())
    }
}

/// Only what is seen to change from replica to master is promoted: an old master that comes back is not.
async fn watch_role(node: String, seen: Arc<Mutex<Seen>>) {
    let (mut looks, mut client, mut was_replica) = (interval(LOOK), None, false);
    loop {
        looks.tick().await;
        match role(&mut client, &node).await {
            Ok(is_master) => {
                let promoted = is_master && was_replica;
                was_replica = !is_master;
                let marked = !seen.lock().unwrap_or_else(PoisonError::into_inner).unmarked;
                if promoted && marked {
                    // A master that is gone again gets none, and is not named for long.
                    if let Ok(count) = mark(&node).await {
                        let mark = Mark { at: Instant::now(), node: node.clone(), count };
                        seen.lock().unwrap_or_else(PoisonError::into_inner).marks.push(mark);
                    }
                }
            }
            Err(_) => client = None,
        }
    }
}

async fn role(client: &mut Option<Client>, node: &str) -> Result<bool> {
    let open = match client.take() {
        Some(open) => open,
        None => Client::connect_within(node, LIMIT).await?,
    };
    let role = client.insert(open).cmd(&["ROLE"]).await?;
    Ok(role.items()?.first().context("no role")?.text()? == "master")
}

async fn mark(node: &str) -> Result<i64> {
    let mut client = Client::connect_within(node, LIMIT).await?;
    client.select(DATABASE).await?;
    add(&mut client, MARK).await
}

/// Adds entries; gives how many there are then.
pub(crate) async fn add(client: &mut Client, count: i64) -> Result<i64> {
    let script = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'workflow_id', 'w') end \
                  return redis.call('XLEN', KEYS[1])";
    client.cmd(&["EVAL", script, "1", STREAM, &count.to_string()]).await?.int()
}

async fn listen(sentinel: String, seen: Arc<Mutex<Seen>>) {
    loop {
        // It is a fault of the drill that a Sentinel is away.
        subscribed(&sentinel, &seen).await.ok();
        sleep(PAUSE).await;
    }
}

/// The message is `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`, on a line of its own.
async fn subscribed(sentinel: &str, seen: &Mutex<Seen>) -> Result<()> {
    let mut stream = TcpStream::connect(sentinel).await?;
    stream.write_all(b"SUBSCRIBE +switch-master\r\n").await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, _, _, host, port] = words.as_slice() else { continue };
        let switch = Switch { at: Instant::now(), node: format!("{host}:{port}") };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.switches.last().is_none_or(|last| last.node != switch.node) {
            seen.switches.push(switch);
        }
    }
    Ok(())
}
