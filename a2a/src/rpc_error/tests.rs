use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::{MAX_DETAILS, MAX_MESSAGE, RpcError};
use crate::retry_after::MAX_RETRY_AFTER;

fn read(error: &Value) -> RpcError {
    RpcError::parse(error, StatusCode::OK)
}

fn busy(retry_after_ms: &Value) -> RpcError {
    read(&json!({"code": -32004, "message": "input was not accepted", "data": [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "UNSUPPORTED_OPERATION",
        "domain": "a2a-protocol.org",
        "metadata": {"reason": "KAGENT_SEND_NOT_ACCEPTED", "retryAfterMs": retry_after_ms}}]}))
}

#[test]
fn data_may_be_a_list_an_object_or_a_text() {
    let info = json!({"reason": "TASK_NOT_FOUND", "domain": "a2a-protocol.org", "metadata": {"taskId": "t", "n": 3, "deep": {}}});
    for data in [json!([info]), info] {
        let error = read(&json!({"code": -32001, "message": "Task not found", "data": data}));
        let reasons: Vec<_> = error.details.iter().map(|detail| detail.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("TASK_NOT_FOUND")]);
        let metadata: Vec<_> = error.details.iter().flat_map(|detail| detail.metadata.iter()).collect();
        assert_eq!(metadata, [(&"n".to_owned(), &"3".to_owned()), (&"taskId".to_owned(), &"t".to_owned())]);
    }
    let error = read(&json!({"code": -32603, "message": "boom", "data": "stack\u{1b}[0m"}));
    let texts: Vec<_> = error.details.iter().map(|detail| detail.text.as_deref()).collect();
    assert_eq!(texts, [Some("stack\\u{1b}[0m")]);
    assert!(read(&json!({"code": 1, "data": ["", {}, [], null, 1.5e3]})).details.is_empty());
}

#[test]
fn a_busy_kagent_says_when_to_come_back() {
    for value in [json!("100"), json!(100)] {
        let error = busy(&value);
        assert!(error.is_not_accepted());
        assert_eq!(error.retry_after(), Some(Duration::from_millis(100)));
    }
    assert_eq!(busy(&json!("99999999999")).retry_after(), Some(MAX_RETRY_AFTER));
    for value in [json!("soon"), json!("-100"), json!(-100), json!(0.5), json!(""), json!([100]), Value::Null] {
        assert_eq!(busy(&value).retry_after(), None, "{value}");
    }
}

#[test]
fn a_huge_error_is_cut() {
    let many: Vec<Value> = (0..1000).map(|n| json!({"reason": n.to_string().repeat(1000)})).collect();
    let error = read(&json!({"code": -32603, "message": "x".repeat(100_000), "data": many}));
    assert!(error.message.len() <= MAX_MESSAGE);
    assert_eq!(error.details.len(), MAX_DETAILS);
    assert!(error.details.iter().all(|detail| detail.reason.as_ref().is_some_and(|reason| reason.len() <= 256)));
}

#[test]
fn an_error_of_any_shape_is_read() {
    assert_eq!(read(&json!("just words")).message, "just words");
    assert_eq!(read(&json!({"code": "x", "message": 5})).code, 0);
    assert_eq!(read(&json!([])).message, "");
}
