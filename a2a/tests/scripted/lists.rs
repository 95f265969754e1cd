//! Listing tasks and searching the list, against scripted answers.

use a2a::{ListError, Version, Wire};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::script::{Play, Script};
use crate::versions::{agent, methods, no_method, send, task};

fn listed(id: &str, message: &str, next: &str) -> Play {
    Play::Result(json!({"tasks": [{"id": id, "history": [{"messageId": message}]}], "nextPageToken": next}))
}

async fn find(plays: Vec<Play>) -> (Result<Option<String>, ListError>, Script) {
    let server = Script::play(plays).await;
    let found = agent(&server, Version::Auto).find("inc-1", "m-1", &HeaderMap::new()).await;
    (found.map(|task| task.map(|task| task.id)), server)
}

#[tokio::test]
async fn a_message_is_found_on_a_later_page() {
    let (found, server) = find(vec![listed("a", "m-0", "p2"), listed("b", "m-1", "")]).await;
    assert_eq!(found, Ok(Some("b".to_owned())));
    let tokens: Vec<Option<Value>> =
        server.seen().iter().map(|seen| seen.body.pointer("/params/pageToken").cloned()).collect();
    assert_eq!(tokens, [None, Some(json!("p2"))]);
}

#[tokio::test]
async fn a_list_searched_to_its_end_says_no() {
    assert_eq!(find(vec![listed("a", "m-0", "")]).await.0, Ok(None));
    let unknown = Play::Error(json!({"code": -32603, "message": "get session inc-1: record not found"}));
    assert_eq!(find(vec![unknown]).await.0, Ok(None));
}

#[tokio::test]
async fn a_list_that_cannot_be_searched_to_its_end_says_neither() {
    let endless = (0..20).map(|page| listed("a", "m-0", &page.to_string())).collect();
    let (found, server) = find(endless).await;
    assert!(matches!(found, Err(ListError::Unsupported(_))), "{found:?}");
    assert_eq!(server.seen().len(), 5);
    let blind = Play::Result(json!({"tasks": [{"id": "a"}]}));
    assert!(matches!(find(vec![blind]).await.0, Err(ListError::Unsupported(_))));
    assert!(matches!(find(vec![Play::Result(json!({"id": "a"}))]).await.0, Err(ListError::Failed(_))));
}

#[tokio::test]
async fn an_agent_without_a_list_says_so_on_both_wires() {
    let (found, server) = find(vec![no_method(), no_method()]).await;
    assert!(matches!(found, Err(ListError::Unsupported(_))), "{found:?}");
    assert_eq!(methods(&server), ["ListTasks", "tasks/list"]);
    let (found, _) = find(vec![Play::Error(json!({"code": -32004, "message": "unsupported"}))]).await;
    assert!(matches!(found, Err(ListError::Unsupported(_))), "{found:?}");
}

#[tokio::test]
async fn a_missing_list_does_not_change_the_version() {
    let server = Script::play(vec![task(), no_method(), no_method(), task()]).await;
    let agent = agent(&server, Version::Auto);
    send(&agent).await.unwrap();
    agent.find("inc-1", "m-1", &HeaderMap::new()).await.unwrap_err();
    send(&agent).await.unwrap();
    assert_eq!(methods(&server), ["SendMessage", "ListTasks", "tasks/list", "SendMessage"]);
}

#[tokio::test]
async fn pages_are_handed_on_one_by_one() {
    let server = Script::play(vec![no_method(), listed("a", "m-0", "p2"), listed("b", "m-1", "")]).await;
    let agent = agent(&server, Version::Auto);
    let first = agent.list("inc-1", None, &HeaderMap::new()).await.unwrap();
    assert_eq!((first.wire, first.complete, first.next_page_token.as_deref()), (Wire::V03, true, Some("p2")));
    assert_eq!(first.tasks[0].message_ids, ["m-0"]);
    let second = agent.list("inc-1", Some("p2"), &HeaderMap::new()).await.unwrap();
    assert_eq!((second.tasks[0].id.as_str(), second.next_page_token), ("b", None));
    let last = server.seen().pop().unwrap();
    assert_eq!(last.body.pointer("/params/contextId"), Some(&json!("inc-1")));
    assert_eq!(last.body.pointer("/params/pageToken"), Some(&json!("p2")));
}

#[tokio::test]
async fn an_unknown_conversation_has_an_empty_list() {
    let unknown = Play::Error(json!({"code": -32603, "message": "get session inc-1: record not found"}));
    let server = Script::play(vec![unknown, Play::Error(json!({"code": -32603, "message": "database is gone"}))]).await;
    let agent = agent(&server, Version::Auto);
    let page = agent.list("inc-1", None, &HeaderMap::new()).await.unwrap();
    assert_eq!((page.tasks.len(), page.complete, page.next_page_token), (0, true, None));
    let broken = agent.list("inc-1", None, &HeaderMap::new()).await;
    assert!(matches!(broken, Err(ListError::Failed(_))), "{broken:?}");
}

/// What is hidden may be the message that is looked for.
#[tokio::test]
async fn a_page_token_that_cannot_be_sent_back_hides_the_rest() {
    for token in [json!("x".repeat(5000)), json!("a\nb"), json!(2)] {
        let list = json!({"tasks": [{"id": "a", "history": [{"messageId": "m-0"}]}], "nextPageToken": token});
        let found = find(vec![Play::Result(list)]).await.0;
        assert!(matches!(found, Err(ListError::Unsupported(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_history_cut_at_the_length_asked_for_hides_its_beginning() {
    let long = |length: usize| {
        let history: Vec<Value> = (0..length).map(|n| json!({"messageId": format!("r-{n}")})).collect();
        Play::Result(json!({"tasks": [{"id": "a", "history": history}]}))
    };
    assert!(matches!(find(vec![long(100)]).await.0, Err(ListError::Unsupported(_))));
    for whole in [99, 101] {
        assert_eq!(find(vec![long(whole)]).await.0, Ok(None), "{whole}");
    }
}
