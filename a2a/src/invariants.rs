//! What holds for every answer, however broken or hostile: the property tests and the fuzz targets check it here.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Value, json};

use crate::classify::{self, Class};
use crate::error::SendError;
use crate::failure::{Cause, Failure};
use crate::judge::judge;
use crate::message::Answer;
use crate::parse::{self, MAX_ID, MAX_MESSAGE_IDS, MAX_NAME, MAX_PAGE_TOKEN};
use crate::retry_after::{self, MAX_RETRY_AFTER};
use crate::rpc_error::{MAX_DETAIL_TEXT, MAX_DETAILS, MAX_MESSAGE, RpcError};
use crate::task::{MAX_STATE, State, Task};
use crate::text::{clean, is_unsafe};
use crate::wire::Wire;

/// The id of the call that the answers are read for.
pub(crate) const CALL_ID: &str = "m-1";
/// Statuses that are judged differently.
const STATUSES: [u16; 9] = [200, 202, 302, 400, 401, 404, 429, 500, 503];

/// A body as the answer to a send, a get and a list, whole and cut, with each status.
pub(crate) fn any_answer(body: &[u8]) {
    for status in STATUSES.iter().filter_map(|status| StatusCode::from_u16(*status).ok()) {
        match judge(status, body, None, CALL_ID) {
            Ok(result) => {
                assert!(is_to_our_call(body), "the result of another call was taken");
                any_result(&result, body.len());
            }
            Err(cause) => any_cause(cause, status, body),
        }
        if let Err(cause) = judge(status, body, Some(Cause::TooLarge(body.len())), CALL_ID) {
            any_cause(cause, status, body);
        }
    }
    if let Ok(text) = std::str::from_utf8(body) {
        any_text(text);
    }
}

/// A value as the result of a call; texts of it are no longer than the body it came in.
pub(crate) fn any_result(result: &Value, size: usize) {
    match parse::answer(result) {
        Some(Answer::Task(task)) => {
            assert_eq!(parse::answer(&json!({"task": unwrapped(result)})), Some(Answer::Task(task.clone())));
            any_task(&task, size);
        }
        Some(Answer::Message(reply)) => {
            assert!(reply.message_id.as_deref().is_none_or(is_id) && reply.context_id.as_deref().is_none_or(is_id));
            is_within(reply.text.as_deref(), size);
        }
        None => {}
    }
    if let Some(task) = parse::task(result) {
        any_task(&task, size);
    }
    if let Some(page) = parse::page(result, Wire::V10) {
        let listed = result.get("tasks").and_then(Value::as_array).map_or(0, Vec::len);
        assert!(page.tasks.len() <= listed && (!page.complete || page.tasks.len() == listed));
        for task in &page.tasks {
            any_task(task, size);
            assert!(!page.complete || !task.message_ids.is_empty());
        }
        assert!(page.next_page_token.is_none_or(|token| is_token(&token, MAX_PAGE_TOKEN)));
    }
}

/// A value as the error object of a call.
pub(crate) fn any_error(error: &Value) {
    for status in STATUSES.iter().filter_map(|status| StatusCode::from_u16(*status).ok()) {
        any_cause(Cause::Rpc(RpcError::parse(error, status)), status, b"");
    }
}

/// A value as an agent card.
pub(crate) fn any_card(value: &Value) {
    if let Some(card) = parse::card(value) {
        assert!(!card.name.is_empty() && is_shown(&card.name, MAX_NAME));
        let [first, rest @ ..] = card.wires.as_slice() else { return };
        assert!(rest.len() <= 1 && !rest.contains(first), "each wire once");
        let is_card = ["supportedInterfaces", "url"].iter().any(|member| value.get(member).is_some());
        assert!(is_card, "a card says where the agent is");
    }
}

/// A text as an error message and as a `Retry-After` header.
pub(crate) fn any_text(text: &str) {
    let shown = clean(text, MAX_MESSAGE);
    assert!(is_shown(&shown, MAX_MESSAGE));
    assert_eq!(clean(&shown, MAX_MESSAGE), shown, "cleaning is done once");
    for wait in [retry_after::parse(text, SystemTime::UNIX_EPOCH), retry_after::milliseconds(text)] {
        assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
    }
}

fn any_cause(cause: Cause, status: StatusCode, body: &[u8]) {
    let failure = Failure::new(Wire::V10, cause, None);
    assert!(failure.retry_after().is_none_or(|wait| wait <= MAX_RETRY_AFTER));
    assert!(failure.details().len() <= MAX_DETAILS);
    for detail in failure.details() {
        let texts = [&detail.reason, &detail.domain, &detail.text].into_iter().flatten();
        assert!(detail.metadata.len() <= MAX_DETAILS);
        let texts = texts.chain(detail.metadata.iter().flat_map(|(key, value)| [key, value]));
        assert!(texts.into_iter().all(|text| is_shown(text, MAX_DETAIL_TEXT)));
    }
    if failure.class() == Class::NotExecuted {
        promises_that_nothing_ran(&failure, status, body);
    }
    if classify::is_version_refused(failure.cause()) {
        assert!(!failure.may_have_run(), "only a refusal may be said again on the other wire");
    }
    let error = SendError::from(failure);
    assert!(is_shown(&error.to_string(), MAX_MESSAGE + 200), "{error}");
    assert_eq!(error.may_have_run(), matches!(error, SendError::Ambiguous(_)));
    assert!(error.left(), "there was an answer");
}

/// The only answers after which a message may be sent again without a look.
fn promises_that_nothing_ran(failure: &Failure, status: StatusCode, body: &[u8]) {
    match failure.cause() {
        Cause::Http(status, text) => {
            assert!(matches!(status.as_u16(), 429 | 503) || *status == 404 && text.contains(" not found"));
            let spoke = serde_json::from_slice::<Value>(body).is_ok_and(|value| value.get("jsonrpc").is_some());
            assert!(!spoke || *status == 404, "what spoke JSON-RPC may be the agent itself");
        }
        Cause::Rpc(error) => {
            let not_passed_on = error.code == -32603 && error.message.contains("dial tcp");
            let in_front = matches!(status.as_u16(), 404 | 429) && error.code != -32603;
            assert!(error.is_not_accepted() || not_passed_on || in_front, "{error:?}");
        }
        cause => unreachable!("{cause:?} after an answer"),
    }
}

fn any_task(task: &Task, size: usize) {
    assert!(is_id(&task.id) && task.context_id.as_deref().is_none_or(is_id));
    assert!(task.message_ids.len() <= MAX_MESSAGE_IDS && task.message_ids.iter().all(|id| is_id(id)));
    is_within(task.status_text.as_deref(), size);
    is_within(task.artifacts_text.as_deref(), size);
    is_within(task.result_text(), size);
    if let State::Unknown(text) = &task.state {
        assert!(is_shown(text, MAX_STATE) && !task.state.is_terminal() && !task.state.is_interrupted());
    }
}

fn is_within(text: Option<&str>, size: usize) {
    assert!(text.is_none_or(|text| !text.is_empty() && text.len() <= size), "a text longer than its source, or empty");
}

fn is_id(text: &str) -> bool {
    is_token(text, MAX_ID)
}

fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

fn is_shown(text: &str, max: usize) -> bool {
    text.len() <= max && !text.chars().any(is_unsafe)
}

/// The task itself, where a server wraps it.
fn unwrapped(result: &Value) -> &Value {
    result.get("task").filter(|task| task.is_object()).unwrap_or(result)
}

fn is_to_our_call(body: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return false };
    value.get("id").is_some_and(|id| id == CALL_ID) && value.get("jsonrpc").is_some()
}
