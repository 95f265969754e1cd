//! Direct dispatch: an incident that Redis does not take goes to its agent. The outbox keeps how far it is; the workers
//! go on with it when Redis is back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daemon::Lifecycle;
use redis_stream::retry::Delays;
use tokio::sync::Semaphore;

use crate::dispatch::agents::{Agents, Contact};
use crate::dispatch::outcome::Outcome;
use crate::dispatch::record::Run;
use crate::incident::Incident;
use crate::metrics::Metrics;
use crate::outbox::index::{Index, Mark};
use crate::outbox::item::{Offer, Sent, Stage, Tombstone};
use crate::outbox::publish::Publisher;
use crate::outbox::{Outbox, unix_now};

/// Sends at the same time.
const WIDTH: usize = 10;
/// All sends of one webhook together: Alertmanager may give up after ten seconds.
const WITHIN: Duration = Duration::from_secs(6);
/// From one look at what is due to the next.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Incidents that are begun with in one look at most.
const AT_ONCE: usize = 50;

/// What became of a direct hand-over to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// The agent has it.
    Accepted,
    /// It had it before.
    Known,
    /// The agent could not take it, or it is not known whether it did.
    No,
}

/// Direct dispatch of one process.
pub struct Direct {
    pub(super) outbox: Arc<Outbox>,
    pub(super) publisher: Option<Arc<Publisher>>,
    pub(super) agents: Arc<Agents>,
    pub(super) life: Lifecycle,
    pub(super) metrics: Metrics,
    slots: Arc<Semaphore>,
    /// Incidents that are being handed over.
    in_hand: Mutex<HashSet<String>>,
    /// Agents that are left alone until then.
    pub(super) resting: Mutex<HashMap<String, (Instant, Delays)>>,
    /// Sends without a usable answer.
    pub(super) unanswered: Mutex<HashMap<String, Unanswered>>,
}

/// A send without a usable answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unanswered {
    pub(super) since: Instant,
    /// Not even one of the agent's own: it may come to it yet, or it may have lost the run.
    pub(super) unheard: bool,
}

impl Unanswered {
    /// From now on.
    pub(super) fn new(unheard: bool) -> Self {
        Self { since: Instant::now(), unheard }
    }
}

