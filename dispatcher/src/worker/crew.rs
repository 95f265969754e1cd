//! What the loops of a worker share: the slots, what is held, and the way an entry goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use daemon::{Lifecycle, TraceContext};
use redis_stream::connection::{Link, Session};
use redis_stream::entry::Entry;
use redis_stream::id::EntryId;
use redis_stream::lease;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};
use tracing::Instrument as _;

use super::acknowledger::{Finished, Verdict};
use super::finals::Finals;
use crate::dispatch::agents::Agents;
use crate::dispatch::dispatcher::{Dispatcher, Ending, Stops};
use crate::dispatch::held::{Held, Slots};
use crate::dispatch::names::Names;
use crate::metrics::Metrics;

/// Shared by the loops.
pub struct Crew {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// How long an entry may be idle before another worker claims it.
    pub lease: Duration,
    /// Longest blocking read.
    pub block: Duration,
    /// When to stop.
    pub stops: Stops,
    /// The instruments.
    pub metrics: Metrics,
    pub(super) life: Lifecycle,
    pub(super) slots: Slots,
    pub(super) agents: Arc<Agents>,
    /// Longest wait for an agent that cannot be reached.
    pub(super) give_up_after: Duration,
    /// Rung when an agent may have room again.
    pub(super) room: Notify,
    dispatcher: Dispatcher,
    held: Mutex<HashMap<EntryId, Arc<Held>>>,
    left_alone: Mutex<HashMap<EntryId, Instant>>,
    finishes: mpsc::Sender<Finished>,
    pub(super) finals: Finals,
    renewed: watch::Sender<u64>,
    pub(super) nonce: Option<String>,
    named: watch::Sender<bool>,
    dispatching: watch::Sender<usize>,
}

/// What a crew is made of.
pub struct CrewParts {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// Lease.
    pub lease: Duration,
    /// Longest blocking read.
    pub block: Duration,
    /// Dispatches in flight at most.
    pub width: usize,
    /// Longest wait for an agent that cannot be reached.
    pub give_up_after: Duration,
    /// Names this process where the consumer's name was set by hand: nothing is read before that is known to be ours.
    pub nonce: Option<String>,
    /// When to stop.
    pub stops: Stops,
    /// The instruments.
    pub metrics: Metrics,
    /// The process.
    pub life: Lifecycle,
    /// Works on one entry.
    pub dispatcher: Dispatcher,
    /// The agents it hands to.
    pub agents: Arc<Agents>,
}

impl Crew {
    /// A crew, and the queue that its acknowledger empties.
    pub fn new(parts: CrewParts) -> (Arc<Self>, mpsc::Receiver<Finished>) {
        let (finishes, queue) = mpsc::channel(parts.width.max(1));
        let crew = Self {
            link: parts.link,
            names: parts.names,
            lease: parts.lease,
            block: parts.block,
            stops: parts.stops,
            metrics: parts.metrics,
            life: parts.life,
            slots: Slots::new(parts.width),
            agents: parts.agents,
            give_up_after: parts.give_up_after,
            room: Notify::new(),
            dispatcher: parts.dispatcher,
            held: Mutex::default(),
            left_alone: Mutex::default(),
            finishes,
            finals: Finals::default(),
            renewed: watch::Sender::new(0),
            nonce: parts.nonce.clone(),
            named: watch::Sender::new(parts.nonce.is_none()),
            dispatching: watch::Sender::new(0),
        };
        (Arc::new(crew), queue)
    }

    /// Puts an entry under work. `since`: when the call that brought it began. An entry that is held
    /// already (it was delivered again after a failover) stays with the dispatch that has it.
    pub fn put_to_work(self: &Arc<Self>, entry: Entry, deliveries: i64, since: Instant, slot: OwnedSemaphorePermit) {
        let held = Arc::new(Held::new(entry, deliveries, since, self.lease, self.slots.clone(), slot));
        {
            let mut all = self.lock();
            // One whose lease is lost goes on by itself and must not stand in the way.
            if let Some(same) = all.get(&held.entry.id).filter(|same| !same.is_lost()) {
                same.renewed(since, self.lease);
                return;
            }
            all.insert(held.entry.id, Arc::clone(&held));
        }
        self.metrics.began();
        self.dispatching.send_modify(|count| *count += 1);
        let crew = Arc::clone(self);
        let work = async move {
            let guard = Guard { crew: Arc::clone(&crew), held: Arc::clone(&held), began: Instant::now() };
            let span = span_of(&held.entry);
            let ending = crew.dispatcher.dispatch(&held).instrument(span).await;
            Box::pin(crew.end(guard, ending)).await;
        };
        // Boxed: each layer that a task is wrapped in would keep room for it once more.
        self.life.spawn_short("dispatch", Box::pin(work));
    }

