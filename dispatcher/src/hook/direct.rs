//! Direct dispatch: an incident that Redis does not take goes to its agent. The outbox keeps how far it is; the workers
//! go on with it when Redis is back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use a2a::{Answer, Class, SendError, Sent as Reply};
use daemon::Lifecycle;
use redis_stream::retry::Delays;
use tokio::sync::Semaphore;

use super::message::{first_run, headers, outgoing};
use crate::dispatch::agents::{Agents, Contact};
use crate::dispatch::decision;
use crate::dispatch::outcome::{OnUncertain, Outcome, Reason};
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
/// An agent stores its tasks a moment after it has answered.
const STORED_WITHIN: Duration = Duration::from_secs(3);
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
    publisher: Option<Arc<Publisher>>,
    agents: Arc<Agents>,
    pub(super) life: Lifecycle,
    pub(super) metrics: Metrics,
    slots: Arc<Semaphore>,
    /// Incidents that are being handed over.
    in_hand: Mutex<HashSet<String>>,
    /// Agents that are left alone until then.
    resting: Mutex<HashMap<String, (Instant, Delays)>>,
    /// Since when there is no answer.
    unanswered: Mutex<HashMap<String, Instant>>,
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

    async fn step(self: &Arc<Self>, incident: &Incident) -> Handed {
        let id = &incident.workflow_id;
        let Some(mark) = self.outbox.find(id) else { return Handed::Known };
        let Ok(contact) = self.agents.find(&incident.agent_target) else {
            let why = format!("{:?} is not an agent", incident.agent_target);
            return self.refused(incident, None, Outcome::new(Reason::NoRoute, why)).await;
        };
        match mark.stage() {
            Some(Stage::Running | Stage::Ended(_)) => return Handed::Known,
            Some(Stage::Sending) => return Handed::No,
            Some(Stage::Unanswered) => return self.find_out(incident, &contact, mark).await,
            None if mark.offer == Offer::Confirmed => return Handed::Known,
            None => {}
        }
        if self.is_resting(&contact) || self.outbox.look(|index| is_full(index, &contact)) {
            return Handed::No;
        }
        // A worker may have it: ask first where that is possible.
        if mark.offer == Offer::Unanswered {
            match self.search(incident, &contact).await {
                Search::Found => return Handed::Known,
                Search::Unsaid => return Handed::No,
                Search::NotThere => self.metrics.duplicate_possible("direct"),
            }
        }
        self.send(incident, &contact, first_run(incident, &contact)).await
    }

    async fn send(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, run: Run) -> Handed {
        let id = &incident.workflow_id;
        let sending = Sent { run: run.clone(), stage: Stage::Sending };
        if self.outbox.set_direct(id, Some(sending), true).await.is_err() {
            return Handed::No;
        }
        self.metrics.attempt();
        match contact.agent.send(&outgoing(incident, &run), contact.profile.mode, &headers(incident)).await {
            Ok(reply) => {
                lock(&self.resting).remove(&contact.name.to_string());
                self.accepted(incident, run, reply, contact).await;
                Handed::Accepted
            }
            Err(error) => self.failed(incident, contact, run, &error).await,
        }
    }

    async fn failed(self: &Arc<Self>, incident: &Incident, contact: &Contact, run: Run, error: &SendError) -> Handed {
        let id = &incident.workflow_id;
        match error.class() {
            Class::Ambiguous => {
                tracing::warn!(workflow_id = %id, %error, "sent directly, no usable answer");
                lock(&self.unanswered).insert(id.clone(), Instant::now());
                self.set(id, Some(Sent { run, stage: Stage::Unanswered })).await;
                Handed::No
            }
            Class::Terminal if self.outbox.is_durable() => {
                tracing::warn!(workflow_id = %id, %error, "the agent will never take it");
                self.refused(incident, Some(run), Outcome::new(Reason::Refused, error.to_string())).await
            }
            Class::NotExecuted | Class::Credentials | Class::Terminal => {
                self.metrics.wait();
                self.rest(contact, error.retry_after());
                tracing::warn!(workflow_id = %id, %error, "not sent directly");
                let before = (run.attempts > 1).then(|| {
                    let run = Run { attempts: run.attempts - 1, ..run };
                    Sent { run, stage: Stage::Unanswered }
                });
                self.set(id, before).await;
                Handed::No
            }
        }
    }

    /// A request without an answer: ask the agent where it can be asked, and send once more only where that is right.
    async fn find_out(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, mark: Mark) -> Handed {
        let Some(Sent { run, .. }) = mark.direct else { return Handed::No };
        let id = &incident.workflow_id;
        let since = *lock(&self.unanswered).entry(id.clone()).or_insert_with(Instant::now);
        if self.is_resting(contact) || self.outbox.look(|index| is_full(index, contact)) {
            return Handed::No;
        }
        if contact.recognises() {
            return self.again(incident, contact, run).await;
        }
        match self.search(incident, contact).await {
            Search::Found => Handed::Known,
            // It may be stored a moment later.
            Search::NotThere if contact.lists() == Some(true) && since.elapsed() < STORED_WITHIN => Handed::No,
            Search::NotThere if contact.lists() == Some(true) => self.again(incident, contact, run).await,
            // The workers decide about it, when Redis is there.
            Search::NotThere if self.publisher.is_some() => Handed::No,
            Search::NotThere if contact.profile.on_uncertain == OnUncertain::Resend && run.attempts < 2 => {
                self.metrics.duplicate_possible("direct");
                self.again(incident, contact, run).await
            }
            Search::NotThere => {
                let why = "the agent may have run it and cannot be asked";
                self.refused(incident, Some(run), Outcome::new(Reason::Uncertain, why)).await
            }
            Search::Unsaid => Handed::No,
        }
    }

    async fn again(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, run: Run) -> Handed {
        lock(&self.unanswered).remove(&incident.workflow_id);
        let run = Run { attempts: run.attempts + 1, ..run };
        self.send(incident, contact, run).await
    }

    /// Asks whether the agent has the incident's message.
    async fn search(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>) -> Search {
        if contact.lists() == Some(false) {
            return Search::NotThere;
        }
        let run = first_run(incident, contact);
        match contact.agent.find(&run.context_id, &run.message_id, &headers(incident)).await {
            Ok(Some(task)) => {
                contact.set_lists(true);
                let wire = contact.agent.wire().unwrap_or(a2a::Wire::V10);
                self.accepted(incident, run, Reply { wire, answer: Answer::Task(task) }, contact).await;
                Search::Found
            }
            Ok(None) => {
                contact.set_lists(true);
                Search::NotThere
            }
            Err(a2a::ListError::Unsupported(_)) => {
                contact.set_lists(false);
                Search::NotThere
            }
            Err(error) => {
                self.rest(contact, error.retry_after());
                tracing::debug!(workflow_id = %incident.workflow_id, %error, "cannot be found out");
                Search::Unsaid
            }
        }
    }

    async fn accepted(self: &Arc<Self>, incident: &Incident, run: Run, reply: Reply, contact: &Arc<Contact>) {
        let id = &incident.workflow_id;
        let dispatched = || tracing::info!(workflow_id = %id, agent = %contact.name, "dispatched directly");
        lock(&self.unanswered).remove(id);
        let wire = Some(reply.wire);
        match reply.answer {
            Answer::Message(reply) => {
                let outcome = Outcome::settled(Reason::Completed, reply.text.as_deref());
                dispatched();
                self.ended(id, Run { wire, ..run }, outcome).await;
            }
            Answer::Task(task) => {
                let context_id = task.context_id.clone().unwrap_or(run.context_id);
                let run = Run { wire, task_id: Some(task.id.clone()), context_id, ..run };
                if let Some(outcome) = decision::verdict(&task) {
                    dispatched();
                    return self.ended(id, run, outcome).await;
                }
                self.set(id, Some(Sent { run, stage: Stage::Running })).await;
                dispatched();
                self.spawn_follow(id);
            }
        }
    }

    async fn refused(&self, incident: &Incident, run: Option<Run>, outcome: Outcome) -> Handed {
        let message_id = incident.message_id();
        let run = run.unwrap_or_else(|| Run {
            context_id: String::new(),
            message_id,
            task_id: None,
            wire: None,
            agent: incident.agent_target.clone(),
            attempts: 0,
        });
        self.ended(&incident.workflow_id, run, outcome).await;
        Handed::No
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

    async fn set(&self, id: &str, direct: Option<Sent>) {
        if let Err(error) = self.outbox.set_direct(id, direct, true).await {
            tracing::warn!(workflow_id = id, %error, "how a direct dispatch stands is not on disk");
        }
    }

    fn spawn_follow(self: &Arc<Self>, id: &str) {
        let (direct, id) = (Arc::clone(self), id.to_owned());
        let Some(Sent { run, .. }) = self.outbox.find(&id).and_then(|mark| mark.direct) else { return };
        let Ok(contact) = self.agents.find(&run.agent) else { return };
        self.life.spawn_short("direct run", async move { direct.follow(&id, run, &contact).await });
    }

    fn is_resting(&self, contact: &Contact) -> bool {
        lock(&self.resting).get(&contact.name.to_string()).is_some_and(|(until, _)| *until > Instant::now())
    }

    fn rest(&self, contact: &Contact, wish: Option<Duration>) {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The agent has as many direct runs as it may have.
fn is_full(index: &Index, contact: &Contact) -> bool {
    let (name, limit) = (contact.name.to_string(), usize::try_from(contact.profile.limits.runs).unwrap_or(usize::MAX));
    let of_this = |mark: &Mark| {
        let sent = mark.direct.as_ref();
        sent.is_some_and(|sent| sent.run.agent == name && matches!(sent.stage, Stage::Sending | Stage::Running))
    };
    index.direct().filter(|(_, mark)| of_this(mark)).count() >= limit
}

/// What an agent says of a message.
enum Search {
    /// It has it.
    Found,
    /// It has not, or has no list.
    NotThere,
    /// It gave no usable answer.
    Unsaid,
}

/// Runs that went on when the process ended.
fn running(index: &Index) -> Vec<String> {
    let running = |mark: &Mark| mark.stage() == Some(&Stage::Running) && mark.offer != Offer::Confirmed;
    index.direct().filter(|(_, mark)| running(mark)).map(|(id, _)| id.to_owned()).collect()
}
