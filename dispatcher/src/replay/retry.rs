//! Doing what a plan says, for one entry at a time. Each step is one script that looks again at how
//! things are, so it can be repeated.

use std::sync::Arc;

use redis_stream::connection::Link;
use redis_stream::error::Error;
use redis_stream::lease::HEIR;

use super::did::{Did, MOST_FIELDS, NEWER, cancel_task, twice};
use super::filter::Now;
use super::item::Item;
use super::plan::{Plan, plan};
use crate::dispatch::agents::Agents;
use crate::dispatch::names::Names;
use crate::dispatch::scripts;
use crate::incident::RECORD_PREFIX;

/// Retries entries.
pub struct Retrier {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// For tasks that are still open.
    pub agents: Arc<Agents>,
    /// Also what somebody is at work on, or what has settled since.
    pub force: bool,
}

impl Retrier {
    /// What a retry would do, in words.
    pub fn preview(&self, item: &Item, now: Now) -> Did {
        match plan(item, now, self.force) {
            Plan::HandOver => Did::Done("would be claimable at once".to_owned()),
            Plan::BringBack => Did::Done("would go back to the stream".to_owned()),
            Plan::Again { cancel: None, .. } => Did::Done("would run again".to_owned()),
            Plan::Again { cancel: Some(task), .. } => {
                Did::Done(format!("would run again, its open task {task} would be canceled first"))
            }
            Plan::Skip(why) => Did::Skipped(why),
            Plan::Fail(why) => Did::Failed(why),
        }
    }

    /// Retries one entry.
    pub async fn retry(&self, item: &Item, now: Now) -> Result<Did, Error> {
        match plan(item, now, self.force) {
            Plan::HandOver => self.hand_over(item, now).await,
            Plan::BringBack => self.bring_back(item).await,
            Plan::Again { message_id, cancel } => {
                let note = match cancel {
                    Some(task) => cancel_task(&self.agents, item, &task).await,
                    None => String::new(),
                };
                self.again(item, &message_id, &note).await
            }
            Plan::Skip(why) => Ok(Did::Skipped(why)),
            Plan::Fail(why) => Ok(Did::Failed(why)),
        }
    }

    async fn hand_over(&self, item: &Item, now: Now) -> Result<Did, Error> {
        let call = scripts::HAND_OVER
            .call()
            .key(&self.names.group.stream)
            .arg(&self.names.group.group)
            .arg(HEIR)
            .number(now.lease.as_millis())
            .number(u8::from(self.force))
            .number(item.entry.id);
        let words = twice(&self.link, &call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["given", holder] => Did::Done(format!("taken from {holder}, claimable at once")),
            ["already"] => Did::Skipped("claimable already: the next free worker takes it".to_owned()),
            ["busy", holder, idle] => Did::Skipped(format!("in progress: {holder} renewed it {idle}ms ago")),
            ["deleted"] => Did::Skipped("the entry was deleted from the stream".to_owned()),
            ["gone"] => Did::Skipped("not pending any more".to_owned()),
            _ => return Err(Error::unexpected("script HAND_OVER", &words)),
        })
    }

    async fn bring_back(&self, item: &Item) -> Result<Did, Error> {
        let call = scripts::BRING_BACK
            .call()
            .key(&self.names.group.stream)
            .key(item.record_key().unwrap_or_default())
            .key(&item.stream)
            .key(self.names.waiting_set())
            .key(self.names.agent_keys(&self.names.agent_of(&item.stream).unwrap_or_default()).health)
            .number(item.entry.id)
            .arg(item.record_key().as_deref().and_then(|key| key.strip_prefix(RECORD_PREFIX)).unwrap_or_default());
        let words = twice(&self.link, &call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["back", id] => Did::Done(format!("back on the stream as {id}")),
            ["final", state] => Did::Skipped(format!("{state} already")),
            ["gone"] => Did::Skipped("not waiting any more".to_owned()),
            ["newer"] => Did::Skipped(NEWER.to_owned()),
            _ => return Err(Error::unexpected("script BRING_BACK", &words)),
        })
    }

    async fn again(&self, item: &Item, message_id: &str, note: &str) -> Result<Did, Error> {
        let call = scripts::RETRY
            .call()
            .key(item.record_key().unwrap_or_default())
            .key(&self.names.group.stream)
            .key(&item.stream)
            .number(item.entry.id)
            .arg(message_id)
            .number(u8::from(self.force));
        let fields = item.original_fields();
        let call = fields.iter().take(MOST_FIELDS).fold(call, |call, (name, value)| call.arg(name).arg(value));
        let words = twice(&self.link, &call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["retried", id] => Did::Done(format!("{note}back on the stream as {id}")),
            ["running", state] => Did::Skipped(format!("{note}a later run is {state}")),
            ["settled"] => Did::Skipped(format!("{note}a later run has settled it")),
            ["gone"] => Did::Skipped(format!("{note}retried or removed by somebody else")),
            ["newer"] => Did::Skipped(format!("{note}{NEWER}")),
            _ => return Err(Error::unexpected("script RETRY", &words)),
        })
    }
}
