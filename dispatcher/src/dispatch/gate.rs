//! Whether an agent may be sent to: the scripts that count its runs and know whether it can be reached, called and
//! read. The group's workers decide this together; what they know is in Redis.

use std::time::Duration;

use redis::Value;
use redis_stream::entry::Entry;
use redis_stream::error::Error;
use redis_stream::script::Call;

use super::decision::{Blame, Closed, Stay};
use super::names::Names;
use super::profile::Limits;
use super::record::{Run, Subject, owned, with_fields, words};
use super::scripts;
use crate::incident::{RECORD_PREFIX, STEP};
use crate::text::head;

/// Entries of one agent that come back from its waiting stream within a second at most, by all workers together.
const BACK_PER_SECOND: u32 = 50;
/// Longest account of an agent's trouble that is kept, bytes.
const LONGEST_WORDS: usize = 512;

/// The call of `sending`; `run.attempts` counts the attempt that is about to be made.
pub fn sending<'a>(names: &Names, subject: &Subject, run: &Run, limits: Limits, lease: Duration) -> Call<'a> {
    let call = gated(scripts::SENDING.call(), names, subject, run);
    call.arg(&run.context_id)
        .arg(run.wire())
        .arg(&run.agent)
        .number(run.attempts)
        .arg(subject.incident())
        .arg(&run.message_id)
        .number(limits.runs)
        .number(limits.runs_per_hour.unwrap_or(0))
        .number(lease.as_millis())
}

/// The answer of `sending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// The request may be written.
    Granted,
    /// The entry is not ours any more.
    Lost,
    /// It is ours, but its record has changed since it was taken: it is final, gone, or names another entry.
    Changed,
    /// Nothing may be sent for it now; how long the incident has been waiting, and the agent's trouble.
    Closed(Closed, Duration, String),
}

/// Reads the answer of `sending`.
pub fn leave(reply: &Value) -> Result<Leave, Error> {
    let answer = words(reply);
    let closed = |why| {
        let waited = answer.get(2).and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
        Leave::Closed(why, waited, answer.get(3).cloned().unwrap_or_default())
    };
    match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ok"] => Ok(Leave::Granted),
        ["lost"] => Ok(Leave::Lost),
        ["again"] => Ok(Leave::Changed),
        ["closed", "open", ..] => Ok(closed(Closed::Open)),
        ["closed", "full", ..] => Ok(closed(Closed::Full)),
        ["closed", "storm", ..] => Ok(closed(Closed::Storm)),
        ["closed", "firing", ..] => Ok(closed(Closed::Firing)),
        ["closed", "unstarted", ..] => Ok(closed(Closed::Unstarted)),
        _ => Err(Error::unexpected("script SENDING", reply)),
    }
}

/// A try that did not reach its agent.
#[derive(Debug, Clone, Copy)]
pub struct Unsent<'a> {
    /// Nobody had sent it before.
    pub fresh: bool,
    /// Whose trouble it is.
    pub blame: Blame,
    /// Before the next try.
    pub pause: Duration,
    /// What the agent asked for.
    pub wish: Option<Duration>,
    /// How long the try lasted.
    pub lasted: Duration,
    /// The agent's words.
    pub words: &'a str,
}

/// The call of `unsent`; `before` is the run as it was before `sending`.
pub fn unsent<'a>(
    names: &Names,
    subject: &Subject,
    before: &Run,
    how: &Unsent<'_>,
    limits: Limits,
    lease: Duration,
) -> Call<'a> {
    let blame = match how.blame {
        Blame::Incident => "none",
        Blame::Agent => "agent",
        Blame::Pause => "pause",
    };
    gated(scripts::UNSENT.call(), names, subject, before)
        .arg(if how.fresh { "queued" } else { "sending" })
        .number(before.attempts)
        .arg(subject.incident())
        .arg(&before.message_id)
        .arg(blame)
        .number(lease.as_millis())
        .number(how.pause.as_millis())
        .number(how.wish.unwrap_or_default().as_millis())
        .number(fastrand::u32(0..1000))
        .number(limits.runs)
        .arg(head(how.words, LONGEST_WORDS))
        .number(how.lasted.as_millis())
}

/// Reads the answer of `unsent`: how long the incident has been waiting for its agent, and whether it may go on
/// doing so here.
pub fn waited(reply: &Value) -> (Duration, Stay) {
    let answer = words(reply);
    let waited = answer.get(1).and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    let stay = match answer.get(2).map(String::as_str) {
        Some("closed") => Stay::Closed,
        Some("crowded") => Stay::Crowded,
        _ => Stay::Here,
    };
    (waited, stay)
}

/// The call of `move` to the agent's waiting stream.
pub fn move_to_waiting<'a>(names: &Names, subject: &Subject, agent: &str, entry: &Entry) -> Call<'a> {
    let keys = names.agent_keys(agent);
    let call = scripts::MOVE
        .call()
        .key(&names.group.stream)
        .key(subject.record())
        .key(names.waiting(agent))
        .key(names.waiting_set())
        .key(keys.health)
        .key(keys.runs)
        .arg(&names.group.group)
        .arg(&names.group.consumer)
        .arg(&subject.entry_id)
        .arg(&subject.workflow_id)
        .arg(subject.incident());
    with_fields(call, &entry.fields)
}

/// Reads the answer of `move`.
pub fn has_moved(reply: &Value) -> bool {
    words(reply).first().is_some_and(|word| word == "moved")
}

/// The call of `back` for the waiting stream of one agent.
pub fn back<'a>(names: &Names, agent: &str, limits: Limits, lease: Duration, give_up_after: Duration) -> Call<'a> {
    let keys = names.agent_keys(agent);
    scripts::BACK
        .call()
        .key(&names.group.stream)
        .key(names.waiting(agent))
        .key(names.waiting_set())
        .key(keys.health)
        .key(keys.runs)
        .key(keys.hour)
        .key(keys.pace)
        .arg(RECORD_PREFIX)
        .arg(STEP)
        .number(limits.runs)
        .number(limits.runs_per_hour.unwrap_or(0))
        .number(BACK_PER_SECOND)
        .number(lease.as_millis())
        .number(give_up_after.as_millis())
}

/// Stream, record and the agent's keys; then whose entry it is.
fn gated<'a>(call: Call<'a>, names: &Names, subject: &Subject, run: &Run) -> Call<'a> {
    let keys = names.agent_keys(&run.agent);
    owned(call, names, subject).key(keys.health).key(keys.runs).key(keys.hour)
}
