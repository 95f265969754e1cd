//! Reading tasks, messages and lists of tasks.

use serde_json::Value;

use super::{is_blank, items, text};
use crate::message::{Answer, Reply};
use crate::page::Page;
use crate::task::{State, Task};
use crate::wire::{HISTORY_LENGTH, Wire};

/// Longest id that is taken, in bytes. A longer one is no id but an attack or an accident.
pub(crate) const MAX_ID: usize = 512;
/// Longest page token that is taken, in bytes: it is sent back as it is.
pub(crate) const MAX_PAGE_TOKEN: usize = 4096;
/// Most message ids of a task that are kept.
pub(crate) const MAX_MESSAGE_IDS: usize = 4096;

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
pub(crate) fn page(result: &Value, wire: Wire) -> Option<Page> {
    let fields = result.as_object()?;
    let is_list = fields.is_empty()
        || ["tasks", "totalSize", "pageSize", "nextPageToken"].iter().any(|member| fields.contains_key(*member));
    let has_no_list = fields.get("tasks").is_some_and(|tasks| !tasks.is_array() && !is_blank(tasks));
    if !is_list || has_no_list {
        return None;
    }
    let listed = items(result, "tasks");
    let tasks: Vec<Task> = listed.iter().filter_map(task).collect();
    let token = fields.get("nextPageToken").filter(|token| !is_blank(token));
    let next_page_token = bounded(result, "nextPageToken", MAX_PAGE_TOKEN).map(str::to_owned);
    let complete = tasks.len() == listed.len()
        && listed.iter().all(shows_all_messages)
        && tasks.iter().all(|task| !task.message_ids.is_empty())
        && token.is_some() == next_page_token.is_some();
    Some(Page { tasks, next_page_token, complete, wire })
}

/// A history of just the length that was asked for may be the end of a longer one.
fn shows_all_messages(listed: &Value) -> bool {
    let history = items(object(listed, "task").unwrap_or(listed), "history").len();
    history != HISTORY_LENGTH as usize && history < MAX_MESSAGE_IDS
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
    bounded(value, member, MAX_ID)
}

fn bounded<'a>(value: &'a Value, member: &str, max: usize) -> Option<&'a str> {
    text(value, member).filter(|text| text.len() <= max && !text.chars().any(char::is_control))
}

/// The text parts of all holders, one per line.
fn parts_text(holders: &[&Value]) -> Option<String> {
    let texts: Vec<&str> =
        holders.iter().flat_map(|holder| items(holder, "parts")).filter_map(|part| text(part, "text")).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
