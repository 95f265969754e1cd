//! Reading answers: tolerant of both versions' shapes on either wire.
//!
//! Unknown members and members of another type than expected count as absent,
//! and so do empty texts and lists, which some servers write for everything they have no value for.

mod card;
mod task;

use http::StatusCode;
use serde_json::Value;

use crate::rpc_error::RpcError;

pub(crate) use card::card;
pub(crate) use task::{answer, page, task};
#[cfg(any(test, fuzzing))]
pub(crate) use {
    card::MAX_NAME,
    task::{MAX_ID, MAX_MESSAGE_IDS, MAX_PAGE_TOKEN},
};

/// What the body of an answer turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Envelope {
    /// The `result` of our call.
    Result(Value),
    /// The `error` of our call.
    Error(RpcError),
    /// JSON-RPC, but no answer to our call; says what is wrong.
    Foreign(&'static str),
    /// No JSON-RPC; says what it is.
    None(&'static str),
}

/// Reads a JSON-RPC answer to the call with this id, whatever the status and the content type.
pub(crate) fn envelope(body: &[u8], status: StatusCode, id: &str) -> Envelope {
    if body.trim_ascii().is_empty() {
        return Envelope::None("the body is empty");
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return Envelope::None("the body is not JSON");
    };
    if value.get("jsonrpc").is_none() {
        return Envelope::None("the body is not a JSON-RPC answer");
    }
    let error = value.get("error").filter(|error| !is_blank(error));
    match value.get("id") {
        Some(Value::String(text)) if text == id => {}
        Some(Value::Number(number)) if number.to_string() == id => {}
        // A server that could not read the call, or broke down, does not know its id.
        None | Some(Value::Null) if error.is_some() => {}
        _ => return Envelope::Foreign("the answer is to another call"),
    }
    if let Some(error) = error {
        return Envelope::Error(RpcError::parse(error, status));
    }
    match value.get_mut("result").map(Value::take) {
        None | Some(Value::Null) => Envelope::Foreign("the answer has neither result nor error"),
        Some(result) => Envelope::Result(result),
    }
}

/// A member that is a text and not empty.
fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What servers write for a value they do not have.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The elements of a member that is a list.
fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[path = "parse/tests.rs"]
mod tests;
