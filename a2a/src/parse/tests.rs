use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Envelope, answer, card, envelope, task};
use crate::invariants;
use crate::message::{Answer, Reply};
use crate::page::Page;
use crate::task::{State, Task};
use crate::wire::Wire;

fn read(body: &str, id: &str) -> Envelope {
    envelope(body.as_bytes(), StatusCode::OK, id)
}

fn page(result: &Value) -> Option<Page> {
    super::page(result, Wire::V10)
}

fn result(body: &str) -> Value {
    match read(body, "1") {
        Envelope::Result(value) => value,
        other => panic!("{other:?}"),
    }
}

fn sent_task(body: &str) -> Task {
    match answer(&result(body)) {
        Some(Answer::Task(task)) => task,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_submitted_task_of_0_3() {
    let task = sent_task(
        r#"{"id":"1","jsonrpc":"2.0","result":{"contextId":"f1291746","history":[{"contextId":"f1291746","kind":"message","messageId":"m-nb","parts":[{"kind":"text","text":"slow 2 abc"}],"role":"user","taskId":"25793c44"}],"id":"25793c44","kind":"task","status":{"state":"submitted"}}}"#,
    );
    assert_eq!(
        task,
        Task {
            id: "25793c44".to_owned(),
            context_id: Some("f1291746".to_owned()),
            state: State::Submitted,
            status_text: None,
            artifacts_text: None,
            message_ids: vec!["m-nb".to_owned()],
        }
    );
}

#[test]
fn a_completed_task_of_0_3() {
    let result = result(
        r#"{"id":"1","jsonrpc":"2.0","result":{"artifacts":[{"artifactId":"e90d77de","name":"result","parts":[{"kind":"text","text":"done after 2s: abc"}]}],"contextId":"f1291746","history":[],"id":"25793c44","kind":"task","status":{"state":"completed","timestamp":"2026-11-22T10:43:00.776254+00:00"}}}"#,
    );
    let task = task(&result).unwrap();
    assert_eq!((task.state.clone(), task.result_text()), (State::Completed, Some("done after 2s: abc")));
}

#[test]
fn a_failed_task_says_why_only_in_the_agent_s_words() {
    let body = |role: &str, kind: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"1","result":{{"id":"t","status":{{"state":"failed","message":{{{kind}"role":"{role}","messageId":"b1582f11","parts":[{{"text":"disk full"}}]}}}}}}}}"#
        )
    };
    for (role, expected) in
        [("agent", Some("disk full")), ("ROLE_AGENT", Some("disk full")), ("user", None), ("ROLE_USER", None)]
    {
        let task = sent_task(&body(role, "\"kind\":\"message\","));
        assert_eq!(task.result_text(), expected, "{role}");
        assert_eq!(task.message_ids, ["b1582f11"]);
    }
}

#[test]
fn the_same_task_in_every_wrapping() {
    let bare = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}});
    let mut tagged = bare.clone();
    tagged["kind"] = json!("task");
    for shape in [json!({"task": bare}), json!({"task": tagged}), bare, tagged] {
        assert_eq!(task(&shape).unwrap().state, State::Working);
        assert!(matches!(answer(&shape), Some(Answer::Task(task)) if task.id == "t"));
    }
}

#[test]
fn the_same_message_in_every_wrapping() {
    let bare = json!({"messageId": "r-1", "contextId": "", "role": "ROLE_AGENT", "parts": [{"text": "echo: a", "filename": ""}, {"data": {}}]});
    let mut tagged = bare.clone();
    tagged["kind"] = json!("message");
    let reply = Reply { message_id: Some("r-1".to_owned()), context_id: None, text: Some("echo: a".to_owned()) };
    for shape in [json!({"message": bare}), json!({"message": tagged}), bare, tagged] {
        assert_eq!(answer(&shape), Some(Answer::Message(reply.clone())));
    }
}

/// kagent 0.10 on a submitted task: the user's message as status, and twice in the history.
#[test]
fn our_own_words_are_not_the_agent_s_answer() {
    let ours = json!({"kind": "message", "role": "user", "messageId": "m-1", "parts": [{"kind": "text", "text": "disk full"}]});
    let submitted =
        json!({"kind": "task", "id": "t", "history": [ours, ours], "status": {"state": "submitted", "message": ours}});
    let task = task(&submitted).unwrap();
    assert_eq!((task.state.clone(), task.result_text()), (State::Submitted, None));
    assert_eq!(task.message_ids, ["m-1", "m-1", "m-1"]);
}

