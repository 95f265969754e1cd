//! What became of an entry that an operator wants changed, and the steps that all changes have.

use std::time::Duration;

use http::HeaderMap;
use redis_stream::connection::Link;
use redis_stream::error::{Class, Error};
use redis_stream::script::Call;

use super::item::Item;
use crate::dispatch::agents::Agents;
use crate::dispatch::record;

/// How long a way to Redis is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A script cannot unpack more arguments than this.
pub(super) const MOST_FIELDS: usize = 3_000;
/// Why nothing is done about some records.
pub(super) const NEWER: &str = "a later version of this program wrote its record";

/// What became of an entry; the texts are for a person and hold text from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// What was asked for.
    Done(String),
    /// It was left as it is.
    Skipped(String),
    /// It cannot be done.
    Failed(String),
}

/// Calls a script; a second time where the first had no answer.
pub(super) async fn twice(link: &Link, call: &Call<'_>) -> Result<Vec<String>, Error> {
    let reply = match link.session(PATIENCE).await?.invoke(call).await {
        Err(error) if error.class() == Class::Reconnect => link.session(PATIENCE).await?.invoke(call).await,
        reply => reply,
    };
    Ok(record::words(&reply?))
}

/// Cancels an open task, once, as well as it can be done: one that stays open harms nobody. Answers what to say.
pub(super) async fn cancel_task(agents: &Agents, item: &Item, task: &str) -> String {
    let Some(Ok(contact)) = item.agent().map(|agent| agents.find(agent)) else {
        return format!("its open task {task} stays: no agent is named; ");
    };
    match contact.agent.cancel(task, &HeaderMap::new()).await {
        Ok(_) => format!("its open task {task} was canceled; "),
        Err(error) => format!("its open task {task} stays: {error}; "),
    }
}
