//! One incident to one outcome.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis_stream::connection::Link;
use redis_stream::error::{Class, Error};
use redis_stream::retry::Delays;
use redis_stream::script::Call;
use tokio_util::sync::CancellationToken;

use super::agents::{Agents, Contact};
use super::find::Search;
use super::held::Held;
use super::names::Names;
use super::outcome::{OnUncertain, Outcome, Reason, resend};
use super::record::{self, Finish, Run, Since, Subject, Taken};
use super::routes::Routes;
use super::send::Sending;
use crate::incident::{Order, context_id};
use crate::metrics::Metrics;

/// Deliveries without an attempt after which an entry is a dead letter.
const POISON_AFTER: i64 = 10;
/// Tries of a script that fails for good, before its entry is left alone for a lease.
const TRIES: u32 = 3;

/// How incidents are handed to agents.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// How long an entry may be idle before another worker claims it.
    pub lease: Duration,
    /// Sends that may have reached the agent, at most.
    pub max_attempts: u32,
    /// Longest wait for an agent that cannot be reached.
    pub give_up_after: Duration,
    /// What is done when the effect of a send cannot be found out.
    pub on_uncertain: OnUncertain,
    /// The agent's acceptance is final.
    pub ack_on_accepted: bool,
    /// Longest run of an agent.
    pub run_deadline: Duration,
}

/// When to stop.
#[derive(Debug, Clone)]
pub struct Stops {
    /// Start nothing more; give back what is not running.
    pub soft: CancellationToken,
    /// Give back the rest now.
    pub last_call: CancellationToken,
}

/// How a dispatch ends.
#[derive(Debug)]
pub enum Ending {
    /// With a verdict, to be recorded and acknowledged.
    Finish(Box<Finish>),
    /// The entry names no incident: to the dead letters as it is.
    Bury(Outcome),
    /// Acknowledged, lost or moved: nothing is left to do here.
    Gone,
    /// For another worker to go on with.
    GiveBack,
}

/// Why work on an entry stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Gone,
    GiveBack,
}

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Gone => Self::Gone,
            Stop::GiveBack => Self::GiveBack,
        }
    }
}

/// Everything that a dispatch needs. One for the process.
pub struct Dispatcher {
    pub(super) link: Link,
    pub(super) names: Arc<Names>,
    pub(super) agents: Arc<Agents>,
    pub(super) routes: Routes,
    pub(super) settings: DispatchSettings,
    pub(super) stops: Stops,
    pub(super) metrics: Metrics,
}

/// One entry under work.
pub(super) struct Work<'a> {
    pub(super) held: &'a Held,
    pub(super) order: &'a Order,
    pub(super) subject: Subject,
    pub(super) contact: &'a Contact,
    pub(super) delays: Delays,
}

impl Dispatcher {
    /// Assembles a dispatcher.
    pub fn new(
        link: Link,
        names: Arc<Names>,
        agents: Arc<Agents>,
        routes: Routes,
        settings: DispatchSettings,
        stops: Stops,
        metrics: Metrics,
    ) -> Self {
        Self { link, names, agents, routes, settings, stops, metrics }
    }

    /// Works on a held entry until it has an ending.
    pub async fn dispatch(&self, held: &Held) -> Ending {
        match Order::decode(&held.entry) {
            Ok(order) => self.order(held, &order).await.unwrap_or_else(Ending::from),
            Err(error) => Ending::Bury(Outcome::new(Reason::Undecodable, error.to_string())),
        }
    }

    async fn order(&self, held: &Held, order: &Order) -> Result<Ending, Stop> {
        let subject = Subject {
            workflow_id: order.workflow_id.clone(),
            step: order.step.clone(),
            entry_id: held.entry.id.to_string(),
        };
        let target = self.target(held, order).await?;
        let contact = target.as_deref().map(|target| self.agents.find(target));
        let problem = match contact {
            Some(Ok(contact)) => {
                let delays = Delays::new(Duration::from_millis(500), Duration::from_secs(30));
                return self.work(Work { held, order, subject, contact: &contact, delays }).await;
            }
            Some(Err(error)) => format!("agent_target {:?}: {error}", target.unwrap_or_default()),
            None => format!("no agent for step {:?} in the routing hash {}", order.step, self.names.routing),
        };
        self.unroutable(held, order, subject, &problem).await
    }

