//! Random histories on a real server: what is counted is what is there.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use line_tests::line::DATABASE;
use line_tests::{Client, Redis, RedisOptions, Reply};
use redis_stream::backlog::{Backlog, Counter};
use redis_stream::connection::{Link, LinkOptions, Session};
use redis_stream::endpoint::{Endpoint, HostPort, Locator};
use redis_stream::id::EntryId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::figure;

/// As many are played each time, each of so many events.
const HISTORIES: usize = 30;
const EVENTS: usize = 50;
/// Seeds that are always among them; the others are drawn. To play a history again, put its seed here.
const ALWAYS: [u64; 2] = [1, 2];

const WITHIN: Duration = Duration::from_secs(10);
const GROUP: &str = "g";

/// A history: its stream, what happens next, and the client that makes it happen.
struct History {
    stream: String,
    rng: Rng,
    client: Client,
    said: Vec<String>,
}

impl History {
    /// Runs a command. A refusal is part of a history: the group may be gone, an id too small.
    async fn run(&mut self, command: &str) -> Result<Reply> {
        let words: Vec<&str> = command.split(' ').map(|word| if word == "S" { &*self.stream } else { word }).collect();
        self.said.push(command.to_owned());
        self.client.raw(&words).await
    }

    async fn ids(&mut self, from: &str) -> Result<Vec<EntryId>> {
        let reply = self.client.cmd(&["XRANGE", &self.stream, from, "+"]).await?;
        let mut ids = Vec::new();
        for entry in reply.items()? {
            ids.push(entry.items()?.first().context("an entry without an id")?.text()?.parse()?);
        }
        Ok(ids)
    }

    /// An id in or near the stream, and sometimes what Redis shall believe to have been read.
    async fn place(&mut self) -> Result<String> {
        let ids = self.ids("-").await?;
        let place = match (self.rng.u8(0..8), self.rng.choice(&ids)) {
            (0, _) | (_, None) => "0".to_owned(),
            (1, _) => "$".to_owned(),
            (2, Some(id)) => EntryId { ms: id.ms, seq: id.seq + 1 }.to_string(),
            (3, Some(id)) => EntryId { ms: id.ms + 1000, seq: 0 }.to_string(),
            (_, Some(id)) => id.to_string(),
        };
        Ok(if self.rng.bool() { place } else { format!("{place} ENTRIESREAD {}", self.rng.u8(0..40)) })
    }

    async fn event(&mut self) -> Result<()> {
        let some = self.rng.u8(1..9);
        match self.rng.u8(0..24) {
            0..=5 => {
                for _ in 0..some {
                    self.run("XADD S * f v").await?;
                }
            }
            6..=10 => drop(self.run(&format!("XREADGROUP GROUP {GROUP} c COUNT {some} STREAMS S >")).await?),
            11..=12 => self.acknowledge(some).await?,
            13..=14 => {
                let ids = self.ids("-").await?;
                if let Some(id) = self.rng.choice(ids) {
                    self.run(&format!("XDEL S {id}")).await?;
                }
            }
            15 => {
                if let Some(id) = self.ids("-").await?.pop() {
                    self.run(&format!("XDEL S {id}")).await?;
                }
            }
            16 => {
                let left = self.rng.u8(0..20);
                self.run(&format!("XTRIM S MAXLEN {left}")).await?;
            }
            17 => {
                let ids = self.ids("-").await?;
                if let Some(id) = self.rng.choice(ids) {
                    self.run(&format!("XTRIM S MINID {id}")).await?;
                }
            }
            18..=19 => {
                let place = self.place().await?;
                self.run(&format!("XGROUP SETID S {GROUP} {place}")).await?;
            }
            20..=21 => {
                let place = self.place().await?;
                self.run(&format!("XGROUP CREATE S {GROUP} {place}")).await?;
            }
            22 => drop(self.run(&format!("XGROUP DESTROY S {GROUP}")).await?),
            _ if some == 1 => drop(self.run("DEL S").await?),
            _ => drop(self.run(&format!("XGROUP DELCONSUMER S {GROUP} c")).await?),
        }
        Ok(())
    }

