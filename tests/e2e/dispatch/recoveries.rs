//! Cases: the agent has it, its answer was lost, and asking for it fails in turn.

use serde_json::{Value, json};
use stream_dispatcher::dispatch::decision::Row;

use super::case::{BLIND, Case, LISTING, Office, case};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = looks();
    cases.extend(policies());
    cases
}

/// One run, its answer lost, and then this answer of the list.
fn lost(name: &'static str, mut fault: Value) -> Case {
    // It is asked before the send too: the entry has no record.
    if let Some(fault) = fault.as_object_mut() {
        fault.insert("skip".into(), json!(1));
    }
    case(name).on(LISTING).order("slow 1 x").send(json!({"mode": "drop_after"})).list(fault)
}

fn looks() -> Vec<Case> {
    let failed = |name, fault| lost(name, fault).rows(&[Row::Ambiguous, Row::LookFailed, Row::Wait, Row::Completed]);
    let denied = |name, code: i64| {
        lost(name, json!({"mode": "jsonrpc", "code": code})).at_least(2_000).rows(&[
            Row::Ambiguous,
            Row::TooEarly,
            Row::Completed,
        ])
    };
    vec![
        failed("list-500", json!({"mode": "status", "status": 500, "count": 2})),
        failed("list-404", json!({"mode": "status", "status": 404})),
        failed("list-error", json!({"mode": "jsonrpc", "code": -32603})),
        failed("list-garbage", json!({"mode": "garbage"})),
        failed("list-empty", json!({"mode": "empty"})),
        failed("list-drop-before", json!({"mode": "drop_before"})),
        failed("list-drop-after", json!({"mode": "drop_after"})),
        failed("list-truncate", json!({"mode": "truncate"})),
        lost("list-503", json!({"mode": "status", "status": 503, "count": 2})).rows(&[
            Row::LookUnreachable,
            Row::Wait,
            Row::Completed,
        ]),
        lost("list-wish", json!({"mode": "status", "status": 429, "retryAfter": "1"})).at_least(1_000).rows(&[
            Row::LookUnreachable,
            Row::Wait,
            Row::Completed,
        ]),
        lost("list-401", json!({"mode": "status", "status": 401})).rows(&[
            Row::LookCredentials,
            Row::Unreachable,
            Row::Completed,
        ]),
        // It said before that it lists: it is asked once more after a lease.
        denied("list-32601", -32601),
        denied("list-32004", -32004),
        lost("list-known", json!({"mode": "jsonrpc", "code": -32601}))
            .profile("recovery = \"list\"\nversion = \"1.0\"")
            .rows(&[Row::LookFailed, Row::Completed]),
        // kagent writes its tasks a moment after it has answered.
        lost("list-behind", json!({"mode": "result", "result": {"tasks": []}})).rows(&[Row::Ambiguous, Row::Completed]),
        lost(
            "list-no-record",
            json!({"mode": "jsonrpc", "code": -32603, "message": "get session x: record not found"}),
        )
        .rows(&[Row::Ambiguous, Row::Completed]),
        case("exhausted")
            .on(LISTING)
            .at(Office::Strict)
            .send(json!({"mode": "jsonrpc", "code": -32603, "count": 100}))
            .ends("dead", "attempts-exhausted", "2")
            .runs(0)
            .rows(&[Row::NotThere, Row::Ambiguous, Row::NotThere, Row::Ambiguous, Row::Exhausted]),
    ]
}

fn policies() -> Vec<Case> {
    vec![
        case("again")
            .on(BLIND)
            .send(json!({"mode": "drop_after", "count": 2}))
            .ends("parked", "uncertain", "2")
            .runs(2)
            .possible(1)
            .rows(&[Row::Resend, Row::Again]),
        // An agent that lists, and that we were told not to ask.
        case("not-asked")
            .on(LISTING)
            .profile("recovery = \"none\"")
            .send(json!({"mode": "drop_after"}))
            .ends("settled", "completed", "2")
            .runs(2)
            .possible(1)
            .rows(&[Row::TooEarly, Row::Resend]),
        case("own-context")
            .on(LISTING)
            .profile("context = \"server\"\non_uncertain = \"park\"")
            .send(json!({"mode": "drop_after"}))
            .ends("parked", "uncertain", "1")
            .rows(&[Row::TooEarly, Row::Park]),
        case("recognised")
            .profile("recovery = \"message-id\"\ncontext = \"server\"")
            .order("slow 1 x")
            .send(json!({"mode": "recognise", "lose": true, "count": 100}))
            .ends("settled", "completed", "2")
            .rows(&[Row::Ambiguous, Row::Recognised, Row::Completed]),
        case("recognised-again")
            .at(Office::Strict)
            .profile("recovery = \"message-id\"\ncontext = \"server\"")
            .send(json!({"mode": "drop_before", "count": 100}))
            .ends("dead", "attempts-exhausted", "2")
            .runs(0)
            .rows(&[Row::Recognised, Row::Exhausted]),
    ]
}
