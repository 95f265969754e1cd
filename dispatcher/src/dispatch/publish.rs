//! Onto the stream: the script `publish`, called and read.

use std::time::Duration;

use redis::Value;
use redis_stream::error::Error;
use redis_stream::script::Call;

use super::names::{KEEP_ARTIFACT, KEEP_FINAL, Names};
use super::record::{Run, words};
use super::scripts;
use crate::incident::{Incident, STEP, artifact_key, record_key};

/// What a publish says of an incident that has no record yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has sent it.
    Queued,
    /// It was offered to Redis before, with or without an answer: a worker may have sent it, perhaps just now.
    Offered,
    /// The same, under a history that Redis has left just now: a worker may have sent it then, and not since.
    OfferedEarlier,
    /// It was sent directly and no answer came.
    Unanswered,
    /// A direct run, known by its task.
    Accepted(Run),
}

/// The call of `publish`; after `deadline_ms` (Redis' clock) it changes nothing.
pub fn publish<'a>(
    names: &Names,
    incident: &Incident,
    begun: &Begun,
    deadline_ms: i64,
    rerun: Option<Duration>,
) -> Call<'a> {
    let (state, run, via) = match begun {
        Begun::Queued => ("queued", None, "stream"),
        Begun::Offered => ("sending", None, "stream"),
        Begun::OfferedEarlier => ("offered", None, "stream"),
        Begun::Unanswered => ("sending", None, "direct"),
        Begun::Accepted(run) => ("accepted", Some(run), "direct"),
    };
    let message_id = incident.message_id();
    let call = scripts::PUBLISH
        .call()
        .key(record_key(&incident.workflow_id, STEP))
        .key(&names.group.stream)
        .key(artifact_key(&incident.workflow_id))
        .arg(&names.group.group)
        .number(deadline_ms)
        .number(KEEP_FINAL.as_secs())
        .number(KEEP_ARTIFACT.as_secs())
        .arg(state)
        .arg(run.map_or(&message_id, |run| &run.message_id))
        .arg(run.map_or("", |run| &run.context_id))
        .arg(run.map_or("", Run::task))
        .arg(run.map_or("", Run::wire))
        .arg(run.map_or("", |run| &run.agent))
        .arg(via)
        .arg(&incident.text)
        .number(rerun.map_or(0, |after| after.as_millis()));
    incident.fields().into_iter().fold(call, |call, (name, value)| call.arg(name).arg(value))
}

/// The answer of `publish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// On the stream now.
    New,
    /// Known, and somebody will be handed its entry.
    Duplicate,
    /// Known, and it has ended.
    Final,
    /// Known, but its entry was gone: on the stream again.
    Again,
    /// The deadline had passed; nothing was changed.
    Expired,
}

/// Reads the answer of `publish`.
pub fn published(reply: &Value) -> Result<Published, Error> {
    let words = words(reply);
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["published" | "rerun", ..] => Ok(Published::New),
        ["republished", ..] => Ok(Published::Again),
        ["duplicate", "settled" | "dead" | "parked"] => Ok(Published::Final),
        ["duplicate", ..] | ["newer"] => Ok(Published::Duplicate),
        ["expired"] => Ok(Published::Expired),
        _ => Err(Error::unexpected("script PUBLISH", reply)),
    }
}
