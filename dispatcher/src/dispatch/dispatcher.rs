//! One incident to one outcome.

use std::sync::Arc;
use std::time::Duration;

use redis_stream::connection::Link;
use redis_stream::retry::Delays;
use tokio_util::sync::CancellationToken;

use super::agents::{Agents, Contact};
use super::decision::{self, Facts, Seen, Step};
use super::held::Held;
use super::names::Names;
use super::outcome::{OnResolved, Outcome};
use super::polls::Pace;
use super::profile::{ContextPolicy, Profile};
use super::record::{self, Finish, Run, Since, Subject, Taken};
use super::routes::Routes;
#[cfg(feature = "controls")]
use crate::controls::{Control::NoRecovery, is_off};
use crate::incident::{Order, context_id};
use crate::metrics::Metrics;

/// How incidents are handed to agents.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// How long an entry may be idle before another worker claims it.
    pub lease: Duration,
    /// Sends that may have reached the agent, at most.
    pub max_attempts: u32,
    /// Longest wait for an agent that cannot be reached.
    pub give_up_after: Duration,
    /// The agent's acceptance is final.
    pub ack_on_accepted: bool,
    /// What becomes of an incident that nobody has sent when its alert is over.
    pub on_resolved: OnResolved,
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
    /// Still pending in our name, and of no use to anybody for a while.
    LeaveAlone,
    /// For another worker to go on with.
    GiveBack,
}

/// Why work on an entry stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Gone,
    LeaveAlone,
    GiveBack,
}

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Gone => Self::Gone,
            Stop::LeaveAlone => Self::LeaveAlone,
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
    pub(super) pace: Pace,
}

/// One entry under work.
pub(super) struct Work<'a> {
    pub(super) held: &'a Held,
    pub(super) order: &'a Order,
    pub(super) subject: Subject,
    pub(super) contact: &'a Contact,
    pub(super) delays: Delays,
    /// A send from here had no answer of the agent's own.
    pub(super) unheard: bool,
}