#[test]
fn empty_members_are_absent_ones() {
    let plain = json!({"id": "t", "status": {"state": "TASK_STATE_WORKING"}});
    let empty = json!({"id": "t", "contextId": "", "kind": "", "artifacts": [], "history": [], "metadata": {},
        "status": {"state": "TASK_STATE_WORKING", "timestamp": "", "message": {"messageId": "", "role": "", "parts": []}}});
    let blank = json!({"id": "t", "contextId": null, "artifacts": [{"artifactId": "", "parts": [{"text": ""}, {"text": null}]}],
        "history": [{"messageId": "", "parts": []}, {}], "status": {"state": "TASK_STATE_WORKING", "message": null}});
    for shape in [empty, blank] {
        assert_eq!(task(&shape), task(&plain), "{shape}");
        assert_eq!(answer(&json!({"task": shape, "message": null})), answer(&plain), "{shape}");
    }
    let list = json!({"tasks": [], "nextPageToken": null, "totalSize": 0, "metadata": {}});
    assert!(page(&list).is_some_and(|page| page.complete && page.next_page_token.is_none()));
    assert!(page(&json!({"tasks": {"id": "t"}})).is_none());
    for blank in [json!(null), json!({}), json!(""), json!([])] {
        let body = json!({"jsonrpc": "2.0", "id": "1", "result": {"id": "t"}, "error": blank}).to_string();
        assert!(matches!(read(&body, "1"), Envelope::Result(_)), "{body}");
    }
}

#[test]
fn tasks_of_either_version_are_listed() {
    let old = json!({"kind": "task", "id": "a", "status": {"state": "working"}, "history": [{"kind": "message", "messageId": "m"}]});
    let new =
        json!({"id": "b", "status": {"state": "TASK_STATE_WORKING"}, "history": [{"messageId": "m"}], "artifacts": []});
    let page = page(&json!({"tasks": [old, new, {"task": new}]})).unwrap();
    assert!(page.complete && page.tasks.iter().all(|task| task.state == State::Working && task.message_ids == ["m"]));
}

#[test]
fn a_list_of_1_0_shows_our_message() {
    let result = result(
        r#"{"result":{"tasks":[{"id":"025e3baa","contextId":"inc-42","status":{"state":"TASK_STATE_COMPLETED"},"history":[{"messageId":"inc-42-investigation","contextId":"inc-42","taskId":"025e3baa","role":"ROLE_USER","parts":[{"text":"hello","filename":"","mediaType":""}],"extensions":[],"referenceTaskIds":[]}]}],"pageSize":50,"totalSize":1,"nextPageToken":""},"id":"1","jsonrpc":"2.0"}"#,
    );
    let page = page(&result).unwrap();
    assert_eq!((page.complete, page.next_page_token, page.tasks.len()), (true, None, 1));
    assert_eq!(page.tasks.first().unwrap().message_ids, ["inc-42-investigation"]);
}

#[test]
fn a_list_that_hides_something_is_not_taken_for_complete() {
    for tasks in [json!([{"id": "t"}]), json!([{"history": [{"messageId": "m"}]}]), json!([5])] {
        assert!(!page(&json!({"tasks": tasks})).unwrap().complete, "{tasks}");
    }
    for empty in [json!({}), json!({"tasks": []}), json!({"totalSize": 0})] {
        assert!(page(&empty).unwrap().complete, "{empty}");
    }
    for other in [json!({"id": "t"}), json!([]), json!("x"), json!({"error": "x"})] {
        assert_eq!(page(&other), None, "{other}");
    }
}

#[test]
fn states_of_both_versions() {
    for (old, new, state) in [
        ("submitted", "TASK_STATE_SUBMITTED", State::Submitted),
        ("working", "TASK_STATE_WORKING", State::Working),
        ("input-required", "TASK_STATE_INPUT_REQUIRED", State::InputRequired),
        ("auth-required", "TASK_STATE_AUTH_REQUIRED", State::AuthRequired),
        ("completed", "TASK_STATE_COMPLETED", State::Completed),
        ("canceled", "TASK_STATE_CANCELED", State::Canceled),
        ("failed", "TASK_STATE_FAILED", State::Failed),
        ("rejected", "TASK_STATE_REJECTED", State::Rejected),
    ] {
        assert_eq!((State::parse(old), State::parse(new)), (state.clone(), state.clone()));
        assert_eq!(state.as_str(), old);
        assert!(!(state.is_terminal() && state.is_interrupted()));
    }
    for text in ["unknown", "TASK_STATE_UNSPECIFIED", "", "pondering"] {
        assert_eq!(State::parse(text), State::Unknown(text.to_owned()));
    }
    assert!(!State::parse("pondering").is_terminal());
}

