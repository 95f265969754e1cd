//! Writing the request, and what its answer means.

use std::time::{Duration, Instant};

use a2a::{Answer, Cause, Class, Mode, Outgoing, SendError, Sent};
use daemon::TraceContext;
use http::{HeaderMap, StatusCode};
use redis::Cmd;
use redis_stream::value;

use super::decision::{Blame, Seen, Step, Via};
use super::dispatcher::{Dispatcher, Next, Stop, Work, act};
use super::firing;
use super::gate::{self, Leave, Unsent};
use super::outcome;
use super::record::{self, Run};
use super::waits::Trouble;
use crate::incident::{Order, Text};

/// A blocking request without an answer for so long is taken for one that runs.
const TAKEN_AFTER: Duration = Duration::from_secs(5);
/// Before a take that follows at once: nothing here may spin.
pub(super) const SHORTLY: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// One send. `fresh`: nobody has sent it before; `doubtful`: an earlier send may have run.
    pub(super) async fn send(
        &self,
        work: &mut Work<'_>,
        before: Run,
        fresh: bool,
        doubtful: bool,
    ) -> Result<Next, Stop> {
        let _turn = if work.contact.profile.mode == Mode::NonBlocking { work.contact.turns.send().await } else { None };
        let Some(text) = self.text(work).await? else {
            let step = self.decide(work, before.attempts, &Seen::TextGone);
            return Ok(act(work, before, fresh, step));
        };
        self.pause(work.held, Duration::ZERO).await?;
        let run =
            Run { attempts: before.attempts + 1, wire: work.contact.agent.wire().or(before.wire), ..before.clone() };
        let (limits, lease) = (work.contact.profile.limits, self.settings.lease);
        let call = gate::sending(&self.names, &work.subject, &run, limits, lease);
        let call = firing::after(call, work.order);
        let reply = match self.once(&call).await {
            Ok(reply) => reply,
            Err(error) => {
                self.metrics.redis_error(error.class());
                // Refused for a while: whoever else is at it may have had something to say meanwhile.
                if doubtful && !error.uncertain() {
                    return Ok(Next::Again(SHORTLY));
                }
                self.script(work.held, &call).await?
            }
        };
        match gate::leave(&reply).map_err(|error| self.give_up(work.held, &error))? {
            Leave::Granted => {}
            Leave::Lost => return Err(Stop::Gone),
            // The next take makes the record name this entry, or acknowledges it.
            Leave::Changed => return Ok(Next::Again(SHORTLY)),
            Leave::Closed(why, waited, words) => {
                return match self.decide(work, before.attempts, &Seen::Closed(why, waited, &words)) {
                    Step::Move => self.move_away(work).await,
                    Step::AwaitFiring => self.await_firing(work).await,
                    Step::SettleFiring => self.settle_firing(work).await,
                    step => Ok(act(work, before, fresh, step)),
                };
            }
        }
        work.held.remember(&work.subject, &run);
        if !work.held.may_start() {
            return self.too_late(work, &before, fresh).await;
        }
        self.metrics.attempt();
        if doubtful {
            self.metrics.duplicate_possible("uncertain");
        }
        let (message, headers) = (outgoing(work.order, &run, text, doubtful), headers(work.order));
        let sending = work.contact.agent.send(&message, work.contact.profile.mode, &headers);
        let begun = Instant::now();
        let sent = tokio::select! {
            sent = self.opening_meanwhile(work, &run, sending) => sent,
            () = self.stops.last_call.cancelled() => return Err(Stop::GiveBack),
        };
        match sent {
            Ok(sent) => Ok(self.answered(work, run, sent).await),
            Err(error) => self.failed(work, before, run, fresh, (&error, begun.elapsed())).await,
        }
    }

    /// A blocking request is answered when its run ends. One that was neither refused nor cut off for a while is under
    /// way: the agent takes requests, and others need not wait for this one's end.
    async fn opening_meanwhile<T>(&self, work: &Work<'_>, run: &Run, sending: impl Future<Output = T>) -> T {
        tokio::pin!(sending);
        if work.contact.profile.mode == Mode::Blocking {
            tokio::select! {
                sent = &mut sending => return sent,
                () = tokio::time::sleep(TAKEN_AFTER.min(self.settings.lease)) => {}
            }
            self.record_accepted(work, run, true).await;
        }
        sending.await
    }

    /// The lease ran out before the request was written.
    async fn too_late(&self, work: &Work<'_>, before: &Run, fresh: bool) -> Result<Next, Stop> {
        self.metrics.lease_lost();
        work.held.forget();
        let how =
            Unsent { fresh, blame: Blame::Incident, pause: SHORTLY, wish: None, lasted: Duration::ZERO, words: "" };
        let (limits, lease) = (work.contact.profile.limits, self.settings.lease);
        self.script(work.held, &gate::unsent(&self.names, &work.subject, before, &how, limits, lease)).await?;
        // A lease that is only over, not lost, is renewed in a moment.
        if work.held.is_lost() { Err(Stop::Gone) } else { Ok(Next::Again(SHORTLY)) }
    }

    async fn answered(&self, work: &Work<'_>, run: Run, sent: Sent) -> Next {
        match sent.answer {
            Answer::Message(reply) => {
                let run = Run { wire: Some(sent.wire), ..run };
                self.record_accepted(work, &run, true).await;
                let step = self.decide(work, run.attempts, &Seen::Message(reply.text.as_deref()));
                act(work, run, false, step)
            }
            Answer::Task(task) => {
                let run = Run {
                    context_id: task.context_id.clone().unwrap_or(run.context_id),
                    task_id: Some(task.id.clone()),
                    wire: Some(sent.wire),
                    ..run
                };
                work.held.remember(&work.subject, &run);
                self.record_accepted(work, &run, true).await;
                let step = self.decide(work, run.attempts, &Seen::Task(&task, Via::Send));
                act(work, run, false, step)
            }
        }
    }

    /// Once; what fails here is written back by the next renewal. `reached`: the agent has just taken a request.
    pub(super) async fn record_accepted(&self, work: &Work<'_>, run: &Run, reached: bool) {
        let call = record::accepted(&self.names, &work.subject, run, "stream", self.settings.lease, reached);
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
        (error, lasted): (&SendError, Duration),
    ) -> Result<Next, Stop> {
        let words = error.to_string();
        work.held.forget();
        tracing::warn!(workflow_id = %work.subject.workflow_id, agent = %work.contact.name, error = %words, "send failed");
        if was_answered(error) {
            self.record_accepted(work, &run, true).await;
        } else if error.class() == Class::Ambiguous {
            work.unheard = true;
        }
        let overdue =
            work.contact.profile.mode == Mode::Blocking && matches!(error.failure().cause(), Cause::Timeout(_));
        let seen = if overdue { Seen::Overdue } else { Seen::SendFailed(error.class(), &words) };
        match self.decide(work, run.attempts, &seen) {
            Step::Wait(blame) => {
                let trouble = Trouble { blame, words, retry_after: error.retry_after(), lasted };
                self.not_reached(work, before, fresh, &trouble).await
            }
            Step::FindOut => Ok(Next::Again(outcome::wait(work.delays.next_delay(), error.retry_after()))),
            step => Ok(act(work, run, fresh, step)),
        }
    }

    async fn text(&self, work: &Work<'_>) -> Result<Option<String>, Stop> {
        let key = match &work.order.text {
            Text::Inline => {
                let text = work.held.entry.get("text").unwrap_or_default();
                return Ok(Some(String::from_utf8_lossy(text).into_owned()));
            }
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

/// The agent itself has answered, whatever it said: a gateway's 502 or 504 says nothing about it.
pub(crate) fn was_answered(error: &SendError) -> bool {
    let by_the_agent = error.code().is_some() || error.status() == Some(StatusCode::INTERNAL_SERVER_ERROR);
    error.class() == Class::Terminal || error.class() == Class::Ambiguous && by_the_agent
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
