//! Direct dispatch: an incident that Redis has not taken goes to its agent at once, and to the workers
//! by its task id when Redis is back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use a2a::{Answer, Class, Outgoing, Sent};
use daemon::{Lifecycle, TraceContext};
use http::HeaderMap;
use redis_stream::connection::{Link, Session};
use redis_stream::error::Error;
use redis_stream::retry::Delays;
use tokio::sync::Semaphore;

use crate::dispatch::agents::{Agents, Contact};
use crate::dispatch::decision;
use crate::dispatch::names::Names;
use crate::dispatch::outcome::{Outcome, Reason};
use crate::dispatch::publish::{self, Begun, Published};
use crate::dispatch::record::{self, Finish, Run, Subject};
use crate::incident::{Incident, STEP, context_id};
use crate::metrics::Metrics;

/// Sends at the same time.
const WIDTH: usize = 10;
/// All sends of one webhook together: Alertmanager may give up after ten seconds.
const WITHIN: Duration = Duration::from_secs(6);
/// Incidents kept for handing over; more are refused.
const MOST: usize = 10_000;
/// An agent stores its tasks a moment after it has answered.
const STORED_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at what has to be handed over.
const HAND_OVER_EVERY: Duration = Duration::from_secs(1);

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

/// One incident that went, or may have gone, to its agent.
#[derive(Debug, Clone)]
struct Item {
    incident: Incident,
    run: Run,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// On its way now.
    Sending,
    /// Sent; nobody knows whether it arrived. Since when.
    Unanswered(Instant),
    /// The agent runs it.
    Running,
    /// The agent has answered for good.
    Ended(Outcome),
}

/// Direct dispatch of one process.
pub struct Direct {
    link: Option<Link>,
    names: Arc<Names>,
    agents: Arc<Agents>,
    life: Lifecycle,
    metrics: Metrics,
    slots: Semaphore,
    items: Mutex<HashMap<String, Item>>,
}

impl Direct {
    /// Nothing was sent yet.
    pub fn new(
        link: Option<Link>,
        names: Arc<Names>,
        agents: Arc<Agents>,
        life: Lifecycle,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (slots, items) = (Semaphore::new(WIDTH), Mutex::default());
        Arc::new(Self { link, names, agents, life, metrics, slots, items })
    }

