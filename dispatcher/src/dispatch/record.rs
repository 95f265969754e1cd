//! The dispatch record: typed calls of its scripts, and their answers read.

use std::time::Duration;

use a2a::Wire;
use redis::Value;
use redis_stream::entry::Entry;
use redis_stream::error::Error;
use redis_stream::script::Call;
use redis_stream::value;
use serde::{Deserialize, Serialize};

use super::names::{KEEP_ARTIFACT, KEEP_FINAL, Names, OUTCOMES, OUTCOMES_CAP};
use super::outcome::{Final, Outcome};
use super::scripts;
use crate::incident::{record_key, result_key};
use crate::text::head;

/// A script cannot unpack more arguments than this.
const MOST_FIELDS: usize = 3_000;
/// Bytes of the agent's answer in the record.
const RESULT_HEAD: usize = 1024;

/// Which incident, of which entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The incident id.
    pub workflow_id: String,
    /// The step.
    pub step: String,
    /// The entry that is worked on; its stream is the group's.
    pub entry_id: String,
}

impl Subject {
    /// The record's key.
    pub fn record(&self) -> String {
        record_key(&self.workflow_id, &self.step)
    }

    /// What it is called among an agent's runs.
    pub(super) fn incident(&self) -> String {
        format!("{}-{}", self.workflow_id, self.step)
    }
}

/// What is known of a run that began, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// A2A message id.
    pub message_id: String,
    /// A2A context id.
    pub context_id: String,
    /// A2A task id, once the agent gave one.
    pub task_id: Option<String>,
    /// The version the agent speaks, once known.
    #[serde(with = "wire_word")]
    pub wire: Option<Wire>,
    /// `namespace/agent`.
    pub agent: String,
    /// Sends that may have reached the agent.
    pub attempts: u32,
}

impl Run {
    pub(super) fn task(&self) -> &str {
        self.task_id.as_deref().unwrap_or_default()
    }

    pub(super) fn wire(&self) -> &'static str {
        self.wire.map_or("", Wire::as_str)
    }
}

mod wire_word {
    use a2a::Wire;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    pub(super) fn serialize<S: Serializer>(wire: &Option<Wire>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(wire.map_or("", Wire::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Wire>, D::Error> {
        Ok(String::deserialize(deserializer)?.parse().ok())
    }
}

/// The answer of `take`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The entry is not ours any more.
    Lost,
    /// A later version of this program wrote the record: leave it alone.
    Newer,
    /// Another entry, or an earlier run, has taken care of it; acknowledged.
    Duplicate,
    /// Nothing was sent yet.
    Fresh(Run),
    /// Somebody may have sent it already.
    Begun(Run, Since),
}

/// When a record was written that says "begun".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// By this take; Redis milliseconds.
    pub taken_at: i64,
    /// How long before that by anybody who may have sent it; absent: never under this history.
    pub quiet: Option<Duration>,
    /// How long the agent has been running it; absent: not known to be.
    pub running: Option<Duration>,
    /// The agent is closed and cannot be asked: how long the incident has been waiting, and the agent's trouble.
    pub closed: Option<(Duration, String)>,
}

/// The call of `take`. `fresh_without_record`: an absent record does not mean that it was forgotten.
/// `run.attempts` count as made when it does.
pub fn take<'a>(names: &Names, subject: &Subject, run: &Run, fresh_without_record: bool, lease: Duration) -> Call<'a> {
    owned(scripts::TAKE.call(), names, subject)
        .key(names.agent_keys(&run.agent).health)
        .arg(&run.message_id)
        .arg(&run.context_id)
        .arg(&run.agent)
        .number(u8::from(fresh_without_record))
        .number(run.attempts)
        .arg(subject.incident())
        .number(lease.as_millis())
}

/// Reads the answer of `take`.
pub fn taken(reply: &Value, agent: &str) -> Result<Taken, Error> {
    let words = words(reply);
    let run = |words: &[String]| -> Option<(Run, Since)> {
        let [_, _, task_id, message_id, context_id, wire, attempts, stamp, quiet, running, waiting, trouble] = words
        else {
            return None;
        };
        let run = Run {
            message_id: message_id.clone(),
            context_id: context_id.clone(),
            task_id: Some(task_id.clone()).filter(|id| !id.is_empty()),
            wire: wire.parse().ok(),
            agent: agent.to_owned(),
            attempts: attempts.parse().ok()?,
        };
        let age = |text: &String| text.parse().ok().map(Duration::from_millis);
        let since = Since {
            taken_at: stamp.parse().ok()?,
            quiet: age(quiet),
            running: age(running),
            closed: age(waiting).map(|waited| (waited, trouble.clone())),
        };
        Some((run, since))
    };
    let unexpected = || Error::unexpected("script TAKE", reply);
    match words.first().map(String::as_str) {
        Some("lost") => Ok(Taken::Lost),
        Some("newer") => Ok(Taken::Newer),
        Some("duplicate") => Ok(Taken::Duplicate),
        Some("fresh") => run(&words).map(|(run, _)| Taken::Fresh(run)).ok_or_else(unexpected),
        Some("begun") => run(&words).map(|(run, since)| Taken::Begun(run, since)).ok_or_else(unexpected),
        _ => Err(unexpected()),
    }
}

/// When the record was last written, if it still is about this entry and nobody knows a task.
/// The command: HMGET; Redis milliseconds.
pub fn last_written(subject: &Subject) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    cmd.arg("HMGET").arg(subject.record()).arg("updated_at").arg("state").arg("task_id").arg("entry_id");
    cmd
}