    /// An incident that no agent can take may still have been finished, or handed on, before.
    async fn unroutable(&self, held: &Held, order: &Order, subject: Subject, problem: &str) -> Result<Ending, Stop> {
        let run = first_run(order, "");
        let reply = self.script(held, &record::take(&self.names, &subject, &run, false)).await?;
        match record::taken(&reply, "").map_err(|error| self.give_up(held, &error))? {
            Taken::Fresh(run) | Taken::Begun(run, _) => {
                Ok(Self::finish(held, subject, run, Outcome::new(Reason::NoRoute, problem)))
            }
            Taken::Lost | Taken::Newer | Taken::Duplicate => Ok(Ending::Gone),
        }
    }

    /// Take, then send, find out or follow, until there is a verdict. After each failure the record is
    /// taken again: it alone says what is known.
    async fn work(&self, mut work: Work<'_>) -> Result<Ending, Stop> {
        let agent = work.contact.name.to_string();
        loop {
            let fresh_without_record =
                work.order.foreign && work.held.deliveries <= 1 && self.is_blind(work.contact).await;
            // An agent that can be asked settles whether there was one; else one is assumed.
            let assumed = u32::from(work.contact.lists() != Some(true));
            let run = Run { attempts: assumed, ..first_run(work.order, &agent) };
            let call = record::take(&self.names, &work.subject, &run, fresh_without_record);
            let reply = self.script(work.held, &call).await?;
            let (run, begun) = match record::taken(&reply, &agent).map_err(|error| self.give_up(work.held, &error))? {
                Taken::Lost => {
                    self.metrics.lease_lost();
                    return Err(Stop::Gone);
                }
                Taken::Newer => {
                    self.metrics.newer_record();
                    return Err(Stop::Gone);
                }
                Taken::Duplicate => return Err(Stop::Gone),
                Taken::Fresh(run) => (run, None),
                Taken::Begun(run, since) => (run, Some(since)),
            };
            if run.task_id.is_some() {
                work.held.remember(&work.subject, &run);
                return self.follow(work, run).await;
            }
            if run.attempts == 0 && work.held.deliveries >= POISON_AFTER {
                let error = format!("delivered {} times without an attempt", work.held.deliveries);
                return Ok(Self::finish(work.held, work.subject, run, Outcome::new(Reason::Poison, error)));
            }
            let step = match begun {
                None => self.send(&mut work, run, true, false).await?,
                Some(since) => self.resume(&mut work, run, since).await?,
            };
            match step {
                Sending::Running(run) => return self.follow(work, run).await,
                Sending::Ended(run, outcome) => return Ok(Self::finish(work.held, work.subject, run, outcome)),
                Sending::Again(pause) => self.pause(work.held, pause).await?,
            }
        }
    }

    /// Goes on with an incident that somebody may have sent.
    async fn resume(&self, work: &mut Work<'_>, run: Run, since: Since) -> Result<Sending, Stop> {
        let mut search = self.search(work, &run, since).await?;
        if matches!(search, Search::CannotTell) {
            if !self.untouched_for_a_lease(work, since.taken_at).await? {
                return Ok(Sending::Again(Duration::ZERO));
            }
            // What is about to be done may be a second run: what was learned of the agent earlier is not enough.
            work.contact.forget_lists();
            search = self.search(work, &run, since).await?;
        }
        match search {
            Search::Found(run, None) => Ok(Sending::Running(run)),
            Search::Found(run, Some(outcome)) => Ok(Sending::Ended(run, outcome)),
            Search::NotThere => self.send(work, run, false, false).await,
            Search::Unreachable(error) => self.wait_for_agent(work, run, false, &error).await,
            Search::CannotTell => {
                if resend(self.settings.on_uncertain, run.attempts) {
                    self.metrics.duplicate_possible("uncertain");
                    return self.send(work, run, false, true).await;
                }
                let error = "the agent may have run it and cannot be asked";
                Ok(Sending::Ended(run, Outcome::new(Reason::Uncertain, error)))
            }
        }
    }