impl Direct {
    /// Nothing was sent yet by this process. `publisher`: absent when no Redis is configured at all.
    pub fn new(
        outbox: Arc<Outbox>,
        publisher: Option<Arc<Publisher>>,
        agents: Arc<Agents>,
        life: Lifecycle,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            publisher,
            agents,
            life,
            metrics,
            slots: Arc::new(Semaphore::new(WIDTH)),
            in_hand: Mutex::default(),
            resting: Mutex::default(),
            unanswered: Mutex::default(),
        })
    }

    /// Hands open incidents to their agents now. What has no answer in time goes on by itself.
    pub async fn hand_all(self: &Arc<Self>, incidents: Vec<Incident>) -> Vec<Handed> {
        let deadline = tokio::time::Instant::now() + WITHIN;
        let mut waiting = Vec::with_capacity(incidents.len());
        for incident in incidents {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let direct = Arc::clone(self);
            self.life.spawn_short("direct dispatch", async move {
                let slot = tokio::time::timeout_at(deadline, direct.slots.acquire()).await;
                let handed = if let Ok(Ok(_slot)) = slot { direct.hand(&incident).await } else { Handed::No };
                // Nobody may be waiting any more.
                let _ = answer.send(handed);
            });
            waiting.push(answered);
        }
        let mut handed = Vec::with_capacity(waiting.len());
        for answered in waiting {
            handed.push(match tokio::time::timeout_at(deadline, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Handed::No,
            });
        }
        handed
    }

    /// Runs until the soft stop: begins what is due, and asks about what has no answer.
    pub async fn run(self: Arc<Self>) {
        for id in self.outbox.look(running) {
            self.spawn_follow(&id);
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.life.soft().cancelled() => return self.report(),
            }
            // Without a file the webhook itself hands over, or says no.
            let numbers = self.outbox.look(|index| self.due(index));
            let Ok(incidents) = self.outbox.incidents(numbers).await else { continue };
            for (_, incident) in incidents {
                let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { break };
                let direct = Arc::clone(&self);
                self.life.spawn_short("direct dispatch", async move {
                    direct.hand(&incident).await;
                    drop(slot);
                });
            }
        }
    }

    /// What is to be handed over, or asked about, now.
    fn due(&self, index: &Index) -> Vec<u64> {
        let redis_is_well = self.publisher.as_ref().is_some_and(|publisher| publisher.is_well());
        if redis_is_well {
            return Vec::new();
        }
        let (in_hand, mut can, mut due) = (lock(&self.in_hand), HashMap::new(), Vec::new());
        for (id, mark) in index.unpublished().filter(|(_, mark)| self.is_due(mark)) {
            let able = can.entry(mark.target.as_str()).or_insert_with(|| self.can_take(index, &mark.target));
            if *able && !in_hand.contains(id) {
                due.push(mark.number);
            }
            if due.len() == AT_ONCE {
                break;
            }
        }
        due
    }

    fn is_due(&self, mark: &Mark) -> bool {
        match mark.stage() {
            None => self.outbox.is_durable() && mark.since.elapsed() >= self.patience(mark.offer),
            Some(Stage::Unanswered) => true,
            Some(Stage::Sending | Stage::Running | Stage::Ended(_)) => false,
        }
    }

    /// Whether an agent is given anything now; what is no agent is sorted out at once.
    fn can_take(&self, index: &Index, target: &str) -> bool {
        self.agents.find(target).map_or(true, |contact| !self.is_resting(&contact) && !is_full(index, &contact))
    }

    fn patience(&self, offer: Offer) -> Duration {
        let settings = self.outbox.settings();
        match (&self.publisher, offer) {
            (None, _) => Duration::ZERO,
            (Some(_), Offer::Never) => settings.direct_after,
            (Some(_), Offer::Unanswered | Offer::Confirmed) => settings.direct_after_uncertain,
        }
    }

    /// One step with one incident, unless one is being made.
    async fn hand(self: &Arc<Self>, incident: &Incident) -> Handed {
        if !lock(&self.in_hand).insert(incident.workflow_id.clone()) {
            return Handed::No;
        }
        let handed = self.step(incident).await;
        lock(&self.in_hand).remove(&incident.workflow_id);
        handed
    }

    /// It has ended: kept until Redis knows, or for good where there is none.
    pub(super) async fn ended(&self, id: &str, run: Run, outcome: Outcome) {
        tracing::info!(workflow_id = id, reason = outcome.reason.as_str(), "direct run ended");
        self.metrics.outcome(outcome.reason);
        lock(&self.unanswered).remove(id);
        if self.publisher.is_none() {
            return self.outbox.bury(vec![Tombstone::of_run(id, &run, &outcome, unix_now())], None).await;
        }
        self.set(id, Some(Sent { run, stage: Stage::Ended(outcome) })).await;
    }

    pub(super) async fn set(&self, id: &str, direct: Option<Sent>) {
        if let Err(error) = self.outbox.set_direct(id, direct, true).await {
            tracing::warn!(workflow_id = id, %error, "how a direct dispatch stands is not on disk");
        }
    }

    pub(super) fn spawn_follow(self: &Arc<Self>, id: &str) {
        let (direct, id) = (Arc::clone(self), id.to_owned());
        let Some(Sent { run, .. }) = self.outbox.find(&id).and_then(|mark| mark.direct) else { return };
        let Ok(contact) = self.agents.find(&run.agent) else { return };
        self.life.spawn_short("direct run", async move { direct.follow(&id, run, &contact).await });
    }

    pub(super) fn is_resting(&self, contact: &Contact) -> bool {
        lock(&self.resting).get(&contact.name.to_string()).is_some_and(|(until, _)| *until > Instant::now())
    }

    pub(super) fn rest(&self, contact: &Contact, wish: Option<Duration>) {
        let mut resting = lock(&self.resting);
        let fresh = || (Instant::now(), Delays::new(Duration::from_millis(500), Duration::from_secs(30)));
        let (until, delays) = resting.entry(contact.name.to_string()).or_insert_with(fresh);
        *until = Instant::now() + crate::dispatch::outcome::wait(delays.next_delay(), wish);
    }

    /// What only this process knows, for a person.
    fn report(&self) {
        if self.outbox.is_durable() || self.publisher.is_none() {
            return;
        }
        let lost = |(id, mark): (&str, &Mark)| {
            let task = mark.direct.as_ref().and_then(|sent| sent.run.task_id.clone());
            (mark.offer != Offer::Confirmed).then(|| (id.to_owned(), task.unwrap_or_default()))
        };
        for (workflow_id, task_id) in self.outbox.look(|index| index.direct().filter_map(lost).collect::<Vec<_>>()) {
            tracing::error!(
                workflow_id,
                task_id,
                "dispatched directly and not handed over: Redis was not reachable before the stop"
            );
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The agent has as many direct runs as it may have.
pub(super) fn is_full(index: &Index, contact: &Contact) -> bool {
    let (name, limit) = (contact.name.to_string(), usize::try_from(contact.profile.limits.runs).unwrap_or(usize::MAX));
    let of_this = |mark: &Mark| {
        let sent = mark.direct.as_ref();
        sent.is_some_and(|sent| sent.run.agent == name && matches!(sent.stage, Stage::Sending | Stage::Running))
    };
    index.direct().filter(|(_, mark)| of_this(mark)).count() >= limit
}

/// Runs that went on when the process ended.
fn running(index: &Index) -> Vec<String> {
    let running = |mark: &Mark| mark.stage() == Some(&Stage::Running) && mark.offer != Offer::Confirmed;
    index.direct().filter(|(_, mark)| running(mark)).map(|(id, _)| id.to_owned()).collect()
}
