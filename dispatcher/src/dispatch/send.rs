//! Writing the request, and what its answer means.

use std::time::Duration;

use a2a::{Answer, Mode, Outgoing, SendError, Sent};
use daemon::TraceContext;
use http::HeaderMap;
use redis::Cmd;
use redis_stream::value;

use super::dispatcher::{Dispatcher, Stop, Work};
use super::outcome::{self, AfterFailure, Outcome, Reason};
use super::record::{self, Leave, Run};
use crate::incident::{Order, Text};

/// Before a take that follows at once: nothing here may spin.
const SHORTLY: Duration = Duration::from_millis(100);

/// Where a send leads.
pub(super) enum Sending {
    /// The agent runs it.
    Running(Run),
    /// There is a verdict.
    Ended(Run, Outcome),
    /// Take again, after this pause.
    Again(Duration),
}

impl Dispatcher {
    /// One send. `fresh`: nobody has sent it before; `doubtful`: an earlier send may have run.
    pub(super) async fn send(
        &self,
        work: &mut Work<'_>,
        before: Run,
        fresh: bool,
        doubtful: bool,
    ) -> Result<Sending, Stop> {
        if before.attempts >= self.settings.max_attempts {
            let error = format!("{} attempts without a usable answer", before.attempts);
            return Ok(Sending::Ended(before, Outcome::new(Reason::AttemptsExhausted, error)));
        }
        let Some(text) = self.text(work).await? else {
            return Ok(Sending::Ended(
                before,
                Outcome::new(Reason::ArtifactMissing, "the message text is gone from Redis"),
            ));
        };
        self.pause(work.held, Duration::ZERO).await?;
        let run =
            Run { attempts: before.attempts + 1, wire: work.contact.agent.wire().or(before.wire), ..before.clone() };
        let reply = self.script(work.held, &record::sending(&self.names, &work.subject, &run)).await?;
        match record::leave(&reply).map_err(|error| self.give_up(work.held, &error))? {
            Leave::Granted => {}
            Leave::Lost => return Err(Stop::Gone),
            // The next take makes the record name this entry, or acknowledges it.
            Leave::Changed => return Ok(Sending::Again(SHORTLY)),
        }
        work.held.remember(&work.subject, &run);
        if !work.held.may_start() {
            self.metrics.lease_lost();
            work.held.forget();
            self.not_sent(work, &before, fresh).await?;
            // A lease that is only over, not lost, is renewed in a moment.
            return if work.held.is_lost() { Err(Stop::Gone) } else { Ok(Sending::Again(SHORTLY)) };
        }
        self.metrics.attempt();
        let (message, headers) = (outgoing(work.order, &run, text, doubtful), headers(work.order));
        let sent = tokio::select! {
            sent = work.contact.agent.send(&message, Mode::NonBlocking, &headers) => sent,
            () = self.stops.last_call.cancelled() => return Err(Stop::GiveBack),
        };
        match sent {
            Ok(sent) => Ok(self.accepted(work, run, sent).await),
            Err(error) => self.failed(work, before, run, fresh, &error).await,
        }
    }

    async fn accepted(&self, work: &Work<'_>, run: Run, sent: Sent) -> Sending {
        work.contact.reached();
        let task = match sent.answer {
            Answer::Message(reply) => {
                let outcome = Outcome::settled(Reason::Completed, reply.text.as_deref());
                return Sending::Ended(Run { wire: Some(sent.wire), ..run }, outcome);
            }
            Answer::Task(task) => task,
        };
        let run = Run {
            context_id: task.context_id.clone().unwrap_or(run.context_id),
            task_id: Some(task.id.clone()),
            wire: Some(sent.wire),
            ..run
        };
        work.held.remember(&work.subject, &run);
        if self.settings.ack_on_accepted {
            return Sending::Ended(run, Outcome::settled(Reason::Accepted, None));
        }
        self.record_accepted(work, &run).await;
        match outcome::of_task(&task) {
            Some(outcome) => Sending::Ended(run, outcome),
            None => Sending::Running(run),
        }
    }

    /// Once; what fails here is written back by the next renewal.
    pub(super) async fn record_accepted(&self, work: &Work<'_>, run: &Run) {
        let call = record::accepted(&self.names, &work.subject, run, "stream");
        let recorded = match self.link.current() {
            Some(session) => session.invoke(&call).await.map(drop),
            None => Err(self.link.trouble()),
        };
        if let Err(error) = recorded {
            self.metrics.redis_error(error.class());
            tracing::warn!(workflow_id = %work.subject.workflow_id, %error, "the task id is not recorded yet");
        }
    }

