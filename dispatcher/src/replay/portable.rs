//! An incident as a line of JSON, and back (pure).

use daemon::escape;
use redis_stream::entry::Entry;
use redis_stream::id::EntryId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item::{Item, Place};
use crate::incident::{Order, Text};
use crate::outbox::item::Raw;

/// Version of the form; a later one is refused.
const VERSION: u32 = 1;
/// A script cannot unpack more arguments than this.
const MOST_FIELDS: usize = 3_000;

/// One incident. The last five fields are those of its record, where they matter for going on with its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portable {
    /// Version of this form.
    v: u32,
    /// Where it was: pending, stuck, waiting, parked, dead.
    state: String,
    /// Its entry id there.
    entry_id: String,
    /// The entry's fields, without those that made it a copy.
    fields: Vec<(Raw, Raw)>,
    /// The message text, where the entry has it under a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact: Option<String>,
    /// Why it was a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The words with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default)]
    record_state: String,
    #[serde(default)]
    message_id: String,
    #[serde(default)]
    context_id: String,
    #[serde(default)]
    task_id: String,
    #[serde(default)]
    wire: String,
    #[serde(default)]
    agent: String,
}

/// What is put onto a stream of an incident that Redis does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Incident id and step.
    pub order: Order,
    /// Its entry.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Key and message text, where it was under a key.
    pub artifact: Option<(String, String)>,
    /// `queued`, `sending` or `accepted`: what may have reached the agent is not simply sent again.
    pub state: &'static str,
    /// Message id of its run.
    pub message_id: String,
    /// Its context; may be empty.
    pub context_id: String,
    /// Its task; may be empty.
    pub task_id: String,
    /// The agent's version; may be empty.
    pub wire: String,
    /// `namespace/agent`; may be empty.
    pub agent: String,
}

impl Portable {
    /// Of an entry. `state`: the word for its place; `artifact`: the text under its key.
    pub fn of(item: &Item, state: &str, artifact: Option<String>) -> Self {
        let raw = |(name, value): &(Vec<u8>, Vec<u8>)| (Raw::from(&**name), Raw::from(&**value));
        let recorded = |field: &str| item.recorded(field).unwrap_or_default().to_owned();
        Self {
            v: VERSION,
            state: state.to_owned(),
            entry_id: item.entry.id.to_string(),
            fields: item.original_fields().iter().map(raw).collect(),
            artifact,
            reason: item.added("reason").map(str::to_owned),
            error: item.added("error").map(str::to_owned),
            record_state: recorded("state"),
            message_id: recorded("message_id"),
            context_id: recorded("context_id"),
            task_id: recorded("task_id"),
            wire: recorded("wire"),
            agent: recorded("agent"),
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        escape::json(&serde_json::to_value(self).unwrap_or(Value::Null))
    }

    /// Reads a line; the error is for a person.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let portable: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match portable.v {
            VERSION => Ok(portable),
            v => Err(format!("version {v} of the form is not known, only {VERSION} is")),
        }
    }

    /// What goes onto the stream; the error says why it would only be a dead letter.
    pub fn arrival(self) -> Result<Arrival, String> {
        let fields: Vec<_> =
            self.fields.iter().map(|(name, value)| (name.as_bytes().to_owned(), value.as_bytes().to_owned())).collect();
        if fields.len() > MOST_FIELDS {
            return Err(format!("it has {} fields, at most {MOST_FIELDS} can be written", fields.len()));
        }
        let entry = Entry { id: EntryId::ZERO, fields };
        let order = Order::decode(&entry).map_err(|error| error.to_string())?;
        let artifact = match (&order.text, self.artifact) {
            (Text::Artifact(key), Some(text)) => Some((key.clone(), text)),
            _ => None,
        };
        let message_id = if self.message_id.is_empty() { order.message_id() } else { self.message_id };
        let fresh = Arrival {
            order,
            fields: entry.fields,
            artifact,
            state: "queued",
            message_id,
            context_id: String::new(),
            task_id: String::new(),
            wire: String::new(),
            agent: String::new(),
        };
        Ok(match (self.state.as_str(), self.record_state.as_str()) {
            ("dead" | "parked", _) => Arrival { message_id: next_run(&fresh.message_id), ..fresh },
            (_, "accepted") if !self.task_id.is_empty() => Arrival {
                state: "accepted",
                context_id: self.context_id,
                task_id: self.task_id,
                wire: self.wire,
                agent: self.agent,
                ..fresh
            },
            (_, "sending" | "accepted") => Arrival { state: "sending", context_id: self.context_id, ..fresh },
            _ => fresh,
        })
    }
}