    /// Waits until nobody has written the record for one lease, counted from our take.
    async fn untouched_for_a_lease(&self, work: &Work<'_>, since: i64) -> Result<bool, Stop> {
        self.pause(work.held, self.settings.lease).await?;
        let cmd = record::last_written(&work.subject);
        loop {
            if let Some(session) = self.link.current()
                && let Ok(reply) = session.run(&cmd).await
            {
                return Ok(record::unchanged_since(&reply, &work.subject) == Some(since));
            }
            self.pause(work.held, Duration::from_millis(200)).await?;
        }
    }

    async fn target(&self, held: &Held, order: &Order) -> Result<Option<String>, Stop> {
        if order.agent_target.is_some() {
            return Ok(order.agent_target.clone());
        }
        loop {
            if let Some(session) = self.link.current() {
                match self.routes.agent(&session, &order.step).await {
                    Ok(target) => return Ok(target),
                    Err(error) => tracing::warn!(%error, "the routing hash cannot be read"),
                }
            }
            self.pause(held, Duration::from_millis(200)).await?;
        }
    }

    /// Calls a script until Redis has answered it, or has refused it for good. It must be one that may be
    /// repeated.
    pub(super) async fn script(&self, held: &Held, call: &Call<'_>) -> Result<Value, Stop> {
        let mut delays = Delays::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut hopeless = 0;
        loop {
            match self.once(call).await {
                Ok(reply) => return Ok(reply),
                Err(error) if matches!(error.class(), Class::Configuration | Class::Fatal) && hopeless >= TRIES => {
                    return Err(self.give_up(held, &error));
                }
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    hopeless += u32::from(matches!(error.class(), Class::Configuration | Class::Fatal));
                    tracing::debug!(entry = %held.entry.id, %error, "will try again");
                }
            }
            self.pause(held, delays.next_delay()).await?;
        }
    }

    /// Calls a script once, on the session there is.
    pub(super) async fn once(&self, call: &Call<'_>) -> Result<Value, Error> {
        let session = self.link.session(Duration::from_secs(1)).await?;
        session.invoke(call).await
    }

    /// Waits while nothing is running: a stop gives the entry back.
    pub(super) async fn pause(&self, held: &Held, pause: Duration) -> Result<(), Stop> {
        if self.stops.soft.is_cancelled() {
            return Err(Stop::GiveBack);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stops.soft.cancelled() => Err(Stop::GiveBack),
            () = held.lost() => {
                self.metrics.lease_lost();
                Err(Stop::Gone)
            }
        }
    }

    /// A key of another type, or an answer that cannot be read: the entry is left alone until its lease is
    /// over, so that it does not keep a slot from its neighbours.
    pub(super) fn give_up(&self, held: &Held, error: &Error) -> Stop {
        self.metrics.redis_error(error.class());
        tracing::error!(entry = %held.entry.id, %error, "left alone for a lease");
        Stop::Gone
    }

    pub(super) fn finish(held: &Held, subject: Subject, run: Run, outcome: Outcome) -> Ending {
        Ending::Finish(Box::new(Finish {
            subject,
            run,
            outcome,
            fields: held.entry.fields.clone(),
            acknowledge: true,
            via: "stream",
        }))
    }
}

fn first_run(order: &Order, agent: &str) -> Run {
    let message_id = order.message_id();
    Run {
        context_id: context_id(&message_id),
        message_id,
        task_id: None,
        wire: None,
        agent: agent.to_owned(),
        attempts: 0,
    }
}