/// Reads the answer of [`last_written`]; `None`: things have changed, take again.
pub fn unchanged_since(reply: &Value, subject: &Subject) -> Option<i64> {
    match words(reply).as_slice() {
        [at, state, task, entry] if state == "sending" && task.is_empty() && *entry == subject.entry_id => {
            at.parse().ok()
        }
        _ => None,
    }
}

/// The call of `accepted`. `reached`: the agent has just taken a request.
pub fn accepted<'a>(
    names: &Names,
    subject: &Subject,
    run: &Run,
    via: &str,
    lease: Duration,
    reached: bool,
) -> Call<'a> {
    let keys = names.agent_keys(&run.agent);
    let call = scripts::ACCEPTED.call().key(subject.record()).key(keys.health).key(keys.runs).key(keys.pace);
    known(call.arg(&names.group.stream).arg(&subject.entry_id), names, run)
        .arg(via)
        .arg(subject.incident())
        .number(lease.as_millis())
        .number(u8::from(reached))
}

/// The call of `hold` for a dispatch whose request is out or whose run goes on.
pub fn hold<'a>(names: &Names, subject: &Subject, run: &Run, lease: Duration) -> Call<'a> {
    let state = if run.task_id.is_some() { "accepted" } else { "sending" };
    let keys = names.agent_keys(&run.agent);
    let call = scripts::HOLD.call().key(subject.record()).key(keys.health).key(keys.runs);
    known(call.arg(&names.group.stream).arg(&subject.entry_id).arg(state), names, run)
        .number(run.attempts)
        .arg(subject.incident())
        .number(lease.as_millis())
}

/// What is known of a run, and by whom.
fn known<'a>(call: Call<'a>, names: &Names, run: &Run) -> Call<'a> {
    call.arg(&run.message_id)
        .arg(&run.context_id)
        .arg(run.task())
        .arg(run.wire())
        .arg(&run.agent)
        .arg(&names.group.consumer)
}

/// What `finish` needs besides the outcome.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which incident.
    pub subject: Subject,
    /// How it ran.
    pub run: Run,
    /// The verdict.
    pub outcome: Outcome,
    /// The entry's fields, copied into a dead letter or parked entry.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether to acknowledge the entry.
    pub acknowledge: bool,
    /// `stream` or `direct`.
    pub via: &'static str,
}

/// The call of `finish`.
pub fn finish<'a>(names: &Names, finish: &Finish) -> Call<'a> {
    finish_again(names, finish, "")
}

/// The call of `finish` for what was finished before, with that id of the dead letter or parked copy: where it is still
/// there, it is not made a second time.
pub fn finish_again<'a>(names: &Names, finish: &Finish, copy: &str) -> Call<'a> {
    let Finish { subject, run, outcome, .. } = finish;
    let (end, keys) = (outcome.reason.ends(), names.agent_keys(&run.agent));
    let target = match end {
        Final::Settled => OUTCOMES,
        Final::Dead => &names.dead_letters,
        Final::Parked => &names.parked,
    };
    let result = outcome.result.as_deref().unwrap_or_default();
    let call = scripts::FINISH
        .call()
        .key(&names.group.stream)
        .key(subject.record())
        .key(OUTCOMES)
        .key(target)
        .key(result_key(&subject.workflow_id))
        .key(keys.health)
        .key(keys.runs)
        .arg(&names.group.group)
        .arg(if finish.acknowledge { names.group.consumer.as_str() } else { "" })
        .arg(&subject.entry_id)
        .arg(&subject.workflow_id)
        .arg(&run.message_id)
        .arg(end.as_str())
        .arg(outcome.reason.as_str())
        .arg(&run.context_id)
        .arg(run.task())
        .arg(run.wire())
        .arg(&run.agent)
        .arg(finish.via)
        .number(KEEP_FINAL.as_secs())
        .number(OUTCOMES_CAP)
        .number(KEEP_ARTIFACT.as_secs())
        .arg(head(result, RESULT_HEAD))
        .arg(result)
        .arg(&outcome.error)
        .arg(subject.incident())
        .number(run.attempts)
        .arg(copy);
    with_fields(call, &finish.fields)
}

/// The call of `bury` for an entry that names no incident.
pub fn bury<'a>(names: &Names, entry: &Entry, outcome: &Outcome) -> Call<'a> {
    let call = scripts::BURY
        .call()
        .key(&names.group.stream)
        .key(&names.dead_letters)
        .arg(&names.group.group)
        .arg(&names.group.consumer)
        .number(entry.id)
        .arg(outcome.reason.as_str())
        .arg(&outcome.error);
    with_fields(call, &entry.fields)
}

/// The words of a script's answer; numbers as text.
pub fn words(reply: &Value) -> Vec<String> {
    let text = |item: &Value| {
        value::bytes(item)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .or_else(|| value::int(item).map(|number| number.to_string()))
            .unwrap_or_default()
    };
    value::items(reply).unwrap_or_default().iter().map(text).collect()
}

pub(super) fn owned<'a>(call: Call<'a>, names: &Names, subject: &Subject) -> Call<'a> {
    call.key(&names.group.stream)
        .key(subject.record())
        .arg(&names.group.group)
        .arg(&names.group.consumer)
        .arg(&subject.entry_id)
        .arg(&subject.workflow_id)
}

/// Appends an entry's fields. An entry without any (it was deleted) still makes a valid XADD.
pub(super) fn with_fields<'a>(call: Call<'a>, fields: &[(Vec<u8>, Vec<u8>)]) -> Call<'a> {
    fields.iter().take(MOST_FIELDS).fold(call, |call, (name, value)| call.arg(name).arg(value))
}
