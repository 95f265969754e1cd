use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Class::{Ambiguous, Credentials, NotExecuted, Terminal};
use super::{Class, class, is_context_not_found, is_not_cancelable, is_task_not_found, is_version_refused};
use crate::error::{CancelError, GetError, ListError, SendError};
use crate::failure::{Cause, Failure};
use crate::rpc_error::RpcError;
use crate::wire::Wire;

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::IM_A_TEAPOT)
}

fn http(code: u16, text: &str) -> Cause {
    Cause::Http(status(code), text.to_owned())
}

fn rpc(error: &Value) -> Cause {
    Cause::Rpc(RpcError::parse(error, StatusCode::OK))
}

fn code(code: i64, message: &str) -> Cause {
    rpc(&json!({"code": code, "message": message}))
}

fn failure(cause: Cause) -> Failure {
    Failure::new(Wire::V10, cause, None)
}

#[test]
fn statuses_without_a_json_rpc_answer() {
    for (number, expected) in [
        (301, Terminal),
        (302, Terminal),
        (307, Terminal),
        (308, Terminal),
        (400, Terminal),
        (405, Terminal),
        (413, Terminal),
        (415, Terminal),
        (422, Terminal),
        (401, Credentials),
        (403, Credentials),
        (408, Ambiguous),
        (429, NotExecuted),
        (503, NotExecuted),
        (500, Ambiguous),
        (502, Ambiguous),
        (504, Ambiguous),
    ] {
        assert_eq!(class(&http(number, "")), expected, "{number}");
    }
    assert_eq!(class(&http(404, "Agent kagent/nope not found\n")), NotExecuted);
    assert_eq!(class(&http(404, "{\"error\":\"Agent kagent/nope not found\"}")), NotExecuted);
    assert_eq!(class(&http(404, "404 page not found")), Terminal);
}

#[test]
fn json_rpc_codes() {
    for number in [-32700, -32600, -32601, -32602, -32001, -32002, -32003, -32004, -32005, -32007, -32008, -32009] {
        assert_eq!(class(&code(number, "x")), Terminal, "{number}");
    }
    for number in [-32603, -32006, -32000, -32099, 0, 5] {
        assert_eq!(class(&code(number, "x")), Ambiguous, "{number}");
    }
    for number in [-31401, -31403] {
        assert_eq!(class(&code(number, "x")), Credentials, "{number}");
    }
}

#[test]
fn an_internal_error_is_safe_only_where_go_could_not_connect() {
    for (message, expected) in [
        (
            "failed to send HTTP request: Post \"http://a/\": dial tcp 10.0.0.1:8080: connect: connection refused",
            NotExecuted,
        ),
        (
            "a2aClient.SendMessage: a2aClient.doRequest: http request failed: Post \"http://a/\": dial tcp: lookup a on 10.96.0.10:53: no such host",
            NotExecuted,
        ),
        ("LLM: Post \"http://llm/v1\": dial tcp 10.0.0.1:80: connect: connection refused", Ambiguous),
        ("tool: connection refused", Ambiguous),
        ("tool: no such host", Ambiguous),
        ("unexpected HTTP status: 503 Service Unavailable", Ambiguous),
        ("failed to send HTTP request: Post \"http://a/\": EOF", Ambiguous),
        ("executor blew up: [Errno 111] Connection refused", Ambiguous),
    ] {
        assert_eq!(class(&code(-32603, message)), expected, "{message}");
    }
}

#[test]
fn a_busy_kagent_took_nothing() {
    let busy = rpc(&json!({"code": -32004, "message": "input was not accepted", "data": [
        {"reason": "UNSUPPORTED_OPERATION", "metadata": {"reason": "KAGENT_SEND_NOT_ACCEPTED", "retryAfterMs": "100"}}]}));
    assert_eq!(class(&busy), NotExecuted);
    assert_eq!(failure(busy).retry_after(), Some(std::time::Duration::from_millis(100)));
}

