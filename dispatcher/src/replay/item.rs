//! One entry where it lies, with the record of its incident (pure).

use std::collections::BTreeMap;

use redis_stream::entry::Entry;
use redis_stream::id::EntryId;

use crate::incident::{STEP, record_key};

/// What a dead letter or parked copy has besides the fields of its entry, each once, at the end.
const ADDED: [&str; 7] = ["error", "original_id", "failed_at", "reason", "attempts", "task_id", "context_id"];
/// Longest part of a record's key, bytes.
const LONGEST_NAME: usize = 256;

/// Where an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the stream, read by nobody yet.
    Unread,
    /// In the group's pending list.
    Pending {
        /// Who holds it.
        consumer: String,
        /// Milliseconds since it was delivered, claimed or renewed.
        idle_ms: i64,
        /// How often it was delivered.
        deliveries: i64,
    },
    /// On the stream, done with.
    Acknowledged,
    /// In the waiting stream of an agent that cannot be reached.
    Waiting,
    /// For a person to look at.
    Parked,
    /// A dead letter.
    Dead,
}

/// The dispatch record, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record(pub BTreeMap<String, String>);

impl Record {
    /// A field; empty means absent.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The stream it is in.
    pub stream: String,
    /// What it is there.
    pub place: Place,
    /// Its fields.
    pub entry: Entry,
    /// Its incident's record; `None`: there is none, or the entry names no incident.
    pub record: Option<Record>,
}

impl Item {
    /// A dead letter or a parked copy.
    pub fn is_copy(&self) -> bool {
        matches!(self.place, Place::Dead | Place::Parked)
    }

    /// A field of the entry that is text and not empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.entry.get(name).and_then(text)
    }

    /// A field that was added to a copy.
    pub fn added(&self, name: &str) -> Option<&str> {
        let last = self.entry.fields.iter().rev().find(|(key, _)| key == name.as_bytes());
        last.filter(|_| self.is_copy()).and_then(|(_, value)| text(value))
    }

    /// The incident id, if it can be one.
    pub fn workflow_id(&self) -> Option<&str> {
        workflow_id(&self.entry)
    }

    /// The key of the incident's record.
    pub fn record_key(&self) -> Option<String> {
        record_key_of(&self.entry)
    }

    /// A field of the record.
    pub fn recorded(&self, field: &str) -> Option<&str> {
        self.record.as_ref()?.get(field)
    }

    /// The entry's id on the stream before it became a copy.
    pub fn original_id(&self) -> Option<EntryId> {
        self.added("original_id")?.parse().ok()
    }

    /// The agent: as dispatched, else as asked for.
    pub fn agent(&self) -> Option<&str> {
        self.recorded("agent").or_else(|| self.field("agent_target"))
    }

    /// The task of a copy's run.
    pub fn task_id(&self) -> Option<&str> {
        self.added("task_id").or_else(|| self.recorded("task_id"))
    }

    /// The entry's fields without those that made it a copy: the last one of each such name.
    pub fn original_fields(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut fields = self.entry.fields.clone();
        if self.is_copy() {
            for name in ADDED {
                if let Some(index) = fields.iter().rposition(|(key, _)| key == name.as_bytes()) {
                    fields.remove(index);
                }
            }
        }
        fields
    }
}

/// The incident id of an entry, if it can be one.
pub fn workflow_id(entry: &Entry) -> Option<&str> {
    name(entry, "workflow_id")
}

/// The key of the record of an entry's incident.
pub fn record_key_of(entry: &Entry) -> Option<String> {
    let step = if entry.get("step").is_none_or(<[u8]>::is_empty) { STEP } else { name(entry, "step")? };
    Some(record_key(workflow_id(entry)?, step))
}

fn name<'a>(entry: &'a Entry, field: &str) -> Option<&'a str> {
    let value = entry.get(field).and_then(text)?;
    (value.len() <= LONGEST_NAME && value.bytes().all(|b| b.is_ascii_graphic())).then_some(value)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// An item without a record.
    pub(crate) fn item(place: Place, id: &str, fields: &[(&str, &str)]) -> Item {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        Item { stream: "s".into(), place, entry: Entry { id: id.parse().unwrap(), fields }, record: None }
    }

    /// The same with a record.
    pub(crate) fn recorded(mut item: Item, fields: &[(&str, &str)]) -> Item {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        item.record = Some(Record(fields.collect()));
        item
    }

    /// A pending place.
    pub(crate) fn pending(idle_ms: i64, deliveries: i64) -> Place {
        Place::Pending { consumer: "w-1".into(), idle_ms, deliveries }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::item;
    use super::*;

    #[test]
    fn a_copy_gives_back_exactly_what_its_entry_had() {
        let own = [("workflow_id", "a"), ("reason", "the producer's own"), ("text", "t")];
        let added = [
            ("error", "e"),
            ("original_id", "1-0"),
            ("failed_at", "1"),
            ("reason", "failed"),
            ("attempts", "2"),
            ("task_id", ""),
            ("context_id", "c"),
        ];
        let copy = item(Place::Dead, "2-0", &[own.as_slice(), added.as_slice()].concat());
        assert_eq!(copy.original_fields(), item(Place::Unread, "1-0", &own).entry.fields);
        assert_eq!((copy.added("reason"), copy.field("reason")), (Some("failed"), Some("the producer's own")));
        let entry = item(Place::Unread, "1-0", &added);
        assert_eq!((entry.original_fields(), entry.added("reason")), (entry.entry.fields.clone(), None));
    }

    #[test]
    fn a_letter_of_the_present_system_has_fewer_added_fields() {
        let copy = item(Place::Dead, "2-0", &[("workflow_id", "a"), ("error", "e"), ("original_id", "1-0")]);
        assert_eq!(copy.original_fields(), item(Place::Unread, "1-0", &[("workflow_id", "a")]).entry.fields);
    }

    #[test]
    fn only_possible_names_make_a_key() {
        let key = |fields: &[(&str, &str)]| item(Place::Dead, "1-0", fields).record_key();
        assert_eq!(key(&[("workflow_id", "a")]).as_deref(), Some("incident:dispatch:a-investigation"));
        assert_eq!(key(&[("workflow_id", "a"), ("step", "x")]).as_deref(), Some("incident:dispatch:a-x"));
        assert_eq!(key(&[("workflow_id", "a b")]), None);
        assert_eq!(key(&[("workflow_id", "a"), ("step", "\n")]), None);
        assert_eq!(key(&[]), None);
    }
}
