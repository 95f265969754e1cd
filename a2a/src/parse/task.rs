//! Reading tasks, messages and lists of tasks.

use serde_json::Value;

use super::{items, text};
use crate::message::{Answer, Reply};
use crate::task::{State, Task};

/// Longest id that is taken, in bytes. A longer one is no id but an attack or an accident.
const MAX_ID: usize = 512;
/// Most message ids of a task that are kept.
const MAX_MESSAGE_IDS: usize = 4096;

/// One page of a list of tasks.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) tasks: Vec<Task>,
    pub(crate) next: Option<String>,
    /// Every element could be read and showed the messages it belongs to.
    pub(crate) complete: bool,
}

/// The result of a send: 1.0 wraps it by member name, 0.3 tells by `kind`.
pub(crate) fn answer(result: &Value) -> Option<Answer> {
    if let Some(wrapped) = object(result, "task") {
        return read_task(wrapped).map(Answer::Task);
    }
    if let Some(wrapped) = object(result, "message") {
        return Some(Answer::Message(read_reply(wrapped)));
    }
    let is_message = match text(result, "kind") {
        Some(kind) => kind == "message",
        None => text(result, "messageId").is_some() && result.get("status").is_none(),
    };
    if is_message { Some(Answer::Message(read_reply(result))) } else { read_task(result).map(Answer::Task) }
}

/// The result of a get or cancel: a bare task in both versions, wrapped by some servers.
pub(crate) fn task(result: &Value) -> Option<Task> {
    read_task(object(result, "task").unwrap_or(result))
}

/// The result of a list. An object that has nothing of a list is not taken for an empty one.
pub(crate) fn page(result: &Value) -> Option<Page> {
    let fields = result.as_object()?;
    let is_list = fields.is_empty()
        || ["tasks", "totalSize", "pageSize", "nextPageToken"].iter().any(|member| fields.contains_key(*member));
    if !is_list {
        return None;
    }
    let listed = items(result, "tasks");
    let tasks: Vec<Task> = listed.iter().filter_map(task).collect();
    let complete = tasks.len() == listed.len() && tasks.iter().all(|task| !task.message_ids.is_empty());
    Some(Page { tasks, next: text(result, "nextPageToken").map(str::to_owned), complete })
}

fn object<'a>(value: &'a Value, member: &str) -> Option<&'a Value> {
    value.get(member).filter(|inner| inner.is_object())
}

fn read_task(value: &Value) -> Option<Task> {
    let status = value.get("status").unwrap_or(&Value::Null);
    let status_message = object(status, "message");
    let by_agent = status_message.filter(|message| matches!(text(message, "role"), Some("agent" | "ROLE_AGENT")));
    let state = text(status, "state").unwrap_or_default();
    Some(Task {
        id: id(value, "id")?.to_owned(),
        context_id: id(value, "contextId").map(str::to_owned),
        state: State::parse(state),
        status_text: by_agent.and_then(|message| parts_text(&[message])),
        artifacts_text: parts_text(&items(value, "artifacts").iter().collect::<Vec<_>>()),
        message_ids: items(value, "history")
            .iter()
            .chain(status_message)
            .filter_map(|message| id(message, "messageId"))
            .take(MAX_MESSAGE_IDS)
            .map(str::to_owned)
            .collect(),
    })
}

fn read_reply(value: &Value) -> Reply {
    Reply {
        message_id: id(value, "messageId").map(str::to_owned),
        context_id: id(value, "contextId").map(str::to_owned),
        text: parts_text(&[value]),
    }
}

/// An id that can be stored, logged and sent back.
fn id<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    text(value, member).filter(|id| id.len() <= MAX_ID && !id.chars().any(char::is_control))
}

/// The text parts of all holders, one per line.
fn parts_text(holders: &[&Value]) -> Option<String> {
    let texts: Vec<&str> =
        holders.iter().flat_map(|holder| items(holder, "parts")).filter_map(|part| text(part, "text")).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
