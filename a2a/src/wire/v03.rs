//! Writing A2A 0.3 (specification/json/a2a.json of the tag v0.3.0).

use serde_json::{Value, json};

use super::{Call, HISTORY_LENGTH, with_optional, with_page};
use crate::message::{Mode, Outgoing};

/// Method and params. `tasks/list` is not in 0.3; kagent 0.10 adds it.
pub(super) fn encode(call: Call<'_>) -> (&'static str, Value) {
    match call {
        Call::Send { message, mode } => ("message/send", send(message, mode)),
        Call::Get { task_id } => ("tasks/get", json!({"id": task_id, "historyLength": 0})),
        Call::List { context_id, page_token } => {
            ("tasks/list", with_page(json!({"contextId": context_id, "historyLength": HISTORY_LENGTH}), page_token))
        }
        Call::Cancel { task_id } => ("tasks/cancel", json!({"id": task_id})),
    }
}

/// `blocking` is always written: servers take its absence as true.
fn send(message: &Outgoing, mode: Mode) -> Value {
    let body = json!({
        "kind": "message",
        "role": "user",
        "messageId": message.message_id,
        "parts": [{"kind": "text", "text": message.text}],
    });
    json!({
        "message": with_optional(body, message),
        "configuration": {"blocking": mode == Mode::Blocking},
    })
}
