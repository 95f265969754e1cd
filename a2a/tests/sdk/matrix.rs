//! Every fault of the control plane against what the errors say of it: the agent's own log is the oracle.

use std::time::Duration;

use a2a::{Cause, Class, GetError, Mode, SendError};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::agents::{KINDS, Kind, Server, follow, message, send};

/// A fault, its class, the waiting time in milliseconds, and whether the agent runs all the same.
struct Row(Value, Class, Option<u64>, bool);

fn status(status: u16, class: Class) -> Row {
    Row(json!({"mode": "status", "status": status}), class, None, false)
}

fn waiting(status: u16, retry_after: &str, class: Class, wait: Option<u64>) -> Row {
    Row(json!({"mode": "status", "status": status, "retryAfter": retry_after}), class, wait, false)
}

fn body(status: u16, body: &str, class: Class) -> Row {
    Row(json!({"mode": "status", "status": status, "body": body}), class, None, false)
}

fn error(code: i64, message: &str, class: Class) -> Row {
    Row(json!({"mode": "jsonrpc", "code": code, "message": message}), class, None, false)
}

fn mode(mode: &str, runs: bool) -> Row {
    Row(json!({"mode": mode}), Class::Ambiguous, None, runs)
}

fn statuses() -> Vec<Row> {
    use Class::{Ambiguous, Credentials, NotExecuted, Terminal};
    let internal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"boom"}}"#;
    let invalid = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no"}}"#;
    let mut rows = vec![
        status(401, Credentials),
        status(403, Credentials),
        body(401, invalid, Credentials),
        body(404, "Agent kagent/nope not found\n", NotExecuted),
        body(404, "404 page not found", Terminal),
        body(503, internal, Ambiguous),
        body(500, invalid, Terminal),
        waiting(503, "Sun, 06 Nov 1994 08:49:37 GMT", NotExecuted, Some(0)),
        waiting(503, "86400", NotExecuted, Some(300_000)),
        waiting(503, "soon", NotExecuted, None),
    ];
    for (number, class) in
        [(429, NotExecuted), (500, Ambiguous), (502, Ambiguous), (503, NotExecuted), (504, Ambiguous)]
    {
        rows.extend([status(number, class), waiting(number, "2", class, Some(2000))]);
    }
    rows.extend([307, 400, 405, 413, 415, 422].map(|number| status(number, Terminal)));
    rows
}

fn errors() -> Vec<Row> {
    use Class::{Ambiguous, Credentials, NotExecuted, Terminal};
    let post = "failed to send HTTP request: Post \"http://a/\": ";
    let busy = |wait: Value| json!([{"reason": "UNSUPPORTED_OPERATION", "metadata": {"reason": "KAGENT_SEND_NOT_ACCEPTED", "retryAfterMs": wait}}]);
    let not_accepted =
        |wait| json!({"mode": "jsonrpc", "code": -32004, "message": "input was not accepted", "data": busy(wait)});
    let mut rows = vec![
        Row(not_accepted(json!("100")), NotExecuted, Some(100), false),
        Row(not_accepted(json!(250)), NotExecuted, Some(250), false),
        error(-32603, &format!("{post}dial tcp 10.0.0.1:8080: connect: connection refused"), NotExecuted),
        error(-32603, &format!("{post}dial tcp: lookup a: no such host"), NotExecuted),
        error(-32603, &format!("{post}EOF"), Ambiguous),
        error(-32603, "boom", Ambiguous),
        error(-32603, "the model's address: no such host", Ambiguous),
        error(-32006, "boom", Ambiguous),
        error(-32000, "boom", Ambiguous),
        error(-31401, "who", Credentials),
        error(-31403, "not you", Credentials),
    ];
    rows.extend([-32700, -32600, -32602, -32001, -32004, -32005, -32008].map(|code| error(code, "no", Terminal)));
    for refused in [-32601, -32009] {
        // Met on both wires: one refusal alone is answered by speaking the other.
        let fault = json!({"mode": "jsonrpc", "code": refused, "message": "no", "count": 2});
        rows.push(Row(fault, Terminal, None, false));
    }
    rows
}

fn breaks() -> Vec<Row> {
    vec![
        mode("drop_before", false),
        mode("drop_after", true),
        mode("truncate", true),
        mode("garbage", false),
        mode("empty", false),
    ]
}

