//! Writing A2A 1.0 (specification/a2a.proto of the tag v1.0.1, in its JSON form).

use serde_json::{Value, json};

use super::{Call, HISTORY_LENGTH, with_optional, with_page};
use crate::message::{Mode, Outgoing};

/// Tasks of one page of a list: a context of ours has few, and each carries its history.
const PAGE_SIZE: u32 = 20;

/// Method and params.
pub(super) fn encode(call: Call<'_>) -> (&'static str, Value) {
    match call {
        Call::Send { message, mode } => ("SendMessage", send(message, mode)),
        Call::Get { task_id } => ("GetTask", json!({"id": task_id, "historyLength": 0})),
        Call::List { context_id, page_token } => {
            let params = json!({"contextId": context_id, "historyLength": HISTORY_LENGTH, "pageSize": PAGE_SIZE});
            ("ListTasks", with_page(params, page_token))
        }
        Call::Cancel { task_id } => ("CancelTask", json!({"id": task_id})),
    }
}

/// `returnImmediately` is always written: its absence means waiting (1.0.1, section 3.2.2).
fn send(message: &Outgoing, mode: Mode) -> Value {
    let body = json!({
        "role": "ROLE_USER",
        "messageId": message.message_id,
        "parts": [{"text": message.text}],
    });
    json!({
        "message": with_optional(body, message),
        "configuration": {"returnImmediately": mode == Mode::NonBlocking, "historyLength": 0},
    })
}