/// The message id of a deliberate new run: an agent that recognises a repeated message runs it again.
fn next_run(message_id: &str) -> String {
    let run = message_id.rsplit_once("-r").and_then(|(base, run)| Some((base, run.parse::<u32>().ok()?)));
    match run {
        Some((base, run)) => format!("{base}-r{}", run.saturating_add(1)),
        None => format!("{message_id}-r1"),
    }
}

/// The key that holds the message text of an entry, if it is under one.
pub fn artifact_key(item: &Item) -> Option<String> {
    let entry = Entry { id: item.entry.id, fields: item.original_fields() };
    match Order::decode(&entry).ok()?.text {
        Text::Artifact(key) => Some(key),
        Text::Inline | Text::Missing => None,
    }
}

/// Whether an entry can be carried over: one that was deleted while it was pending cannot.
pub fn is_portable(item: &Item) -> bool {
    !(item.entry.fields.is_empty() && matches!(item.place, Place::Pending { .. }))
}

#[cfg(test)]
mod tests {
    use super::super::item::samples::{item, pending, recorded};
    use super::*;
    use proptest::prelude::*;

    const ID: (&str, &str) = ("workflow_id", "am-1");

    fn carried(item: &Item, state: &str) -> Result<Arrival, String> {
        Portable::parse(Portable::of(item, state, None).line().as_bytes())?.arrival()
    }

    #[test]
    fn a_run_that_began_is_gone_on_with() {
        let run = |state, task| {
            let record =
                [("state", state), ("task_id", task), ("message_id", "m-r2"), ("context_id", "c"), ("wire", "1.0")];
            carried(&recorded(item(pending(0, 1), "1-0", &[ID]), &record), "pending").unwrap()
        };
        let accepted = run("accepted", "t");
        assert_eq!(
            (accepted.state, accepted.task_id.as_str(), accepted.message_id.as_str()),
            ("accepted", "t", "m-r2")
        );
        assert_eq!((run("accepted", "").state, run("sending", "").state), ("sending", "sending"));
        assert_eq!((run("queued", "").state, run("queued", "").context_id.as_str()), ("queued", ""));
    }

    #[test]
    fn what_has_ended_is_a_new_run_without_what_made_it_a_copy() {
        let fields = [ID, ("text", "t"), ("error", "e"), ("original_id", "1-0"), ("reason", "failed")];
        let arrival = carried(&recorded(item(Place::Dead, "2-0", &fields), &[("state", "dead")]), "dead").unwrap();
        assert_eq!((arrival.state, arrival.message_id.as_str()), ("queued", "am-1-investigation-r1"));
        assert_eq!(arrival.fields.len(), 2);
        assert_eq!((next_run("x-r9"), next_run("x-run")), ("x-r10".to_owned(), "x-run-r1".to_owned()));
    }

    #[test]
    fn lines_that_cannot_be_used_say_why() {
        let error = |line: &str| Portable::parse(line.as_bytes()).and_then(Portable::arrival).unwrap_err();
        assert!(error("{").contains("EOF"));
        assert!(error(r#"{"v":2,"state":"dead","entry_id":"1-0","fields":[]}"#).contains("version 2"));
        let line = r#"{"v":1,"state":"dead","entry_id":"1-0","fields":[["junk","1"]]}"#;
        assert!(error(line).contains("workflow_id is missing"));
        let line = r#"{"v":1,"state":"dead","entry_id":"1-0","fields":[["workflow_id","a"],["artifact_key","secrets"]],"artifact":"x"}"#;
        assert!(error(line).contains("artifact_key must begin"));
    }

    proptest! {
        #[test]
        fn fields_arrive_as_they_were(value: Vec<u8>) {
            let mut item = item(Place::Waiting, "1-0", &[ID]);
            item.entry.fields.push((b"odd".to_vec(), value));
            prop_assert_eq!(carried(&item, "waiting").unwrap().fields, item.entry.fields);
        }

        #[test]
        fn any_line_is_read_or_refused(line: Vec<u8>) {
            let _ = Portable::parse(&line).and_then(Portable::arrival);
        }
    }
}
