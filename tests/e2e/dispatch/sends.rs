//! Cases: a send that has no good answer, and what an agent that lists, or does not, makes of it.

use serde_json::{Value, json};
use stream_dispatcher::dispatch::decision::Row;

use super::case::{BLIND, Case, LISTING, case};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = refusals();
    for (name, fault, ran) in ambiguous() {
        cases.extend(ambiguous_cases(name, &fault, ran));
    }
    cases
}

/// Faults after which it is not known whether the agent runs it, and whether it does.
fn ambiguous() -> Vec<(&'static str, Value, bool)> {
    vec![
        ("status-500", json!({"mode": "status", "status": 500}), false),
        ("status-502", json!({"mode": "status", "status": 502}), false),
        ("status-504", json!({"mode": "status", "status": 504}), false),
        ("wish-500", json!({"mode": "status", "status": 500, "retryAfter": "1"}), false),
        ("wish-502", json!({"mode": "status", "status": 502, "retryDate": 2}), false),
        ("wish-504", json!({"mode": "status", "status": 504, "retryDate": 2}), false),
        ("internal", json!({"mode": "jsonrpc", "code": -32603}), false),
        // The words of a tool that the agent called, not of something in front of the agent.
        ("internal-words", json!({"mode": "jsonrpc", "code": -32603, "message": "tool: connection refused"}), false),
        ("drop-before", json!({"mode": "drop_before"}), false),
        ("garbage", json!({"mode": "garbage"}), false),
        ("blank", json!({"mode": "empty"}), false),
        ("drop-after", json!({"mode": "drop_after"}), true),
        ("truncate", json!({"mode": "truncate"}), true),
        ("late", json!({"mode": "late", "seconds": 8}), true),
        ("delay", json!({"mode": "delay", "seconds": 3.5}), true),
    ]
}

fn ambiguous_cases(name: &str, fault: &Value, ran: bool) -> [Case; 3] {
    // Short only where it is to pass: a busy machine may take a second for a good answer.
    let slow = fault.get("seconds").is_some();
    let hurried = if slow { "send_timeout = \"3s\"" } else { "" };
    let at_least = if fault.get("retryAfter").or(fault.get("retryDate")).is_some() { 1_000 } else { 0 };
    let found = case(name).on(LISTING).profile(hurried).send(fault.clone()).at_least(at_least);
    let found = if ran {
        found.rows(&[Row::Ambiguous, Row::Completed])
    } else {
        // What is not the agent's own answer says nothing of what it has, or is about to have.
        let heard = fault.get("status") == Some(&json!(500)) || fault.get("code").is_some();
        found.ends("settled", "completed", "2").possible(usize::from(!heard)).rows(&[
            Row::NotThere,
            Row::Ambiguous,
            Row::NotThere,
            Row::Completed,
        ])
    };
    let blind = case(name).on(BLIND).send(fault.clone()).at_least(2_000).profile(hurried);
    let person = case(format!("{name}-park")).on(BLIND).send(fault.clone()).at_least(2_000);
    [
        found,
        blind.ends("settled", "completed", "2").runs(1 + usize::from(ran)).possible(1).rows(&[
            Row::Ambiguous,
            Row::TooEarly,
            Row::Resend,
        ]),
        person
            .profile(if slow { "send_timeout = \"3s\"\non_uncertain = \"park\"" } else { "on_uncertain = \"park\"" })
            .ends("parked", "uncertain", "1")
            .runs(usize::from(ran))
            .rows(&[Row::Ambiguous, Row::TooEarly, Row::Park]),
    ]
}

/// Faults that say that nothing ran: one run, whether the agent lists or not.
fn refusals() -> Vec<Case> {
    let waits = |name, fault| case(name).send(fault).rows(&[Row::NotExecuted, Row::Wait]);
    let refused = |name, fault| case(name).send(fault).ends("dead", "refused", "1").runs(0).rows(&[Row::Refused]);
    let dial =
        "failed to send HTTP request: Post \"http://a:8080/\": dial tcp 10.0.0.1:8080: connect: connection refused";
    let busy = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "KAGENT_SEND_NOT_ACCEPTED",
        "domain": "kagent.dev", "metadata": {"reason": "KAGENT_SEND_NOT_ACCEPTED", "retryAfterMs": "1500"}}]);
    vec![
        waits("status-429", json!({"mode": "status", "status": 429})),
        waits("status-503", json!({"mode": "status", "status": 503, "count": 2})),
        waits("wish-429", json!({"mode": "status", "status": 429, "retryAfter": "1"})).at_least(1_000),
        waits("wish-503", json!({"mode": "status", "status": 503, "retryAfter": "1"})).at_least(1_000),
        waits("date-429", json!({"mode": "status", "status": 429, "retryDate": 2})).at_least(1_000),
        waits("date-503", json!({"mode": "status", "status": 503, "retryDate": 2})).at_least(1_000),
        waits("not-yet", json!({"mode": "status", "status": 404, "body": "Agent kagent/x not found"})),
        waits("not-dialled", json!({"mode": "jsonrpc", "code": -32603, "message": dial})),
        waits("not-accepted", json!({"mode": "jsonrpc", "code": -32004, "data": busy})).at_least(1_500),
        refused("status-400", json!({"mode": "status", "status": 400})),
        refused("status-404", json!({"mode": "status", "status": 404, "body": "no such page"})),
        refused("status-405", json!({"mode": "status", "status": 405})),
        refused("status-413", json!({"mode": "status", "status": 413})),
        refused("invalid-params", json!({"mode": "jsonrpc", "code": -32602, "message": "bad params"})),
        refused("unsupported", json!({"mode": "jsonrpc", "code": -32004, "message": "no"})),
    ]
}