    async fn failed(
        &self,
        work: &mut Work<'_>,
        before: Run,
        run: Run,
        fresh: bool,
        error: &SendError,
    ) -> Result<Sending, Stop> {
        let words = error.to_string();
        work.held.forget();
        tracing::warn!(workflow_id = %work.subject.workflow_id, agent = %work.contact.name, error = %words, "send failed");
        match outcome::of_failure(error.class(), &words, run.attempts, self.settings.max_attempts) {
            AfterFailure::End(outcome) => Ok(Sending::Ended(run, outcome)),
            AfterFailure::FindOut => {
                // Reaching the agent failed for this run only; others are not held back.
                Ok(Sending::Again(outcome::wait(work.delays.next_delay(), error.retry_after())))
            }
            AfterFailure::Wait => {
                let reason = WaitReason { words, retry_after: error.retry_after() };
                self.wait_for_agent(work, before, fresh, &reason).await
            }
        }
    }

    /// Takes the attempt back; answers for how long the incident has been waiting.
    async fn not_sent(&self, work: &Work<'_>, before: &Run, fresh: bool) -> Result<Duration, Stop> {
        let reply = self.script(work.held, &record::unsent(&self.names, &work.subject, before, fresh)).await?;
        Ok(record::waited(&reply))
    }

    /// The agent cannot be reached: wait, or hand the entry to its waiting stream, or give up.
    pub(super) async fn wait_for_agent(
        &self,
        work: &mut Work<'_>,
        run: Run,
        fresh: bool,
        reason: &WaitReason,
    ) -> Result<Sending, Stop> {
        self.metrics.wait();
        let unreached_for = work.contact.unreached();
        if self.not_sent(work, &run, fresh).await? > self.settings.give_up_after {
            let error =
                format!("the agent could not be reached for {:?}: {}", self.settings.give_up_after, reason.words);
            return Ok(Sending::Ended(run, Outcome::new(Reason::Expired, error)));
        }
        if unreached_for >= self.settings.lease {
            let name = &work.contact.name;
            let waiting = self.names.waiting(&name.namespace, &name.name);
            let call = record::move_to_waiting(&self.names, &work.subject, &waiting, &work.held.entry);
            self.script(work.held, &call).await?;
            return Err(Stop::Gone);
        }
        Ok(Sending::Again(outcome::wait(work.delays.next_delay(), reason.retry_after)))
    }

    async fn text(&self, work: &Work<'_>) -> Result<Option<String>, Stop> {
        let key = match &work.order.text {
            Text::Inline(text) => return Ok(Some(text.clone())),
            Text::Missing => return Ok(None),
            Text::Artifact(key) => key,
        };
        let mut cmd = Cmd::new();
        cmd.arg("GET").arg(key);
        loop {
            if let Some(session) = self.link.current() {
                match session.run(&cmd).await {
                    Ok(reply) => {
                        return Ok(value::bytes(&reply).map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
                    }
                    // Not a string: as good as gone.
                    Err(error) if error.code() == Some("WRONGTYPE") => return Ok(None),
                    Err(error) => self.metrics.redis_error(error.class()),
                }
            }
            self.pause(work.held, Duration::from_millis(200)).await?;
        }
    }
}

/// Why an agent is waited for.
pub(super) struct WaitReason {
    pub(super) words: String,
    pub(super) retry_after: Option<Duration>,
}

fn outgoing(order: &Order, run: &Run, text: String, doubtful: bool) -> Outgoing {
    let mut message = Outgoing::new(&run.message_id, text);
    message.context_id = Some(run.context_id.clone()).filter(|id| !id.is_empty());
    let mut note = |name: &str, value: serde_json::Value| message.metadata.insert(name.to_owned(), value);
    note("workflow_id", order.workflow_id.clone().into());
    note("step", order.step.clone().into());
    note("attempt", run.attempts.into());
    if let Some(fingerprint) = &order.fingerprint {
        note("fingerprint", fingerprint.clone().into());
    }
    if doubtful {
        note("duplicate_possible", true.into());
    }
    message
}

/// The producer's trace goes on at the agent.
pub(super) fn headers(order: &Order) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let given =
        order.traceparent.as_deref().and_then(|parent| TraceContext::parse(parent, order.tracestate.as_deref()));
    let context =
        TraceContext::current().or(given.map(|context| context.child())).unwrap_or_else(TraceContext::generate);
    context.inject(&mut headers);
    headers
}
