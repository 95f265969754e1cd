//! Doing what a plan says, for one entry at a time. Each step is one script that looks again at how
//! things are, so it can be repeated.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use redis_stream::connection::Link;
use redis_stream::error::{Class, Error};
use redis_stream::lease::HEIR;
use redis_stream::script::Call;

use super::filter::Now;
use super::item::Item;
use super::plan::{Plan, plan};
use crate::dispatch::agents::Agents;
use crate::dispatch::names::Names;
use crate::dispatch::{record, scripts};
use crate::incident::RECORD_PREFIX;

/// How long a way to Redis is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A script cannot unpack more arguments than this.
const MOST_FIELDS: usize = 3_000;

/// What became of an entry; the texts are for a person and hold text from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// It will run, or run again.
    Retried(String),
    /// It was left as it is.
    Skipped(String),
    /// It cannot be retried.
    Failed(String),
}

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
            Plan::HandOver => Did::Retried("would be claimable at once".to_owned()),
            Plan::BringBack => Did::Retried("would go back to the stream".to_owned()),
            Plan::Again { cancel: None, .. } => Did::Retried("would run again".to_owned()),
            Plan::Again { cancel: Some(task), .. } => {
                Did::Retried(format!("would run again, its open task {task} would be canceled first"))
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
                    Some(task) => self.cancel(item, &task).await,
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
        let words = self.twice(&call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["given", holder] => Did::Retried(format!("taken from {holder}, claimable at once")),
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
        let words = self.twice(&call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["back", id] => Did::Retried(format!("back on the stream as {id}")),
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
        let words = self.twice(&call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["retried", id] => Did::Retried(format!("{note}back on the stream as {id}")),
            ["running", state] => Did::Skipped(format!("{note}a later run is {state}")),
            ["settled"] => Did::Skipped(format!("{note}a later run has settled it")),
            ["gone"] => Did::Skipped(format!("{note}retried or removed by somebody else")),
            ["newer"] => Did::Skipped(format!("{note}{NEWER}")),
            _ => return Err(Error::unexpected("script RETRY", &words)),
        })
    }

    /// Once, as well as it can be done: a task that stays open harms nobody. Answers what to say.
    async fn cancel(&self, item: &Item, task: &str) -> String {
        let Some(Ok(contact)) = item.agent().map(|agent| self.agents.find(agent)) else {
            return format!("its open task {task} stays: no agent is named; ");
        };
        match contact.agent.cancel(task, &HeaderMap::new()).await {
            Ok(_) => format!("its open task {task} was canceled; "),
            Err(error) => format!("its open task {task} stays: {error}; "),
        }
    }

    /// A second time where the first had no answer.
    async fn twice(&self, call: &Call<'_>) -> Result<Vec<String>, Error> {
        let reply = match self.link.session(PATIENCE).await?.invoke(call).await {
            Err(error) if error.class() == Class::Reconnect => self.link.session(PATIENCE).await?.invoke(call).await,
            reply => reply,
        };
        Ok(record::words(&reply?))
    }
}

const NEWER: &str = "a later version of this program wrote its record";