#[test]
fn an_answer_belongs_to_its_call() {
    assert!(matches!(read(r#"{"jsonrpc":"2.0","id":"2","result":{}}"#, "1"), Envelope::Foreign(_)));
    assert!(matches!(read(r#"{"jsonrpc":"2.0","result":{}}"#, "1"), Envelope::Foreign(_)));
    assert!(matches!(read(r#"{"jsonrpc":"2.0","id":"2","error":{"code":-32601}}"#, "1"), Envelope::Foreign(_)));
    assert!(
        matches!(read(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#, "1"), Envelope::Error(error) if error.code == -32700)
    );
    assert!(matches!(read(r#"{"jsonrpc":"2.0","error":{"code":-32603}}"#, "1"), Envelope::Error(_)));
    assert!(matches!(read(r#"{"jsonrpc":"2.0","id":1,"result":{"id":"t"},"error":null}"#, "1"), Envelope::Result(_)));
}

#[test]
fn what_is_not_json_rpc_is_unusable() {
    let deep =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        " \n",
        "<html>",
        "[]",
        "{}",
        "null",
        r#"{"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1"}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":null}"#,
        &deep,
    ] {
        assert!(
            matches!(read(body, "1"), Envelope::Foreign(_) | Envelope::None(_)),
            "{}",
            body.chars().take(40).collect::<String>()
        );
    }
}

#[test]
fn ids_that_nobody_could_use_are_absent() {
    for id in [json!(""), json!(5), json!("a\nb"), json!("x".repeat(513)), Value::Null] {
        assert_eq!(task(&json!({"id": id, "status": {"state": "working"}})), None);
    }
    assert_eq!(task(&json!({"id": "t", "contextId": "a\u{0}"})).unwrap().context_id, None);
}

#[test]
fn cards_of_both_versions() {
    let union = json!({"name": "echo_agent", "supportedInterfaces": [
        {"url": "http://a/", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
        {"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
        {"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "url": "http://a/", "protocolVersion": "0.3", "preferredTransport": "JSONRPC"});
    assert_eq!(card(&union).unwrap().wires, [Wire::V03, Wire::V10]);
    for (old, wires) in [
        (json!({"name": "a", "url": "http://a/", "protocolVersion": "0.3.0"}), vec![Wire::V03]),
        (json!({"name": "a", "url": "http://a/"}), vec![Wire::V03]),
        (json!({"name": "a", "url": "http://a/", "supportedInterfaces": []}), vec![Wire::V03]),
        (
            json!({"name": "a", "supportedInterfaces": [{"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0.1"}]}),
            vec![Wire::V10],
        ),
        (
            json!({"name": "a", "supportedInterfaces": [{"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "2.0"}]}),
            vec![],
        ),
        (json!({"name": "a", "url": "http://a/", "preferredTransport": "GRPC"}), vec![]),
    ] {
        assert_eq!(card(&old).unwrap().wires, wires);
    }
    for no_card in [
        json!({"jsonrpc": "2.0", "error": {"code": -32600}}),
        json!({"name": "a"}),
        json!({"url": "http://a/"}),
        json!({"name": " ", "url": "http://a/"}),
        json!(1),
    ] {
        assert_eq!(card(&no_card), None);
    }
}

/// Any JSON, with the members this crate looks at.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from)
    ];
    let member = prop::sample::select(vec![
        "jsonrpc",
        "id",
        "result",
        "error",
        "code",
        "message",
        "data",
        "metadata",
        "reason",
        "task",
        "tasks",
        "status",
        "state",
        "kind",
        "role",
        "parts",
        "text",
        "artifacts",
        "history",
        "messageId",
        "contextId",
        "nextPageToken",
        "name",
        "url",
        "supportedInterfaces",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(member.clone(), inner, 0..6).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_within_bounds(value in any_json()) {
        invariants::any_card(&value);
        invariants::any_error(&value);
        invariants::any_result(&value, value.to_string().len());
        invariants::any_answer(value.to_string().as_bytes());
        for member in ["result", "error"] {
            let ours = json!({"jsonrpc": "2.0", "id": invariants::CALL_ID, member: value});
            invariants::any_answer(ours.to_string().as_bytes());
        }
    }

    #[test]
    fn any_bytes_are_read_within_bounds(body in prop::collection::vec(any::<u8>(), 0..200)) {
        invariants::any_answer(&body);
    }

    #[test]
    fn any_text_is_read_within_bounds(text in any::<String>()) {
        invariants::any_text(&text);
    }

    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!matches!(envelope(&body, StatusCode::OK, "1"), Envelope::Result(_)));
    }

    /// Members of a future version change nothing.
    #[test]
    fn unknown_members_change_nothing(extra in any_json()) {
        let plain = json!({"id": "t", "contextId": "c", "status": {"state": "completed"}, "artifacts": [{"parts": [{"text": "a"}]}]});
        let mut more = plain.clone();
        more["x-new"] = extra.clone();
        more["status"]["x-new"] = extra.clone();
        more["artifacts"][0]["parts"][0]["x-new"] = extra;
        prop_assert_eq!(task(&plain), task(&more));
    }
}