    async fn acknowledge(&mut self, count: u8) -> Result<()> {
        let pending = self.run(&format!("XPENDING S {GROUP} - + {count}")).await?;
        for row in pending.items().unwrap_or_default() {
            let id = row.items()?.first().context("a row without an id")?.text()?.to_owned();
            self.run(&format!("XACK S {GROUP} {id}")).await?;
        }
        Ok(())
    }

    /// What is there, by commands that the counter does not decide by.
    async fn truth(&mut self) -> Result<Truth> {
        let all = self.ids("-").await?;
        let groups = self.client.raw(&["XINFO", "GROUPS", &self.stream]).await?;
        let group = groups.items().unwrap_or_default().first().map(Reply::fields).transpose()?;
        let Some(group) = group else {
            return Ok(Truth { length: all.len(), unread: all, pending: BTreeSet::new() });
        };
        let position = group.get("last-delivered-id").context("no position")?.text()?.to_owned();
        let mut pending = BTreeSet::new();
        for row in self.client.cmd(&["XPENDING", &self.stream, GROUP, "-", "+", "10000"]).await?.items()? {
            pending.insert(row.items()?.first().context("a row without an id")?.text()?.parse()?);
        }
        Ok(Truth { length: all.len(), unread: self.ids(&format!("({position}")).await?, pending })
    }
}

#[derive(Debug)]
struct Truth {
    length: usize,
    unread: Vec<EntryId>,
    pending: BTreeSet<EntryId>,
}

impl Truth {
    fn check(&self, backlog: &Backlog) -> Result<()> {
        let Backlog { length, pending, lag, next, ref rows, .. } = *backlog;
        ensure!(lag.is_exact() && lag.value == self.unread.len() as u64, "{lag:?}");
        ensure!(length == self.length as u64 && next == self.unread.first().copied(), "{backlog:?}");
        ensure!(pending == self.pending.len() as u64, "{pending} pending");
        ensure!(rows.iter().map(|row| &row.id).eq(&self.pending), "{rows:?}");
        Ok(())
    }
}

async fn play(history: &mut History, session: &Session) -> Result<()> {
    // One that remembers, one that looks now and then, and one that sees all for the first time.
    let mut counters = [(); 2].map(|()| Counter::new(&*history.stream, GROUP));
    for turn in 0..EVENTS {
        history.event().await?;
        let truth = history.truth().await?;
        for (number, counter) in counters.iter_mut().enumerate() {
            if number == 0 || turn % 5 == 0 {
                truth.check(&counter.read(session).await?).with_context(|| format!("{number}: {truth:?}"))?;
            }
        }
        let mut fresh = Counter::new(&*history.stream, GROUP);
        truth.check(&fresh.read(session).await?).with_context(|| format!("fresh: {truth:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_the_truth_in_every_history() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let address: HostPort = redis.address().parse().map_err(anyhow::Error::msg)?;
    let (stop, endpoint) = (CancellationToken::new(), Endpoint::plain(Locator::Direct(address), 4));
    let options = LinkOptions { client_name: "line-tests".into() };
    let link = Link::start(endpoint, options, &TaskTracker::new(), stop.clone());
    let _end = stop.drop_guard();
    let session = link.session(WITHIN).await?;
    let seeds: Vec<u64> =
        ALWAYS.into_iter().chain(std::iter::repeat_with(|| fastrand::u64(..))).take(HISTORIES).collect();
    figure(&format!("seeds: {seeds:?}"));
    for (number, seed) in seeds.into_iter().enumerate() {
        let (client, rng) = (redis.database(DATABASE).await?, Rng::with_seed(seed));
        let mut history = History { stream: format!("history-{number}"), rng, client, said: Vec::new() };
        let played = play(&mut history, &session).await;
        played.with_context(|| format!("seed {seed}: {}", history.said.join("; ")))?;
    }
    Ok(())
}
