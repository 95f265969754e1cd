//! The outbox: what the hook has accepted, until it is known to have ended, and what it keeps of that.
//!
//! With a file an accepted incident is on disk before Alertmanager hears of it. Without one the same is kept in memory:
//! then only Redis or an agent can make an acceptance good.

pub mod history;
pub mod index;
pub mod item;
pub mod listing;
pub mod outcomes;
pub mod publish;
pub mod store;
pub mod tombstones;
pub mod watch;
pub mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::watch::Receiver;

use crate::incident::{Incident, STEP};
use index::{Counts, Index, Mark};
use item::{Offer, Progress, Sent, Tombstone, incident_key};
use store::chunks::Accepted;
use store::{Error, Op, Store};
use writer::{Reopen, Writer};

/// Ends that are the latest, at most.
const LATEST: usize = 500;

/// Where it is and how much it takes.
#[derive(Debug, Clone)]
pub struct OutboxSettings {
    /// The file; absent: in memory.
    pub path: Option<PathBuf>,
    /// How long tombstones are kept.
    pub keep: Duration,
    /// Open incidents at most.
    pub most_open: usize,
    /// Incidents on the stream at most, before the next wait here.
    pub most_published: usize,
    /// From one offer of everything that is open to the next.
    pub round_every: Duration,
    /// How long Redis may fail a new incident before it goes to its agent directly.
    pub direct_after: Duration,
    /// The same where a publish had no answer.
    pub direct_after_uncertain: Duration,
}

/// The outbox of one hook.
#[derive(Debug)]
pub struct Outbox {
    settings: OutboxSettings,
    index: Mutex<Index>,
    /// Keys of the ends that were learnt last, newest last.
    latest: Mutex<VecDeque<String>>,
    writer: Writer,
    changed: Notify,
}

impl Outbox {
    /// Opens it and reads what is open.
    pub fn open(settings: OutboxSettings) -> Result<Arc<Self>, Error> {
        let store = Store::open(settings.path.as_deref())?;
        let index = Index::load(store.progress()?, Instant::now());
        if !index.is_empty() {
            tracing::info!(open = index.len(), "incidents in the outbox are open");
        }
        let reopen = settings.path.clone().map(|path| -> Reopen { Box::new(move || Store::open(Some(&path))) });
        let writer = Writer::start(store, reopen).map_err(|error| Error::Use(error.to_string()))?;
        let (index, latest) = (Mutex::new(index), Mutex::default());
        Ok(Arc::new(Self { settings, index, latest, writer, changed: Notify::new() }))
    }

    /// How it was set up.
    pub fn settings(&self) -> &OutboxSettings {
        &self.settings
    }

    /// What it has accepted survives a restart.
    pub fn is_durable(&self) -> bool {
        self.settings.path.is_some()
    }

    /// Why nothing can be written to it now, and changes of that.
    pub fn trouble(&self) -> Receiver<Option<Error>> {
        self.writer.trouble()
    }

    /// Something new is open, or has changed its way.
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Accepts incidents: on disk, where there is a file, when this returns. Known ones are left as they are.
    /// `offer`: what is about to happen to them.
    pub async fn accept(&self, incidents: &[Incident], offer: Offer) -> Result<(), Error> {
        let new = self.enter(incidents, offer)?;
        if new.is_empty() {
            return Ok(());
        }
        let result = self.write(&new).await;
        if result.is_err() {
            let mut index = self.lock();
            for (_, progress, _) in &new {
                index.remove(&progress.id);
            }
        }
        self.changed.notify_one();
        result
    }

    async fn write(&self, new: &[(u64, Progress, &Incident)]) -> Result<(), Error> {
        let accept = |(number, progress, incident): &(u64, Progress, &Incident)| {
            Ok(Op::Accept(*number, Accepted::new(incident, progress)?))
        };
        let ops = new.iter().map(accept).collect::<Result<_, Error>>()?;
        if self.is_durable() {
            return self.writer.commit(ops).await;
        }
        self.writer.later(ops);
        Ok(())
    }