/// Beyond the class: what an error says of the run agrees with the agent, and a message that may be sent again runs once.
async fn check(kind: Kind, rows: Vec<Row>) {
    let server = Server::start(kind).await;
    let agent = server.agent();
    send(&agent, "m-first", "hello").await.unwrap();
    for (number, Row(fault, class, wait, runs)) in rows.iter().enumerate() {
        let message_id = format!("m-{number}");
        server.arm(fault).await;
        let error = send(&agent, &message_id, "hello").await.unwrap_err();
        let ran = server.runs(&message_id).await;
        let row = format!("{kind:?} {fault}: {error}");
        assert_eq!((error.class(), error.left()), (*class, true), "{row}");
        assert_eq!(error.retry_after(), wait.map(Duration::from_millis), "{row}");
        assert_eq!(error.may_have_run(), *class == Class::Ambiguous, "{row}");
        assert_eq!(ran, usize::from(*runs), "{row}");
        assert!(ran == 0 || error.may_have_run(), "{row}");
        if !error.may_have_run() {
            send(&agent, &message_id, "hello").await.unwrap();
            assert_eq!(server.runs(&message_id).await, 1, "{row}");
        }
    }
}

#[tokio::test]
async fn a_status_means_the_same_on_every_server() {
    for kind in KINDS {
        check(kind, statuses()).await;
    }
}

#[tokio::test]
async fn a_json_rpc_error_means_the_same_on_every_server() {
    for kind in KINDS {
        check(kind, errors()).await;
    }
}

#[tokio::test]
async fn a_broken_answer_means_the_same_on_every_server() {
    for kind in KINDS {
        check(kind, breaks()).await;
    }
}

/// A timeout looks the same whether the agent is at work or never got the call.
#[tokio::test]
async fn a_late_answer_may_be_one_of_a_run() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let patience = Duration::from_millis(500);
        let agent = server.agent_with(|options| {
            options.send_timeout = patience;
            options.blocking_timeout = patience;
        });
        agent.send(&message("m-0", "hello"), Mode::Blocking, &HeaderMap::new()).await.unwrap();
        let at_work = agent.send(&message("m-1", "slow 2 abc"), Mode::Blocking, &HeaderMap::new()).await.unwrap_err();
        server.arm(&json!({"mode": "delay", "seconds": 2})).await;
        let held_up = send(&agent, "m-2", "hello").await.unwrap_err();
        assert_eq!((server.runs("m-1").await, server.runs("m-2").await), (1, 0), "{kind:?}");
        for error in [at_work, held_up] {
            assert_eq!((error.class(), error.left()), (Class::Ambiguous, true), "{kind:?} {error}");
            assert_eq!(error.failure().cause(), &Cause::Timeout(patience));
        }
    }
}

#[tokio::test]
async fn a_broken_look_at_a_task_does_no_harm() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let agent = server.agent();
        let sent = send(&agent, "m-1", "hello").await.unwrap();
        let a2a::Answer::Task(task) = sent.answer else { unreachable!("the agent answers with a task") };
        for Row(fault, class, ..) in statuses().into_iter().chain(errors()).chain(breaks()) {
            server.arm(&fault).await;
            let error = agent.get(&task.id, Some(sent.wire), &HeaderMap::new()).await.unwrap_err();
            let expected = match error.code() {
                Some(-32001) => matches!(error, GetError::NotFound(_)),
                _ if class == Class::Credentials => matches!(error, GetError::Credentials(_)),
                _ => matches!(error, GetError::Failed(_)),
            };
            assert!(expected, "{kind:?} {fault}: {error:?}");
        }
        let done = follow(&agent, &task.id, |task| task.state.is_terminal()).await;
        assert_eq!((done.result_text(), server.runs("m-1").await), (Some("echo: hello"), 1), "{kind:?}");
    }
}

/// The same code says different things of a send and of a list.
#[tokio::test]
async fn an_unsupported_list_is_not_a_refused_send() {
    let server = Server::start(Kind::New).await;
    let agent = server.agent();
    for code in [-32004, -32601] {
        let fault = json!({"mode": "jsonrpc", "code": code, "message": "no", "count": 2, "onlyRpc": ["ListTasks", "tasks/list"]});
        server.arm(&fault).await;
        let list = agent.list("context-m-1", None, &HeaderMap::new()).await;
        assert!(matches!(list, Err(a2a::ListError::Unsupported(_))), "{list:?}");
    }
    server.arm(&json!({"mode": "jsonrpc", "code": -32004, "message": "the task has ended"})).await;
    assert!(matches!(send(&agent, "m-1", "hello").await, Err(SendError::Terminal(_))));
    send(&agent, "m-1", "hello").await.unwrap();
    let page = agent.list("context-m-1", None, &HeaderMap::new()).await.unwrap();
    assert_eq!((page.tasks.len(), page.complete, page.next_page_token), (1, true, None));
    assert!(page.tasks[0].message_ids.iter().any(|id| id == "m-1"));
}
