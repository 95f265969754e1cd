//! Handing one incident to its agent: the request, what its answer means, and asking where there was none.

use std::sync::Arc;
use std::time::Duration;

use a2a::{Answer, Class, SendError, Sent as Reply};

use super::direct::{Direct, Handed, Unanswered, is_full, lock};
use super::message::{first_run, headers, outgoing};
use crate::dispatch::agents::Contact;
use crate::dispatch::decision;
use crate::dispatch::outcome::{OnUncertain, Outcome, Reason};
use crate::dispatch::record::Run;
use crate::dispatch::was_answered;
use crate::incident::Incident;
use crate::outbox::index::Mark;
use crate::outbox::item::{Offer, Sent, Stage};

/// An agent stores its tasks a moment after it has answered.
const STORED_WITHIN: Duration = Duration::from_secs(3);

impl Direct {
    pub(super) async fn step(self: &Arc<Self>, incident: &Incident) -> Handed {
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
        let asked = mark.offer == Offer::Unanswered;
        if asked {
            match self.search(incident, &contact).await {
                Search::Found => return Handed::Known,
                Search::Unsaid => return Handed::No,
                Search::NotThere => {}
            }
        }
        self.send(incident, &contact, first_run(incident, &contact), asked && !contact.recognises()).await
    }

    /// One send. `doubtful`: it may make a second run.
    async fn send(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, run: Run, doubtful: bool) -> Handed {
        let id = &incident.workflow_id;
        let sending = Sent { run: run.clone(), stage: Stage::Sending };
        if self.outbox.set_direct(id, Some(sending), true).await.is_err() {
            return Handed::No;
        }
        self.metrics.attempt();
        if doubtful {
            self.metrics.duplicate_possible("direct");
        }
        match contact.agent.send(&outgoing(incident, &run, doubtful), contact.profile.mode, &headers(incident)).await {
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
                lock(&self.unanswered).insert(id.clone(), Unanswered::new(!was_answered(error)));
                self.set(id, Some(Sent { run, stage: Stage::Unanswered })).await;
                Handed::No
            }
            Class::Terminal if self.outbox.is_durable() => {
                tracing::warn!(workflow_id = %id, %error, "the agent will never take it");
                self.refused(incident, Some(run), Outcome::new(Reason::Refused, error.to_string())).await
            }
            class => {
                self.metrics.wait();
                // What one incident is refused says nothing of the next.
                if class != Class::Terminal {
                    self.rest(contact, error.retry_after());
                }
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
        // Where that is not noted nobody knows what was heard.
        let sent = *lock(&self.unanswered).entry(id.clone()).or_insert_with(|| Unanswered::new(true));
        if self.is_resting(contact) || self.outbox.look(|index| is_full(index, contact)) {
            return Handed::No;
        }
        if contact.recognises() {
            return self.again(incident, contact, run, false).await;
        }
        match self.search(incident, contact).await {
            Search::Found => Handed::Known,
            // It may be stored a moment later.
            Search::NotThere if contact.lists() == Some(true) && sent.since.elapsed() < STORED_WITHIN => Handed::No,
            Search::NotThere if contact.lists() == Some(true) => {
                let doubtful = sent.unheard || mark.offer == Offer::Unanswered;
                self.again(incident, contact, run, doubtful).await
            }
            // The workers decide about it, when Redis is there.
            Search::NotThere if self.publisher.is_some() => Handed::No,
            Search::NotThere if contact.profile.on_uncertain == OnUncertain::Resend && run.attempts < 2 => {
                self.again(incident, contact, run, true).await
            }
            Search::NotThere => {
                let why = "the agent may have run it and cannot be asked";
                self.refused(incident, Some(run), Outcome::new(Reason::Uncertain, why)).await
            }
            Search::Unsaid => Handed::No,
        }
    }

    async fn again(self: &Arc<Self>, incident: &Incident, contact: &Arc<Contact>, run: Run, doubtful: bool) -> Handed {
        lock(&self.unanswered).remove(&incident.workflow_id);
        let run = Run { attempts: run.attempts + 1, ..run };
        self.send(incident, contact, run, doubtful).await
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
