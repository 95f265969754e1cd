//! Switching the version, and reading cards, against scripted answers.

use std::time::Duration;

use a2a::{Agent, AgentOptions, Class, Mode, Outgoing, SendError, Sent, Version, Wire, agent_url, http_client};
use http::HeaderMap;
use serde_json::json;

use crate::script::{Play, Script};

pub(crate) fn agent(server: &Script, version: Version) -> Agent {
    let options = AgentOptions { version, ..AgentOptions::new(agent_url(&server.url).unwrap()) };
    Agent::new(http_client(Duration::from_secs(5)).unwrap(), options)
}

pub(crate) async fn send(agent: &Agent) -> Result<Sent, SendError> {
    agent.send(&Outgoing::new("m-1", "hello"), Mode::NonBlocking, &HeaderMap::new()).await
}

pub(crate) fn methods(server: &Script) -> Vec<String> {
    server.seen().iter().map(|seen| seen.method().to_owned()).collect()
}

pub(crate) fn task() -> Play {
    Play::Result(json!({"id": "t", "kind": "task", "status": {"state": "working"}}))
}

pub(crate) fn no_method() -> Play {
    Play::Error(json!({"code": -32601, "message": "Method not found"}))
}

fn refusals() -> Vec<Play> {
    vec![
        no_method(),
        Play::Error(json!({"code": -32009, "message": "A2A version '1.0' is not supported"})),
        Play::Answer("400 Bad Request", "", "unsupported A2A-Version \"1.0\"".to_owned()),
    ]
}

#[tokio::test]
async fn a_refused_version_is_switched_once_and_remembered() {
    for refusal in refusals() {
        let server = Script::play(vec![refusal, task(), task(), task()]).await;
        let agent = agent(&server, Version::Auto);
        let clone = agent.clone();
        assert_eq!(send(&agent).await.unwrap().wire, Wire::V03);
        assert_eq!(clone.wire(), Some(Wire::V03), "clones share what was learned");
        send(&clone).await.unwrap();
        clone.get("t", None, &HeaderMap::new()).await.unwrap();
        assert_eq!(methods(&server), ["SendMessage", "message/send", "message/send", "tasks/get"]);
    }
}

#[tokio::test]
async fn a_second_refusal_is_final() {
    let server = Script::play(vec![no_method(), no_method()]).await;
    let agent = agent(&server, Version::Auto);
    assert_eq!(send(&agent).await.unwrap_err().class(), Class::Terminal);
    assert_eq!(agent.wire(), None);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_fixed_version_is_not_switched() {
    for refusal in refusals() {
        let server = Script::play(vec![refusal, task()]).await;
        let error = send(&agent(&server, Version::Fixed(Wire::V10))).await.unwrap_err();
        assert_eq!((error.class(), server.seen().len()), (Class::Terminal, 1), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_switched_once_the_agent_may_have_run() {
    for play in [Play::Reset, Play::Error(json!({"code": -32603, "message": "Method not found"}))] {
        let server = Script::play(vec![play, task()]).await;
        assert_eq!(send(&agent(&server, Version::Auto)).await.unwrap_err().class(), Class::Ambiguous);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn the_second_call_counts_when_it_is_lost() {
    let server = Script::play(vec![no_method(), Play::Reset]).await;
    let error = send(&agent(&server, Version::Auto)).await.unwrap_err();
    assert_eq!((error.class(), error.failure().wire()), (Class::Ambiguous, Wire::V03));
}

#[tokio::test]
async fn a_known_wire_is_used_and_may_be_wrong() {
    let server = Script::play(vec![task(), no_method(), task()]).await;
    let agent = agent(&server, Version::Auto);
    agent.get("t", Some(Wire::V03), &HeaderMap::new()).await.unwrap();
    agent.get("t", Some(Wire::V03), &HeaderMap::new()).await.unwrap();
    assert_eq!(methods(&server), ["tasks/get", "tasks/get", "GetTask"]);
    assert_eq!(agent.wire(), Some(Wire::V10));
}

#[tokio::test]
async fn a_card_is_looked_for_at_both_addresses() {
    let card = json!({"name": "triage", "url": "http://inside/", "protocolVersion": "0.3.0"}).to_string();
    let server =
        Script::play(vec![Play::Answer("404 Not Found", "", String::new()), Play::Answer("200 OK", "", card)]).await;
    let card = agent(&server, Version::Auto).card(&HeaderMap::new()).await.unwrap();
    assert_eq!((card.name.as_str(), card.wires.as_slice()), ("triage", [Wire::V03].as_slice()));
    let paths: Vec<String> =
        server.seen().iter().filter_map(|seen| seen.head.split(' ').nth(1).map(str::to_owned)).collect();
    assert_eq!(
        paths,
        ["/agents/kagent/triage/.well-known/agent-card.json", "/agents/kagent/triage/.well-known/agent.json"]
    );
}

#[tokio::test]
async fn an_error_in_place_of_a_card_is_no_card() {
    let error = json!({"jsonrpc": "2.0", "error": {"code": -32600, "message": "invalid request"}}).to_string();
    // The old address of a2a-go: HTTP 200 with an error, as text.
    let old = Play::Answer("200 OK", "content-type: text/plain\r\n", error.clone());
    let server = Script::play(vec![Play::Answer("404 Not Found", "", String::new()), old]).await;
    assert!(agent(&server, Version::Auto).card(&HeaderMap::new()).await.is_err());
    for (status, body) in [("200 OK", error), ("200 OK", "<html>".to_owned()), ("503 Busy", String::new())] {
        let server = Script::play(vec![Play::Answer(status, "", body)]).await;
        assert!(agent(&server, Version::Auto).card(&HeaderMap::new()).await.is_err());
    }
}
