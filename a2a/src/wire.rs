//! The two wires (protocol versions) and how a call is written on each.

mod v03;
mod v10;

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::message::{Mode, Outgoing};

/// How many messages of a task's history are asked for when looking for one of ours.
///
/// Servers return the newest ones, and ours is the oldest of its task: a small number would hide it.
pub(crate) const HISTORY_LENGTH: u32 = 100;

/// A version of the A2A protocol as it is spoken on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// A2A 0.3 (`message/send`, `tasks/get`, objects with a `kind`).
    V03,
    /// A2A 1.0 (`SendMessage`, `GetTask`, JSON form of the protobuf messages).
    V10,
}

/// Which version to speak to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// Find out: 1.0 first, as only there every server can list its tasks.
    ///
    /// Three answers prove that nothing ran and switch to the other version once: JSON-RPC -32009,
    /// JSON-RPC -32601 on the method called, and HTTP 400 with a text that names `A2A-Version`.
    #[default]
    Auto,
    /// Always this one; a refusal of the version is an error.
    Fixed(Wire),
}

/// The text is none of `auto`, `0.3` and `1.0`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown A2A version: use auto, 0.3 or 1.0")]
pub struct UnknownVersion;

impl Wire {
    /// The value of the `A2A-Version` header: `0.3` or `1.0`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V03 => "0.3",
            Self::V10 => "1.0",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::V03 => Self::V10,
            Self::V10 => Self::V03,
        }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Wire {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "0.3" => Ok(Self::V03),
            "1.0" => Ok(Self::V10),
            _ => Err(UnknownVersion),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(wire) => wire.fmt(f),
        }
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            other => other.parse().map(Self::Fixed),
        }
    }
}

/// One call, before it is known on which wire it goes out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Send { message: &'a Outgoing, mode: Mode },
    Get { task_id: &'a str },
    List { context_id: &'a str, page_token: Option<&'a str> },
    Cancel { task_id: &'a str },
}

/// The JSON-RPC request for a call: one object, UTF-8.
pub(crate) fn encode(call: Call<'_>, wire: Wire, id: &str) -> Vec<u8> {
    let (method, params) = match wire {
        Wire::V03 => v03::encode(call),
        Wire::V10 => v10::encode(call),
    };
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string().into_bytes()
}

/// Adds what a message may lack on either wire.
fn with_optional(mut message: Value, outgoing: &Outgoing) -> Value {
    if let Some(fields) = message.as_object_mut() {
        if let Some(context_id) = &outgoing.context_id {
            fields.insert("contextId".to_owned(), json!(context_id));
        }
        if let Some(task_id) = &outgoing.task_id {
            fields.insert("taskId".to_owned(), json!(task_id));
        }
        if !outgoing.metadata.is_empty() {
            fields.insert("metadata".to_owned(), Value::Object(outgoing.metadata.clone()));
        }
    }
    message
}

/// Adds the token of the page to go on with.
fn with_page(mut params: Value, page_token: Option<&str>) -> Value {
    if let (Some(fields), Some(token)) = (params.as_object_mut(), page_token) {
        fields.insert("pageToken".to_owned(), json!(token));
    }
    params
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
