//! Cases: how a run ends.

use serde_json::json;
use stream_dispatcher::dispatch::decision::Row;

use super::case::{BLIND, Case, Entry, GETS, LISTING, Office, On, SENDS, Then, case};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = behaviours();
    cases.extend(polls());
    cases.extend(entries());
    cases
}

fn behaviours() -> Vec<Case> {
    vec![
        case("echo").on(BLIND).rows(&[Row::Send, Row::Completed]),
        // One that can be asked is asked first: the entry has no record.
        case("echo").on(LISTING).rows(&[Row::NotThere, Row::Completed]),
        case("slow").order("slow 1 x").rows(&[Row::Running, Row::Completed]),
        case("fail").order("fail disk full").ends("dead", "failed", "1").rows(&[Row::Failed]),
        case("reject").order("reject no").ends("dead", "rejected", "1").rows(&[Row::Rejected]),
        case("input").order("input").ends("parked", "input-required", "1").rows(&[Row::Input]),
        case("auth").order("auth").ends("parked", "auth-required", "1").rows(&[Row::Auth]),
        case("message").order("message hi").rows(&[Row::Message]),
        case("empty").order("empty").rows(&[Row::Completed]),
        case("big").order("big 200000").rows(&[Row::Completed]),
        case("hang")
            .order("hang")
            .profile("run_deadline = \"2s\"")
            .ends("dead", "run-deadline", "1")
            .at_least(2_000)
            .rows(&[Row::Running, Row::Overdue]),
        case("cancel").order("hang").then(Then::Cancel).ends("dead", "canceled", "1").rows(&[Row::Canceled]),
        // SDK 0.3 leaves the task of an agent that raised as it was.
        case("raise-late")
            .on(&[On::V03])
            .order("raise-late x")
            .profile("run_deadline = \"2s\"")
            .ends("dead", "run-deadline", "1")
            .rows(&[Row::Overdue]),
        case("raise-late")
            .on(&[On::V10, On::Both, On::Both03])
            .order("raise-late x")
            .ends("dead", "failed", "1")
            .rows(&[Row::Failed]),
        case("raise").order("raise x").ends("parked", "uncertain", "2").runs(2).possible(1).on(BLIND).rows(&[
            Row::Ambiguous,
            Row::Resend,
            Row::Again,
        ]),
        // SDK 1.x keeps the failed task, and that is found.
        case("raise").on(LISTING).order("raise x").ends("dead", "failed", "1").rows(&[Row::Ambiguous, Row::Failed]),
        case("accepted")
            .at(Office::Accepting)
            .order("slow 2 x")
            .ends("settled", "accepted", "1")
            .rows(&[Row::Accepted]),
        case("accepted-message").at(Office::Accepting).order("message hi").rows(&[Row::Message]),
        case("odd-state")
            .order("slow 1 x")
            .fault(SENDS, json!({"mode": "state", "state": "pondering"}))
            .fault(GETS, json!({"mode": "state", "state": "TASK_STATE_PONDERING", "count": 2}))
            .rows(&[Row::OddState, Row::Completed]),
    ]
}

/// The task is at the agent; reading it fails.
fn polls() -> Vec<Case> {
    let fault = |name, fault| case(name).order("slow 1 x").get(fault).rows(&[Row::PollFailed, Row::Completed]);
    vec![
        fault("get-500", json!({"mode": "status", "status": 500, "count": 2})),
        fault("get-503", json!({"mode": "status", "status": 503, "count": 2})),
        fault("get-wish", json!({"mode": "status", "status": 429, "retryAfter": "10"})).at_least(10_000),
        fault("get-error", json!({"mode": "jsonrpc", "code": -32603, "count": 2})),
        fault("get-params", json!({"mode": "jsonrpc", "code": -32602})),
        fault("get-drop-before", json!({"mode": "drop_before", "count": 2})),
        fault("get-drop-after", json!({"mode": "drop_after", "count": 2})),
        fault("get-truncate", json!({"mode": "truncate", "count": 2})),
        fault("get-garbage", json!({"mode": "garbage", "count": 2})),
        fault("get-empty", json!({"mode": "empty", "count": 2})),
        fault("get-other", json!({"mode": "result", "result": {"id": "another", "status": {"state": "failed"}}})),
        case("get-401")
            .order("slow 1 x")
            .get(json!({"mode": "status", "status": 401}))
            .at_least(4_500)
            .rows(&[Row::PollCredentials, Row::Completed]),
        case("get-31401")
            .order("slow 1 x")
            .get(json!({"mode": "jsonrpc", "code": -31401}))
            .rows(&[Row::PollCredentials, Row::Completed]),
        case("task-missing")
            .order("slow 1 x")
            .get(json!({"mode": "jsonrpc", "code": -32001}))
            .at_least(4_500)
            .rows(&[Row::TaskMissing, Row::Completed]),
        case("task-found")
            .on(LISTING)
            .order("slow 1 x")
            .get(json!({"mode": "jsonrpc", "code": -32001, "count": 5}))
            .rows(&[Row::TaskMissing, Row::TaskSearch, Row::Completed]),
        case("task-lost")
            .on(LISTING)
            .order("slow 1 x")
            .get(json!({"mode": "jsonrpc", "code": -32001, "count": 100}))
            .list(json!({"mode": "result", "result": {"tasks": [], "nextPageToken": ""}, "count": 100}))
            .ends("dead", "task-lost", "1")
            .rows(&[Row::TaskSearch, Row::TaskLost]),
        case("task-lost")
            .on(BLIND)
            .order("slow 1 x")
            .get(json!({"mode": "jsonrpc", "code": -32001, "count": 100}))
            .ends("dead", "task-lost", "1")
            .rows(&[Row::TaskMissing, Row::TaskLost]),
    ]
}

/// Entries that no agent sees.
fn entries() -> Vec<Case> {
    vec![
        case("no-route").entry(Entry::NoRoute).ends("dead", "no-route", "0").runs(0).rows(&[Row::NoRoute]),
        case("no-text").entry(Entry::NoText).ends("dead", "artifact-missing", "0").runs(0).rows(&[Row::NoText]),
        case("poison").entry(Entry::Worn).ends("dead", "poison", "0").runs(0).rows(&[Row::Poison]),
    ]
}