    async fn end(&self, guard: Guard, ending: Ending) {
        let verdict = match ending {
            Ending::Finish(finish) => Verdict::Finish(finish),
            Ending::Bury(outcome) => Verdict::Bury(guard.held.entry.clone(), outcome),
            Ending::Gone => return,
            Ending::LeaveAlone => return self.leave_alone(guard.held.entry.id),
            Ending::GiveBack => return self.give_back(&[guard.held.entry.id]).await,
        };
        // The entry stays held, and its slot taken, until Redis has the verdict.
        let _ = self.finishes.send(Finished::new(verdict, guard)).await;
    }

    /// Gives entries back for others, as far as Redis can be reached; else their leases run out.
    pub(super) async fn give_back(&self, ids: &[EntryId]) {
        let Ok(session) = self.link.session(Duration::from_millis(500)).await else { return };
        match lease::give_back(&session, &self.names.group, self.lease, ids).await {
            Ok(count) => self.metrics.handed_back(count),
            Err(error) => {
                tracing::warn!(%error, entries = ids.len(), "not given back; others take over after the lease");
            }
        }
    }

    /// What is still pending in our name now is nobody's work for a quarter of a lease: then we take it up again, before
    /// others could claim it.
    fn leave_alone(&self, id: EntryId) {
        let now = Instant::now();
        let mut left_alone = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
        left_alone.retain(|_, until| *until + self.lease > now);
        left_alone.insert(id, now + self.lease / 4);
    }

    /// Whether an entry that was left alone is so still; `None`: it was not.
    pub(super) fn left_alone(&self, id: EntryId) -> Option<bool> {
        let left_alone = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
        left_alone.get(&id).map(|until| *until > Instant::now())
    }

    /// Whether an entry is under work here.
    pub(super) fn holds(&self, id: EntryId) -> bool {
        self.lock().get(&id).is_some_and(|held| !held.is_lost())
    }

    /// Everything that is held.
    pub fn all_held(&self) -> Vec<Arc<Held>> {
        self.lock().values().cloned().collect()
    }

    /// Ends when no dispatch is under way.
    pub(super) async fn idle(&self) {
        // The sender lives as long as the crew does.
        let _ = self.dispatching.subscribe().wait_for(|count| *count == 0).await;
    }

    /// No other process has the consumer's name.
    pub(super) fn name_is_ours(&self) {
        self.named.send_replace(true);
    }

    /// What is held was renewed on this connection, and what was lately finished is there; only then others may be claimed or new ones read.
    pub(super) fn renewed_on(&self, session: &Session) {
        self.renewed.send_replace(session.id());
    }

    /// A session on which everything held has been renewed and what was finished is known; `None` when nothing more is to be read.
    pub(super) async fn ready(&self, heartbeat: &daemon::Heartbeat) -> Option<Session> {
        let mut renewed = self.renewed.subscribe();
        let mut named = self.named.subscribe();
        loop {
            heartbeat.tick();
            if self.stops.soft.is_cancelled() {
                return None;
            }
            if let Some(session) = self.link.current()
                && *renewed.borrow_and_update() == session.id()
                && *named.borrow_and_update()
            {
                return Some(session);
            }
            tokio::select! {
                () = self.stops.soft.cancelled() => return None,
                _ = renewed.changed() => {}
                _ = named.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<EntryId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds an entry; when it goes, by whatever way, the entry is held no more.
pub struct Guard {
    crew: Arc<Crew>,
    pub(super) held: Arc<Held>,
    began: Instant,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let id = self.held.entry.id;
        let mut all = self.crew.lock();
        if all.get(&id).is_some_and(|held| Arc::ptr_eq(held, &self.held)) {
            all.remove(&id);
        }
        drop(all);
        self.crew.dispatching.send_modify(|count| *count -= 1);
        self.crew.metrics.ended(self.began.elapsed());
    }
}

/// A trace of its own, linked to the producer's.
fn span_of(entry: &Entry) -> tracing::Span {
    let text = |name| entry.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let span =
        tracing::info_span!("dispatch", entry = %entry.id, workflow_id = text("workflow_id").unwrap_or_default());
    if let Some(context) = text("traceparent").and_then(|parent| TraceContext::parse(parent, text("tracestate"))) {
        context.link_span(&span);
    }
    span
}
