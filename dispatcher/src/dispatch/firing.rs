//! An alert that is over comes after its beginning: the resolved incident waits for the end of the firing one, or
//! settles it where nobody has sent it.

use std::time::Duration;

use redis_stream::script::Call;

use super::dispatcher::{Dispatcher, Next, Stop, Work};
use super::names::{KEEP_FINAL, Names, OUTCOMES, OUTCOMES_CAP};
use super::outcome::Reason;
use super::record::{self, Subject, owned};
use super::scripts;
use super::send::SHORTLY;
use crate::incident::{Order, record_key};

/// Longest time from one look at the firing incident to the next.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// The call of `sending`, which then looks at the order's firing incident first.
pub fn after<'a>(call: Call<'a>, order: &Order) -> Call<'a> {
    match &order.firing {
        Some(firing) => call.key(record_key(firing, &order.step)),
        None => call,
    }
}

/// The call of `settle_firing`. `agent`: `namespace/agent` of the resolved incident.
pub fn settle<'a>(names: &Names, subject: &Subject, firing: &str, agent: &str) -> Call<'a> {
    let keys = names.agent_keys(agent);
    owned(scripts::SETTLE_FIRING.call(), names, subject)
        .key(record_key(firing, &subject.step))
        .key(OUTCOMES)
        .key(keys.health)
        .key(keys.runs)
        .arg(firing)
        .arg(format!("{firing}-{}", subject.step))
        .arg(Reason::Resolved.as_str())
        .number(KEEP_FINAL.as_secs())
        .number(OUTCOMES_CAP)
}

impl Dispatcher {
    /// Here, without a slot; or, where too many wait here so, in the agent's waiting stream: the firing incident may
    /// need a slot of this worker.
    pub(super) async fn await_firing(&self, work: &mut Work<'_>) -> Result<Next, Stop> {
        if work.held.may_rest_long() {
            return Ok(Next::Again(work.delays.next_delay().clamp(SHORTLY, LOOK_WITHIN)));
        }
        self.move_away(work).await
    }

    /// Whatever comes of it, the next look says how things are.
    pub(super) async fn settle_firing(&self, work: &Work<'_>) -> Result<Next, Stop> {
        let Some(firing) = &work.order.firing else { return Ok(Next::Again(SHORTLY)) };
        let call = settle(&self.names, &work.subject, firing, &work.contact.name.to_string());
        let reply = self.script(work.held, &call).await?;
        if record::words(&reply).first().is_some_and(|word| word == "settled") {
            self.metrics.outcome(Reason::Resolved);
            tracing::info!(workflow_id = firing, reason = Reason::Resolved.as_str(), "settled unsent");
        }
        Ok(Next::Again(SHORTLY))
    }
}
