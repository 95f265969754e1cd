//! Cases: the agent is closed, full, or of no use for now.

use serde_json::json;
use stream_dispatcher::dispatch::decision::Row;

use super::case::{Case, Entry, LISTING, Office, Then, case};

pub(crate) fn cases() -> Vec<Case> {
    let guard = json!({"mode": "guard", "token": "new", "count": 1000});
    let token = "token_file = \"{token}\"";
    vec![
        case("code-31401").send(json!({"mode": "jsonrpc", "code": -31401})).rows(&[
            Row::Credentials,
            Row::Unreachable,
            Row::Completed,
        ]),
        case("status-403").send(json!({"mode": "status", "status": 403})).rows(&[
            Row::Credentials,
            Row::Unreachable,
            Row::Completed,
        ]),
        // The second incident finds the agent closed, and is not tried before the token is right.
        case("token")
            .profile(token)
            .send(guard.clone())
            .and(Row::Unreachable, "echo")
            .then(Then::Token(Row::Open))
            .rows(&[Row::Credentials, Row::Unreachable, Row::Open, Row::Completed]),
        case("outage").send(json!({"mode": "status", "status": 503, "count": 6})).at_least(2_000).rows(&[
            Row::NotExecuted,
            Row::Wait,
            Row::Unreachable,
            Row::Completed,
        ]),
        case("expired")
            .at(Office::Strict)
            .send(json!({"mode": "status", "status": 503, "count": 1000}))
            .ends("dead", "expired", "0")
            .runs(0)
            .at_least(1_000)
            .rows(&[Row::NotExecuted, Row::Expired]),
        // The second one need not be tried itself; one that never is has a test of its own.
        case("expired-untried")
            .at(Office::Strict)
            .profile(token)
            .send(guard)
            .ends("dead", "expired", "0")
            .runs(0)
            .and(Row::Unreachable, "echo")
            .ends("dead", "expired", "0")
            .runs(0)
            .rows(&[Row::Credentials, Row::Expired]),
        case("full").profile("max_runs = 1").order("slow 2 x").and(Row::Running, "echo").rows(&[
            Row::Running,
            Row::Full,
            Row::Completed,
        ]),
        // The second one cannot be looked for, and there is no place to wait in while the first one runs.
        case("crowded")
            .on(LISTING)
            .profile("max_runs = 1")
            .order("slow 3 x")
            .list(json!({"mode": "status", "status": 503, "skip": 1}))
            .and(Row::Running, "echo")
            .rows(&[Row::LookUnreachable, Row::Crowded, Row::NotThere, Row::Completed]),
        // The first order, which teaches the worker what the agent speaks, counts too.
        case("storm")
            .profile("max_runs_per_hour = 2")
            .and(Row::Completed, "echo")
            .ends("waiting", "", "0")
            .runs(0)
            .rows(&[Row::Completed, Row::Storm]),
        case("resolved").entry(Entry::Resolved).order("slow 3 x").and(Row::Running, "echo").at_least(3_000).rows(&[
            Row::Running,
            Row::Firing,
            Row::Completed,
            Row::Send,
            Row::Completed,
        ]),
        case("resolved-expired")
            .at(Office::Strict)
            .entry(Entry::Resolved)
            .order("slow 8 x")
            .and(Row::Running, "echo")
            .ends("dead", "expired", "0")
            .runs(0)
            .rows(&[Row::Running, Row::Firing, Row::Expired, Row::Completed]),
        // One runs, the beginning of an alert waits for the only place, and meanwhile the alert is over.
        case("resolved-settles")
            .at(Office::Settling)
            .profile("max_runs = 1")
            .entry(Entry::Resolved)
            .order("slow 9 x")
            .and(Row::Running, "echo")
            .ends("settled", "resolved", "0")
            .runs(0)
            .and(Row::Full, "echo")
            .at_least(9_000)
            .rows(&[Row::Running, Row::Full, Row::Unstarted, Row::Completed, Row::Send, Row::Completed]),
        case("resolved-begun")
            .at(Office::Settling)
            .entry(Entry::Resolved)
            .order("slow 5 x")
            .and(Row::Running, "echo")
            .at_least(5_000)
            .rows(&[Row::Running, Row::Firing, Row::Completed, Row::Send, Row::Completed]),
    ]
}
