//! Everything about one incident.

use redis::{Cmd, Pipeline};
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::value;
use serde_json::{Map, Value, json};

use super::filter::Now;
use super::find;
use super::id::Id;
use super::item::{Item, Record};
use super::row::Row;
use super::scan;
use crate::dispatch::names::Names;
use crate::incident::{STEP, record_key, result_key};

/// Longest answer that is read, bytes; as much as is kept.
const LONGEST_ANSWER: usize = 64 * 1024;

/// An incident, as far as it is known.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// Its id; `None` for an entry that names no incident.
    pub workflow_id: Option<String>,
    /// Its entries and copies, live ones first.
    pub items: Vec<Item>,
    /// The key of its record.
    pub record_key: Option<String>,
    /// Its record.
    pub record: Option<Record>,
    /// What the agent answered.
    pub answer: Option<Answer>,
}

/// The agent's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The words.
    pub text: String,
    /// As much as is kept; otherwise only their first bytes, which the record has.
    pub whole: bool,
}

impl Portrait {
    /// Gathers what is known; `None`: nothing.
    pub async fn gather(session: &Session, names: &Names, id: &Id, now: Now) -> Result<Option<Self>, Error> {
        let mut items = found(session, names, id, now).await?;
        let workflow_id = match id {
            Id::Workflow(id) => Some(id.clone()),
            Id::Entry(_) => items.first().and_then(Item::workflow_id).map(str::to_owned),
        };
        if let (Id::Entry(_), Some(workflow_id)) = (id, &workflow_id) {
            // The entry's incident can lie in other places too.
            let more = found(session, names, &Id::Workflow(workflow_id.clone()), now).await?;
            let known: Vec<_> = items.iter().map(|item| (item.stream.clone(), item.entry.id)).collect();
            items.extend(more.into_iter().filter(|item| !known.contains(&(item.stream.clone(), item.entry.id))));
        }
        let record_key = items
            .iter()
            .find_map(Item::record_key)
            .or_else(|| workflow_id.as_deref().map(|workflow_id| record_key(workflow_id, STEP)));
        let (record, kept) = match (&record_key, &workflow_id) {
            (Some(key), Some(workflow_id)) => record_and_answer(session, key, workflow_id).await?,
            _ => (None, None),
        };
        if items.is_empty() && record.is_none() && kept.is_none() {
            return Ok(None);
        }
        let head = record.as_ref().and_then(|record| record.get("result_head")).map(str::to_owned);
        let answer =
            kept.map(|text| Answer { text, whole: true }).or_else(|| head.map(|text| Answer { text, whole: false }));
        Ok(Some(Self { workflow_id, items, record_key, record, answer }))
    }

    /// The last error that was written down: the newest copy's.
    pub fn last_error(&self) -> Option<&str> {
        let newest = self.items.iter().filter(|item| item.added("error").is_some()).max_by_key(|item| item.entry.id);
        newest.and_then(|item| item.added("error"))
    }

    /// One object. Bytes that are not UTF-8 are replaced.
    pub fn json(&self, now: Now) -> Value {
        let place = |item: &Item| {
            let mut row = Row::of(item, now).json();
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields: Vec<_> =
                item.entry.fields.iter().map(|(name, value)| json!([lossy(name), lossy(value)])).collect();
            if let Some(row) = row.as_object_mut() {
                row.insert("fields".to_owned(), Value::Array(fields));
            }
            row
        };
        let record = self
            .record
            .as_ref()
            .map(|record| record.0.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>());
        json!({
            "workflow_id": self.workflow_id,
            "places": self.items.iter().map(place).collect::<Vec<_>>(),
            "record": record,
            "answer": self.answer.as_ref().map(|answer| &answer.text),
            "answer_is_whole": self.answer.as_ref().map(|answer| answer.whole),
            "last_error": self.last_error(),
        })
    }
}

async fn found(session: &Session, names: &Names, id: &Id, now: Now) -> Result<Vec<Item>, Error> {
    let found = find::find(session, names, std::slice::from_ref(id), now).await?;
    Ok(found.into_iter().flat_map(|found| found.items).collect())
}

async fn record_and_answer(
    session: &Session,
    key: &str,
    workflow_id: &str,
) -> Result<(Option<Record>, Option<String>), Error> {
    let mut pipeline = Pipeline::new();
    let mut answer = Cmd::new();
    answer.arg("GETRANGE").arg(result_key(workflow_id)).arg(0).arg(LONGEST_ANSWER - 1);
    pipeline.cmd("HGETALL").arg(key);
    pipeline.add_command(answer);
    let mut replies = session.pipe(&pipeline).await?.into_iter();
    let mut next = || replies.next().and_then(Result::ok);
    let record = next().as_ref().and_then(scan::record);
    let answer = next().as_ref().and_then(value::bytes).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok((record, answer.filter(|text| !text.is_empty())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::item::Place;
    use super::super::item::samples::item;
    use super::*;

    #[test]
    fn the_newest_copy_has_the_last_error() {
        let copy = |id, error| item(Place::Dead, id, &[("workflow_id", "am-1"), ("error", error)]);
        let producers_own = item(Place::Unread, "99-0", &[("workflow_id", "am-1"), ("error", "not ours")]);
        let items = vec![copy("9-0", "old"), copy("10-0", "new"), producers_own];
        let portrait =
            Portrait { workflow_id: Some("am-1".into()), items, record_key: None, record: None, answer: None };
        assert_eq!(portrait.last_error(), Some("new"));
        let json = portrait.json(Now { ms: 0, lease: Duration::from_secs(1) });
        assert_eq!(json["places"][0]["fields"][0], json!(["workflow_id", "am-1"]));
        assert_eq!(json["record"], Value::Null);
    }
}
