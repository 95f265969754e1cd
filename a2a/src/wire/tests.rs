use serde_json::{Value, json};

use super::{Call, Version, Wire, encode};
use crate::message::{Mode, Outgoing};

fn written(call: Call<'_>, wire: Wire) -> Value {
    serde_json::from_slice(&encode(call, wire, "m-nb")).unwrap()
}

fn full() -> Outgoing {
    Outgoing {
        context_id: Some("inc-42".to_owned()),
        task_id: Some("t-1".to_owned()),
        metadata: json!({"attempt": 2}).as_object().unwrap().clone(),
        ..Outgoing::new("m-nb", "slow 2 abc")
    }
}

#[test]
fn a_send_on_0_3_is_written_as_its_servers_expect() {
    let message = Outgoing::new("m-nb", "slow 2 abc");
    assert_eq!(
        written(Call::Send { message: &message, mode: Mode::NonBlocking }, Wire::V03),
        json!({"jsonrpc":"2.0","id":"m-nb","method":"message/send","params":{
            "message":{"kind":"message","role":"user","messageId":"m-nb","parts":[{"kind":"text","text":"slow 2 abc"}]},
            "configuration":{"blocking":false}}})
    );
    let blocking = written(Call::Send { message: &message, mode: Mode::Blocking }, Wire::V03);
    assert_eq!(blocking.pointer("/params/configuration"), Some(&json!({"blocking": true})));
}

#[test]
fn a_send_on_1_0_is_written_as_its_servers_expect() {
    let message = full();
    assert_eq!(
        written(Call::Send { message: &message, mode: Mode::NonBlocking }, Wire::V10),
        json!({"jsonrpc":"2.0","id":"m-nb","method":"SendMessage","params":{
            "message":{"role":"ROLE_USER","messageId":"m-nb","contextId":"inc-42","taskId":"t-1",
                "parts":[{"text":"slow 2 abc"}],"metadata":{"attempt":2}},
            "configuration":{"returnImmediately":true,"historyLength":0}}})
    );
    let blocking = written(Call::Send { message: &message, mode: Mode::Blocking }, Wire::V10);
    assert_eq!(blocking.pointer("/params/configuration/returnImmediately"), Some(&json!(false)));
}

#[test]
fn optional_members_are_the_same_on_both_wires() {
    let message = full();
    let call = Call::Send { message: &message, mode: Mode::NonBlocking };
    let (old, new) = (written(call, Wire::V03), written(call, Wire::V10));
    for member in ["contextId", "taskId", "metadata", "messageId"] {
        let path = format!("/params/message/{member}");
        assert!(old.pointer(&path).is_some(), "{member}");
        assert_eq!(old.pointer(&path), new.pointer(&path), "{member}");
    }
}

#[test]
fn the_other_calls_have_each_version_s_names() {
    let get = Call::Get { task_id: "t-1" };
    let cancel = Call::Cancel { task_id: "t-1" };
    let list = Call::List { context_id: "inc-42", page_token: Some("next") };
    let method = |call, wire| written(call, wire).get("method").unwrap().as_str().unwrap().to_owned();
    assert_eq!([get, cancel, list].map(|call| method(call, Wire::V03)), ["tasks/get", "tasks/cancel", "tasks/list"]);
    assert_eq!([get, cancel, list].map(|call| method(call, Wire::V10)), ["GetTask", "CancelTask", "ListTasks"]);
    for wire in [Wire::V03, Wire::V10] {
        assert_eq!(written(get, wire).pointer("/params"), Some(&json!({"id": "t-1", "historyLength": 0})));
        assert_eq!(written(cancel, wire).pointer("/params"), Some(&json!({"id": "t-1"})));
        let params = written(list, wire);
        assert_eq!(params.pointer("/params/contextId"), Some(&json!("inc-42")));
        assert_eq!(params.pointer("/params/pageToken"), Some(&json!("next")));
    }
}

#[test]
fn versions_read_back_as_they_are_shown() {
    for text in ["auto", "0.3", "1.0"] {
        assert_eq!(text.parse::<Version>().unwrap().to_string(), text);
    }
    assert_eq!("1.0".parse(), Ok(Wire::V10));
    assert!("auto".parse::<Wire>().is_err());
    assert!("2.0".parse::<Version>().is_err());
}

#[test]
fn a_message_does_not_show_its_text() {
    let shown = format!("{:?}", Outgoing::new("m-1", "the password is hunter2"));
    assert!(shown.contains("m-1") && !shown.contains("hunter2"), "{shown}");
}