    fn enter<'a>(&self, incidents: &'a [Incident], offer: Offer) -> Result<Vec<(u64, Progress, &'a Incident)>, Error> {
        let (mut index, now) = (self.lock(), Instant::now());
        if index.len() + incidents.len() > self.settings.most_open {
            return Err(Error::Full);
        }
        let new = incidents.iter().filter_map(|incident| {
            let (number, progress) = index.add(&incident.workflow_id, &incident.agent_target, offer, now)?;
            Some((number, progress, incident))
        });
        Ok(new.collect())
    }

    /// What is known of an open incident.
    pub fn find(&self, id: &str) -> Option<Mark> {
        self.lock().get(id).cloned()
    }

    /// Looks at all open incidents.
    pub fn look<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.lock())
    }

    /// How many are where.
    pub fn counts(&self) -> Counts {
        self.look(Index::counts)
    }

    /// Changes incidents' ways onto the stream; on disk when this returns if it matters after a restart.
    pub async fn begin_offer(&self, ids: &[&str]) -> Result<(), Error> {
        let now = Instant::now();
        let begin = |mark: &mut Mark| {
            mark.offered = Some(now);
            mark.first = false;
            if mark.offer == Offer::Never {
                mark.offer = Offer::Unanswered;
            }
        };
        let fresh: Vec<_> = {
            let mut index = self.lock();
            ids.iter()
                .filter_map(|id| {
                    let fresh = index.get(id).is_some_and(|mark| mark.offer == Offer::Never);
                    let changed = index.change(id, begin)?;
                    fresh.then_some(changed)
                })
                .collect()
        };
        if fresh.is_empty() || !self.is_durable() {
            return Ok(());
        }
        self.writer.commit(fresh.into_iter().map(|(number, progress)| Op::Progress(number, progress)).collect()).await
    }

    /// How an offer ended.
    pub fn end_offer(&self, id: &str, offer: Offer) {
        self.change(id, |mark| {
            mark.offered = None;
            if offer == Offer::Confirmed {
                mark.since = Instant::now();
            }
            mark.offer = offer;
        });
    }

    /// How a direct dispatch stands; `durable`: on disk when this returns.
    pub async fn set_direct(&self, id: &str, direct: Option<Sent>, durable: bool) -> Result<(), Error> {
        let changed = self.lock().change(id, |mark| mark.direct = direct);
        let Some((number, progress)) = changed else { return Ok(()) };
        self.changed.notify_one();
        let op = vec![Op::Progress(number, progress)];
        if durable && self.is_durable() {
            return self.writer.commit(op).await;
        }
        self.writer.later(op);
        Ok(())
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Mark)) {
        let changed: Option<(u64, Progress)> = self.lock().change(id, change);
        if let Some((number, progress)) = changed {
            self.writer.later(vec![Op::Progress(number, progress)]);
        }
    }

    /// Nobody was promised anything about it, and nothing has happened to it.
    pub fn withdraw(&self, id: &str) {
        if let Some(number) = self.lock().remove(id) {
            self.writer.later(vec![Op::Close(number)]);
        }
    }

    /// Incidents that ended: not open any more; what is kept of them. `note` goes to the disk with them. Between the two
    /// an incident counts as open, so that it is known all the time.
    pub async fn bury(&self, tombstones: Vec<Tombstone>, note: Option<(&'static str, Vec<u8>)>) {
        self.remember(&tombstones);
        self.keep(tombstones, note).await;
    }

    /// The same for ends that are known already.
    pub async fn keep(&self, tombstones: Vec<Tombstone>, note: Option<(&'static str, Vec<u8>)>) {
        let mut ops = Vec::with_capacity(tombstones.len() * 2 + 1);
        let mut closed = Vec::new();
        for tombstone in tombstones {
            // The hook's own incidents have one step.
            if let Some(mark) = self.find(&tombstone.workflow_id).filter(|_| tombstone.step == STEP) {
                ops.push(Op::Close(mark.number));
                closed.push((tombstone.workflow_id.clone(), mark.number));
            }
            ops.push(Op::Bury(Box::new(tombstone)));
        }
        ops.extend(note.map(|(name, value)| Op::Note(name, value)));
        if let Err(error) = self.writer.commit(ops).await {
            tracing::warn!(%error, "what has ended is written down later");
        }
        let mut index = self.lock();
        for (id, number) in closed {
            if index.get(&id).is_some_and(|mark| mark.number == number) {
                index.remove(&id);
            }
        }
        drop(index);
        self.changed.notify_one();
    }

    fn remember(&self, tombstones: &[Tombstone]) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.extend(tombstones.iter().map(Tombstone::key));
        let surplus = latest.len().saturating_sub(LATEST);
        latest.drain(..surplus);
    }

    /// The tombstones of the ends that this process has learnt last: a failover forgets the newest ends.
    pub async fn latest(&self) -> Result<Vec<Tombstone>, Error> {
        let keys: Vec<_> = self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        self.read(move |store| store.tombstones(&keys)).await
    }

    /// Tombstones that are too old.
    pub fn forget(&self, keys: Vec<String>) {
        self.writer.later(keys.into_iter().map(Op::Forget).collect());
    }

    /// Writes a note, with what is written next.
    pub fn note(&self, name: &'static str, value: Vec<u8>) {
        self.writer.later(vec![Op::Note(name, value)]);
    }

    /// Reads from the store, off the runtime's threads.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.writer.store()?;
        let done = tokio::task::spawn_blocking(move || read(&store)).await;
        done.unwrap_or_else(|error| Err(Error::Use(error.to_string())))
    }

    /// These open incidents.
    pub async fn incidents(&self, numbers: Vec<u64>) -> Result<Vec<(u64, Incident)>, Error> {
        self.read(move |store| store.incidents(&numbers)).await
    }

    /// The tombstones of the hook's own incidents.
    pub async fn buried(&self, ids: Vec<String>, step: &str) -> Result<Vec<Tombstone>, Error> {
        let keys: Vec<_> = ids.iter().map(|id| incident_key(id, step)).collect();
        self.read(move |store| store.tombstones(&keys)).await
    }

    /// Writes what is left and closes the file.
    pub fn close(self) {
        self.writer.close();
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