    /// Hands incidents to their agents. What has no answer in time goes on by itself and is answered
    /// when Alertmanager comes again.
    pub async fn hand_all(self: &Arc<Self>, incidents: Vec<Incident>) -> Vec<Handed> {
        let deadline = tokio::time::Instant::now() + WITHIN;
        let mut waiting = Vec::with_capacity(incidents.len());
        for incident in incidents {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let direct = Arc::clone(self);
            self.life.spawn_short("direct dispatch", async move {
                let handed = direct.hand(incident, deadline).await;
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

    async fn hand(self: &Arc<Self>, incident: Incident, deadline: tokio::time::Instant) -> Handed {
        let Ok(Ok(_slot)) = tokio::time::timeout_at(deadline, self.slots.acquire()).await else { return Handed::No };
        let Ok(contact) = self.agents.find(&incident.agent_target) else { return Handed::No };
        match self.stage_of(&incident.workflow_id) {
            Some(Stage::Running | Stage::Ended(_)) => return Handed::Known,
            Some(Stage::Sending) => return Handed::No,
            Some(Stage::Unanswered(since)) => return self.find_out(&incident, &contact, since).await,
            None => {}
        }
        let run = first_run(&incident, &contact);
        if !self.begin(&incident, &run) {
            return Handed::No;
        }
        self.metrics.attempt();
        let sent = contact.agent.send(&outgoing(&incident, &run), contact.profile.mode, &headers(&incident)).await;
        let id = &incident.workflow_id;
        match sent {
            Ok(sent) => {
                self.accepted(&incident, run, sent, &contact);
                Handed::Accepted
            }
            Err(error) if error.class() == Class::Ambiguous => {
                tracing::warn!(workflow_id = %id, %error, "sent directly, no usable answer");
                self.set(id, |item| item.stage = Stage::Unanswered(Instant::now()));
                Handed::No
            }
            Err(error) => {
                self.metrics.wait();
                tracing::warn!(workflow_id = %id, %error, "not sent directly");
                self.lock().remove(id);
                Handed::No
            }
        }
    }

    /// A request without an answer: ask the agent where it can be asked; never send twice from here.
    async fn find_out(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, since: Instant) -> Handed {
        let run = first_run(incident, contact);
        if contact.recognises() {
            // It runs a repeated message once: the next repetition sends it again.
            self.lock().remove(&incident.workflow_id);
            return Handed::No;
        }
        if contact.lists() == Some(false) {
            return Handed::No;
        }
        match contact.agent.find(&run.context_id, &run.message_id, &headers(incident)).await {
            Ok(Some(task)) => {
                let wire = contact.agent.wire().unwrap_or(a2a::Wire::V10);
                self.accepted(incident, run, Sent { wire, answer: Answer::Task(task) }, contact);
                Handed::Known
            }
            // It may be stored a moment later.
            Ok(None) if since.elapsed() < STORED_WITHIN => Handed::No,
            // It is not there: the next repetition sends it as if for the first time.
            Ok(None) => {
                self.lock().remove(&incident.workflow_id);
                Handed::No
            }
            Err(error) => {
                tracing::debug!(workflow_id = %incident.workflow_id, %error, "cannot be found out");
                Handed::No
            }
        }
    }

    fn accepted(self: &Arc<Self>, incident: &Incident, run: Run, sent: Sent, contact: &Arc<Contact>) {
        tracing::info!(workflow_id = %incident.workflow_id, agent = %contact.name, "dispatched directly");
        let (run, stage) = match sent.answer {
            Answer::Message(reply) => {
                let outcome = Outcome::settled(Reason::Completed, reply.text.as_deref());
                (Run { wire: Some(sent.wire), ..run }, Stage::Ended(outcome))
            }
            Answer::Task(task) => {
                let stage = decision::verdict(&task).map_or(Stage::Running, Stage::Ended);
                let context_id = task.context_id.unwrap_or(run.context_id);
                (Run { wire: Some(sent.wire), task_id: Some(task.id), context_id, ..run }, stage)
            }
        };
        let running = stage == Stage::Running;
        if let Stage::Ended(outcome) = &stage {
            self.metrics.outcome(outcome.reason);
        }
        self.set(&incident.workflow_id, |item| *item = Item { incident: incident.clone(), run, stage });
        if running {
            let (direct, contact, id) = (Arc::clone(self), Arc::clone(contact), incident.workflow_id.clone());
            self.life.spawn_short("direct run", async move { direct.follow(&id, &contact).await });
        }
    }

    /// Polls a direct run until it ends, or a worker has it.
    async fn follow(&self, id: &str, contact: &Contact) {
        let mut delays = Delays::new(Duration::from_millis(500), Duration::from_secs(15));
        let deadline = tokio::time::Instant::now() + contact.profile.run_deadline;
        loop {
            tokio::select! {
                () = tokio::time::sleep(delays.next_delay()) => {}
                () = self.life.soft().cancelled() => return,
            }
            let Some(item) = self.lock().get(id).cloned() else { return };
            let task_id = item.run.task_id.unwrap_or_default();
            let task = contact.agent.get(&task_id, item.run.wire, &headers(&item.incident)).await;
            let overdue = || {
                let error = format!("the run was not done after {:?}", contact.profile.run_deadline);
                (tokio::time::Instant::now() >= deadline).then(|| Outcome::new(Reason::RunDeadline, error))
            };
            if let Some(outcome) = task.ok().as_ref().and_then(decision::verdict).or_else(overdue) {
                tracing::info!(workflow_id = id, reason = outcome.reason.as_str(), "direct run ended");
                self.metrics.outcome(outcome.reason);
                self.set(id, |item| item.stage = Stage::Ended(outcome));
                return;
            }
        }
    }

    /// Hands over what was sent directly, whenever Redis is there. Runs until the soft stop, and once more.
    pub async fn run(self: Arc<Self>) {
        loop {
            let stopping = self.life.soft().is_cancelled();
            if let Some(session) = self.link.as_ref().and_then(Link::current) {
                self.hand_over(&session).await;
            }
            if stopping {
                return self.report();
            }
            tokio::select! {
                () = tokio::time::sleep(HAND_OVER_EVERY) => {}
                () = self.life.soft().cancelled() => {}
            }
        }
    }

    async fn hand_over(&self, session: &Session) {
        let items: Vec<_> = self.lock().values().filter(|item| item.stage != Stage::Sending).cloned().collect();
        for item in items {
            match self.hand_over_one(session, &item).await {
                Ok(true) => {
                    tracing::info!(workflow_id = %item.incident.workflow_id, "a direct dispatch was handed over to the workers");
                    self.lock().remove(&item.incident.workflow_id);
                }
                Ok(false) => {}
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    return tracing::warn!(%error, "direct dispatches are not handed over yet");
                }
            }
        }
    }

    async fn hand_over_one(&self, session: &Session, item: &Item) -> Result<bool, Error> {
        let begun = match &item.stage {
            Stage::Ended(outcome) => return self.record_end(session, item, outcome).await,
            Stage::Running => Begun::Accepted(item.run.clone()),
            Stage::Sending | Stage::Unanswered(_) => Begun::Unanswered,
        };
        let deadline = session.redis_now_ms() + 2_000;
        let call = publish::publish(&self.names, &item.incident, &begun, deadline, None);
        let published = publish::published(&session.invoke(&call).await?)?;
        if begun == Begun::Unanswered && published == Published::New {
            self.metrics.duplicate_possible("direct");
        }
        Ok(published != Published::Expired)
    }

    async fn record_end(&self, session: &Session, item: &Item, outcome: &Outcome) -> Result<bool, Error> {
        let subject =
            Subject { workflow_id: item.incident.workflow_id.clone(), step: STEP.to_owned(), entry_id: String::new() };
        let fields = item.incident.fields();
        let finish = Finish {
            subject,
            run: item.run.clone(),
            outcome: outcome.clone(),
            fields: fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            acknowledge: false,
            via: "direct",
        };
        session.invoke(&record::finish(&self.names, &finish)).await?;
        Ok(true)
    }

    /// What only this process knows, for a person.
    fn report(&self) {
        for item in self.lock().values().filter(|item| self.link.is_some() && !matches!(item.stage, Stage::Ended(_))) {
            tracing::error!(
                workflow_id = %item.incident.workflow_id,
                task_id = item.run.task_id.as_deref().unwrap_or_default(),
                "dispatched directly and not handed over: Redis was not reachable before the stop"
            );
        }
    }

    fn begin(&self, incident: &Incident, run: &Run) -> bool {
        let mut items = self.lock();
        if items.len() >= MOST {
            items.retain(|_, item| !matches!(item.stage, Stage::Ended(_)) || self.link.is_some());
        }
        if items.len() >= MOST || items.contains_key(&incident.workflow_id) {
            return false;
        }
        let item = Item { incident: incident.clone(), run: run.clone(), stage: Stage::Sending };
        items.insert(incident.workflow_id.clone(), item);
        true
    }

    /// What an incident that went directly counts as, until it is handed over; `None`: it did not go directly.
    /// What had no answer is found out by handing it here again, while there is no Redis to hand it over to.
    pub fn standing(&self, workflow_id: &str, redis: bool) -> Option<Handed> {
        match self.stage_of(workflow_id)? {
            Stage::Running | Stage::Ended(_) => Some(Handed::Known),
            Stage::Unanswered(_) if !redis => None,
            Stage::Sending | Stage::Unanswered(_) => Some(Handed::No),
        }
    }

    fn stage_of(&self, id: &str) -> Option<Stage> {
        self.lock().get(id).map(|item| item.stage.clone())
    }

    fn set(&self, id: &str, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.lock().get_mut(id) {
            change(item);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_run(incident: &Incident, contact: &Contact) -> Run {
    let message_id = incident.message_id();
    Run {
        context_id: contact.profile.context.first(|| context_id(&message_id)),
        message_id,
        task_id: None,
        wire: contact.agent.wire(),
        agent: contact.name.to_string(),
        attempts: 1,
    }
}

fn outgoing(incident: &Incident, run: &Run) -> Outgoing {
    let mut message = Outgoing::new(&run.message_id, incident.text.clone());
    message.context_id = Some(run.context_id.clone()).filter(|id| !id.is_empty());
    let notes = [
        ("workflow_id", incident.workflow_id.clone().into()),
        ("step", STEP.into()),
        ("fingerprint", incident.alert.fingerprint.clone().into()),
        ("attempt", run.attempts.into()),
    ];
    message.metadata.extend(notes.map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value)));
    message
}

fn headers(incident: &Incident) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let state = Some(incident.tracestate.as_str()).filter(|state| !state.is_empty());
    if let Some(context) = TraceContext::parse(&incident.traceparent, state) {
        context.child().inject(&mut headers);
    }
    headers
}
