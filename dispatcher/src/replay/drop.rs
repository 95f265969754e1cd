//! Giving an incident up: a dead letter with reason `dropped`, one script for each entry.

use std::sync::Arc;

use redis_stream::connection::Link;
use redis_stream::error::Error;

use super::did::{Did, MOST_FIELDS, NEWER, cancel_task, twice};
use super::filter::Now;
use super::item::{Item, Place};
use super::row::time;
use crate::dispatch::agents::{AgentName, Agents};
use crate::dispatch::names::{KEEP_FINAL, Names, OUTCOMES, OUTCOMES_CAP};
use crate::dispatch::scripts;
use crate::incident::STEP;

/// Drops entries.
pub struct Dropper {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// For tasks that are still open.
    pub agents: Arc<Agents>,
    /// Namespace of an agent that is named without one.
    pub namespace: String,
    /// Also what somebody is at work on.
    pub force: bool,
    /// Why, for the dead letter.
    pub reason: String,
}

/// Why an entry is left as it is; `None`: it can be dropped.
fn obstacle(item: &Item, now: Now, force: bool) -> Option<String> {
    match &item.place {
        Place::Dead => Some("a dead letter already".to_owned()),
        Place::Acknowledged => {
            let state = item.recorded("state").unwrap_or("without a record");
            Some(format!("acknowledged already ({state})"))
        }
        Place::Pending { .. } if item.entry.fields.is_empty() => {
            Some("the entry was deleted from the stream; workers drop it".to_owned())
        }
        Place::Pending { consumer, idle_ms, .. } if now.in_progress(*idle_ms) && !force => {
            let ago = time(*idle_ms);
            Some(format!("in progress: {consumer} renewed it {ago} ago (--force drops it all the same)"))
        }
        Place::Pending { .. } | Place::Unread | Place::Waiting | Place::Parked => None,
    }
}

/// The task that may still be open at the agent.
fn open_task(item: &Item) -> Option<&str> {
    match item.recorded("state") {
        Some("accepted" | "parked") => item.task_id(),
        None if item.place == Place::Parked => item.task_id(),
        _ => None,
    }
}

impl Dropper {
    /// What a drop would do, in words.
    pub fn preview(&self, item: &Item, now: Now) -> Did {
        match (obstacle(item, now, self.force), open_task(item)) {
            (Some(why), _) => Did::Skipped(why),
            (None, Some(task)) => Did::Done(format!("would be a dead letter, its open task {task} would be canceled")),
            (None, None) => Did::Done("would be a dead letter".to_owned()),
        }
    }

    /// Drops one entry. Its task is canceled afterwards: then no worker is told of a run that was canceled.
    pub async fn drop(&self, item: &Item, now: Now) -> Result<Did, Error> {
        if let Some(why) = obstacle(item, now, self.force) {
            return Ok(Did::Skipped(why));
        }
        let words = self.give_up(item, now).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["dropped", copy] => {
                let note = match open_task(item) {
                    Some(task) => cancel_task(&self.agents, item, task).await,
                    None => String::new(),
                };
                Did::Done(format!("{note}a dead letter as {copy}"))
            }
            ["busy", holder, idle] => Did::Skipped(format!("in progress: {holder} renewed it {idle}ms ago")),
            ["final", state] => Did::Skipped(format!("{state} already")),
            ["running", state] => Did::Skipped(format!("a later run is {state}")),
            ["gone"] => Did::Skipped("not there any more".to_owned()),
            ["newer"] => Did::Skipped(NEWER.to_owned()),
            _ => return Err(Error::unexpected("script DROP", &words)),
        })
    }

    async fn give_up(&self, item: &Item, now: Now) -> Result<Vec<String>, Error> {
        let record_key = item.record_key().unwrap_or_default();
        let workflow_id = item.workflow_id().filter(|_| !record_key.is_empty()).unwrap_or_default();
        let step = item.field("step").unwrap_or(STEP);
        let target = item.agent().unwrap_or_default();
        let agent =
            AgentName::parse(target, &self.namespace).map_or_else(|_| target.to_owned(), |agent| agent.to_string());
        let keys = self.names.agent_keys(&agent);
        let original = item.original_id().unwrap_or(item.entry.id);
        let call = scripts::DROP
            .call()
            .key(&self.names.group.stream)
            .key(record_key)
            .key(OUTCOMES)
            .key(&self.names.dead_letters)
            .key(&item.stream)
            .key(self.names.waiting_set())
            .key(keys.health)
            .key(keys.runs)
            .arg(&self.names.group.group)
            .number(item.entry.id)
            .arg(workflow_id)
            .arg(step)
            .arg(format!("{workflow_id}-{step}"))
            .number(now.lease.as_millis())
            .number(u8::from(self.force))
            .number(u8::from(item.place == Place::Parked))
            .arg(format!("dropped by an operator: {}", self.reason))
            .number(original)
            .arg(agent)
            .number(KEEP_FINAL.as_secs())
            .number(OUTCOMES_CAP);
        let fields = item.original_fields();
        let call = fields.iter().take(MOST_FIELDS).fold(call, |call, (name, value)| call.arg(name).arg(value));
        twice(&self.link, &call).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::item::samples::{item, pending, recorded};
    use super::*;

    const NOW: Now = Now { ms: 1_000_000, lease: Duration::from_secs(30) };
    const ID: (&str, &str) = ("workflow_id", "am-1");

    #[test]
    fn what_is_left_as_it_is() {
        let rows = [
            (pending(30_000, 1), true, true),
            (pending(100, 1), false, true),
            (Place::Waiting, true, true),
            (Place::Parked, true, true),
            (Place::Unread, true, true),
            (Place::Dead, false, false),
            (Place::Acknowledged, false, false),
        ];
        for (place, plain, forced) in rows {
            let item = item(place, "1-0", &[ID]);
            assert_eq!((obstacle(&item, NOW, false).is_none(), obstacle(&item, NOW, true).is_none()), (plain, forced));
        }
        assert!(obstacle(&item(pending(30_000, 1), "1-0", &[]), NOW, true).is_some());
    }

    #[test]
    fn only_an_open_task_is_canceled() {
        let run = |state| recorded(item(pending(30_000, 1), "1-0", &[ID]), &[("state", state), ("task_id", "t")]);
        assert_eq!((open_task(&run("accepted")), open_task(&run("sending"))), (Some("t"), None));
        assert_eq!(open_task(&item(Place::Parked, "1-0", &[ID, ("task_id", "t")])), Some("t"));
        assert_eq!(open_task(&item(Place::Waiting, "1-0", &[ID])), None);
    }
}