/// Where a step leads.
pub(super) enum Next {
    /// The request is to be written. `fresh`: nobody has sent it before; `doubtful`: an earlier send may have run.
    Send { run: Run, fresh: bool, doubtful: bool },
    /// The agent runs it.
    Running(Run),
    /// There is a verdict.
    Ended(Run, Outcome),
    /// Take again, after this pause.
    Again(Duration),
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
        Self { link, names, agents, routes, settings, stops, metrics, pace: Pace::new() }
    }

    /// Works on a held entry until it has an ending.
    pub async fn dispatch(&self, held: &Held) -> Ending {
        match Order::decode(&held.entry) {
            Ok(order) => self.order(held, &order).await.unwrap_or_else(Ending::from),
            Err(error) => {
                let facts = self.facts(held, self.agents.general(), false, 0);
                match self.table(&held.entry.id.to_string(), &facts, &Seen::Unreadable(&error.to_string())) {
                    Step::Finish(outcome) => Ending::Bury(outcome),
                    _ => Ending::Gone,
                }
            }
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
                let delays = Delays::full_jitter(Duration::from_secs(1), Duration::from_secs(30));
                return self.work(Work { held, order, subject, contact: &contact, delays, unheard: false }).await;
            }
            Some(Err(error)) => format!("agent_target {:?}: {error}", target.unwrap_or_default()),
            None => format!("no agent for step {:?} in the routing hash {}", order.step, self.names.routing),
        };
        self.unroutable(held, order, subject, &problem).await
    }

    /// An incident that no agent can take may still have been finished, or handed on, before.
    async fn unroutable(&self, held: &Held, order: &Order, subject: Subject, problem: &str) -> Result<Ending, Stop> {
        let run = first_run(order, "", ContextPolicy::PerIncident);
        let reply = self.script(held, &record::take(&self.names, &subject, &run, false, self.settings.lease)).await?;
        match record::taken(&reply, "").map_err(|error| self.give_up(held, &error))? {
            Taken::Fresh(run) | Taken::Begun(run, _) => {
                let facts = self.facts(held, self.agents.general(), false, run.attempts);
                match self.table(&subject.workflow_id, &facts, &Seen::Unroutable(problem)) {
                    Step::Finish(outcome) => Ok(Self::finish(held, subject, run, outcome)),
                    _ => Ok(Ending::Gone),
                }
            }
            Taken::Lost | Taken::Duplicate => Ok(Ending::Gone),
            Taken::Newer => {
                self.metrics.newer_record();
                Ok(Ending::LeaveAlone)
            }
        }
    }

    /// Take, then send, find out or follow, until there is a verdict. After each failure the record is
    /// taken again: it alone says what is known.
    ///
    /// Each part is boxed: of thousands of dispatches most only follow, and keep no room for the rest.
    async fn work(&self, mut work: Work<'_>) -> Result<Ending, Stop> {
        loop {
            let (run, begun) = Box::pin(self.take(&work)).await?;
            if run.task_id.is_some() {
                work.held.remember(&work.subject, &run);
                let for_so_long = begun.as_ref().and_then(|since| since.running).unwrap_or_default();
                return self.follow(work, run, for_so_long).await;
            }
            let mut next = match begun {
                None => {
                    let step = self.decide(&work, run.attempts, &Seen::Unsent);
                    act(&work, run, true, step)
                }
                Some(since) => Box::pin(self.resume(&mut work, run, since)).await?,
            };
            loop {
                match next {
                    Next::Send { run, fresh, doubtful } => {
                        next = Box::pin(self.send(&mut work, run, fresh, doubtful)).await?;
                    }
                    Next::Running(run) => return self.follow(work, run, Duration::ZERO).await,
                    Next::Ended(run, outcome) => return Ok(Self::finish(work.held, work.subject, run, outcome)),
                    Next::Again(pause) => break self.rest(work.held, pause).await?,
                }
            }
        }
    }

    /// What is known of the incident, and since when where somebody may have sent it.
    async fn take(&self, work: &Work<'_>) -> Result<(Run, Option<Since>), Stop> {
        let agent = work.contact.name.to_string();
        let fresh_without_record = work.order.foreign && work.held.deliveries <= 1 && self.is_blind(work).await;
        // An agent that can be asked settles whether there was one; else one is assumed.
        let assumed = u32::from(work.contact.lists() != Some(true) && !work.contact.recognises());
        let run = Run { attempts: assumed, ..first_run(work.order, &agent, work.contact.profile.context) };
        let call = record::take(&self.names, &work.subject, &run, fresh_without_record, self.settings.lease);
        let reply = self.script(work.held, &call).await?;
        match record::taken(&reply, &agent).map_err(|error| self.give_up(work.held, &error))? {
            Taken::Lost => {
                self.metrics.lease_lost();
                Err(Stop::Gone)
            }
            Taken::Newer => {
                self.metrics.newer_record();
                Err(Stop::LeaveAlone)
            }
            Taken::Duplicate => Err(Stop::Gone),
            Taken::Fresh(run) => Ok((run, None)),
            #[cfg(feature = "controls")]
            Taken::Begun(run, _) if is_off(NoRecovery) => Ok((Run { task_id: None, ..run }, None)),
            Taken::Begun(run, since) => Ok((run, Some(since))),
        }
    }

    /// The row for what was just seen of an incident.
    pub(super) fn decide(&self, work: &Work<'_>, attempts: u32, seen: &Seen<'_>) -> Step {
        let may_list = work.contact.lists() != Some(false);
        let mut facts = self.facts(work.held, &work.contact.profile, may_list, attempts);
        facts.recognises = work.contact.recognises();
        self.table(&work.subject.workflow_id, &facts, seen)
    }

    fn table(&self, incident: &str, facts: &Facts, seen: &Seen<'_>) -> Step {
        let (row, step) = decision::decide(seen, facts);
        self.metrics.decision(row);
        tracing::debug!(incident, row = row.id(), "decided");
        step
    }

    fn facts(&self, held: &Held, profile: &Profile, lists: bool, attempts: u32) -> Facts {
        Facts {
            attempts,
            max_attempts: self.settings.max_attempts,
            deliveries: held.deliveries,
            on_uncertain: profile.on_uncertain,
            recognises: false,
            lists,
            ack_on_accepted: self.settings.ack_on_accepted,
            on_resolved: self.settings.on_resolved,
            give_up_after: self.settings.give_up_after,
            run_deadline: profile.run_deadline,
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

/// The steps that need no call.
pub(super) fn act(work: &Work<'_>, run: Run, fresh: bool, step: Step) -> Next {
    match step {
        Step::Send { doubtful } => Next::Send { run, fresh, doubtful },
        Step::Follow => Next::Running(run),
        Step::Finish(outcome) => Next::Ended(run, outcome),
        other => {
            tracing::error!(workflow_id = %work.subject.workflow_id, step = ?other, "no step for this place");
            Next::Again(Duration::from_secs(1))
        }
    }
}

fn first_run(order: &Order, agent: &str, context: ContextPolicy) -> Run {
    let message_id = order.message_id();
    Run {
        context_id: context.first(|| context_id(&message_id)),
        message_id,
        task_id: None,
        wire: None,
        agent: agent.to_owned(),
        attempts: 0,
    }
}