#[test]
fn a_status_decides_where_the_code_says_nothing() {
    let with_status = |number, code| Cause::Rpc(RpcError::parse(&json!({"code": code, "message": ""}), status(number)));
    assert_eq!(class(&with_status(429, -32050)), NotExecuted);
    assert_eq!(class(&with_status(503, -32050)), Ambiguous);
    assert_eq!(class(&with_status(400, -32050)), Terminal);
    assert_eq!(class(&with_status(500, -32050)), Ambiguous);
    assert_eq!(class(&with_status(401, -32600)), Credentials);
    assert_eq!(class(&with_status(500, -32602)), Terminal);
    assert_eq!(class(&with_status(503, -32603)), Ambiguous);
}

#[test]
fn what_did_not_leave_did_not_run() {
    for (cause, expected, left) in [
        (Cause::Connect(String::new()), NotExecuted, false),
        (Cause::Token(String::new()), Credentials, false),
        (Cause::Request(String::new()), Terminal, false),
        (Cause::Timeout(std::time::Duration::ZERO), Ambiguous, true),
        (Cause::Lost(String::new()), Ambiguous, true),
        (Cause::TooLarge(1), Ambiguous, true),
        (Cause::Protocol(StatusCode::OK, "empty"), Ambiguous, true),
    ] {
        let error = SendError::from(failure(cause));
        assert_eq!((error.class(), error.left()), (expected, left), "{error}");
        assert_eq!(error.may_have_run(), expected == Ambiguous);
    }
}

#[test]
fn three_refusals_ask_for_the_other_version() {
    assert!(is_version_refused(&code(-32009, "A2A version '0.3' is not supported by this handler.")));
    assert!(is_version_refused(&code(-32601, "Method not found")));
    assert!(is_version_refused(&http(400, "missing required A2A-Version header; expected \"1.0\"")));
    assert!(!is_version_refused(&http(400, "bad request")));
    assert!(!is_version_refused(&http(500, "A2A-Version")));
    assert!(!is_version_refused(&code(-32602, "x")));
}

#[test]
fn errors_of_the_other_operations() {
    let unknown = code(-32001, "Task not found");
    assert!(is_task_not_found(&unknown));
    assert!(matches!(GetError::from(failure(unknown.clone())), GetError::NotFound(_)));
    assert!(matches!(CancelError::from(failure(unknown)), CancelError::NotFound(_)));
    assert!(is_not_cancelable(&code(-32603, "Cancellation is not supported")));
    assert!(matches!(CancelError::from(failure(code(-32002, "done"))), CancelError::NotCancelable(_)));
    assert!(matches!(CancelError::from(failure(code(-32603, "boom"))), CancelError::Failed(_)));
    assert!(matches!(GetError::from(failure(http(401, ""))), GetError::Credentials(_)));
    for cause in [code(-32601, "x"), code(-32004, "x"), http(405, ""), Cause::Incomplete("x")] {
        assert!(matches!(ListError::from(failure(cause)), ListError::Unsupported(_)));
    }
    // A gateway that lost its route says nothing about the agent's list.
    for cause in
        [code(-32603, "boom"), http(404, "not found"), http(503, ""), Cause::Timeout(std::time::Duration::ZERO)]
    {
        assert!(matches!(ListError::from(failure(cause)), ListError::Failed(_)));
    }
    assert!(is_context_not_found(&code(-32603, "get session inc-42: record not found")));
}

proptest! {
    /// Nothing that a server may say with a success status proves that nothing ran, except the known words.
    #[test]
    fn an_unknown_answer_is_never_taken_for_safe(number in any::<i64>(), message in "[a-z ]{0,40}") {
        prop_assert_ne!(class(&code(number, &message)), Class::NotExecuted);
    }

    #[test]
    fn every_server_error_but_503_is_ambiguous(number in 500_u16..600, text in ".{0,40}") {
        prop_assume!(number != 503);
        prop_assert_eq!(class(&http(number, &text)), Class::Ambiguous);
    }
}
