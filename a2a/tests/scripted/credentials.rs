//! A refused token is replaced once, if there is another one by then, and never otherwise.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use a2a::{Agent, AgentOptions, Bearer, Class, agent_url, http_client};
use http::HeaderMap;
use serde_json::json;

use crate::script::{Play, Script};
use crate::versions::{no_method, send, task};

/// An agent whose token is another one each time it is asked for; the last stays, an empty one cannot be read.
fn agent(server: &Script, tokens: &[&'static str]) -> Agent {
    let tokens = Mutex::new(VecDeque::from(tokens.to_vec()));
    let bearer = Bearer::new(move || {
        let mut tokens = tokens.lock().unwrap();
        let token = if tokens.len() > 1 { tokens.pop_front() } else { tokens.front().copied() };
        token.filter(|token| !token.is_empty()).map(Into::into).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    });
    let options = AgentOptions { bearer: Some(bearer), ..AgentOptions::new(agent_url(&server.url).unwrap()) };
    Agent::new(http_client(Duration::from_secs(5)).unwrap(), options)
}

fn tokens(server: &Script) -> Vec<String> {
    server.seen().iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect()
}

fn unauthorized() -> Play {
    Play::Answer("401 Unauthorized", "www-authenticate: Bearer\r\n", "Unauthorized\n".to_owned())
}

fn refusals() -> Vec<Play> {
    vec![
        unauthorized(),
        Play::Answer("403 Forbidden", "", String::new()),
        Play::Error(json!({"code": -31401, "message": "unauthenticated"})),
        Play::Error(json!({"code": -31403, "message": "unauthorized"})),
    ]
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_new_one() {
    for refusal in refusals() {
        let server = Script::play(vec![refusal, task()]).await;
        send(&agent(&server, &["old", "new"])).await.unwrap();
        assert_eq!(tokens(&server), ["Bearer old", "Bearer new"]);
        let seen = server.seen();
        assert_eq!(seen[0].body, seen[1].body, "the same message");
    }
}

#[tokio::test]
async fn the_same_token_is_not_offered_again() {
    for refusal in refusals() {
        let server = Script::play(vec![refusal, task()]).await;
        assert_eq!(send(&agent(&server, &["old", "old"])).await.unwrap_err().class(), Class::Credentials);
        assert_eq!(tokens(&server), ["Bearer old"]);
    }
}

#[tokio::test]
async fn a_second_refusal_is_final() {
    let server = Script::play(vec![unauthorized(), unauthorized(), task()]).await;
    assert_eq!(send(&agent(&server, &["a", "b", "c", "d"])).await.unwrap_err().class(), Class::Credentials);
    assert_eq!(tokens(&server), ["Bearer a", "Bearer b"]);
}

#[tokio::test]
async fn without_a_second_token_the_refusal_stands() {
    let server = Script::play(vec![unauthorized(), task()]).await;
    let error = send(&agent(&server, &["old", ""])).await.unwrap_err();
    assert_eq!((error.class(), error.status().map(|status| status.as_u16())), (Class::Credentials, Some(401)));
    let server = Script::play(vec![unauthorized(), task()]).await;
    let none =
        Agent::new(http_client(Duration::from_secs(5)).unwrap(), AgentOptions::new(agent_url(&server.url).unwrap()));
    assert_eq!(send(&none).await.unwrap_err().class(), Class::Credentials);
    assert_eq!(server.seen().len(), 1);
}

/// The agent may have run, or nothing would change: a new token is no reason to say it again.
#[tokio::test]
async fn nothing_else_is_repeated_because_of_a_new_token() {
    let plays = || {
        vec![
            Play::Answer("400 Bad", "", String::new()),
            Play::Answer("407 Proxy", "", String::new()),
            Play::Answer("429 Slow", "", String::new()),
            Play::Answer("500 Oops", "", String::new()),
            Play::Answer("502 Bad", "", "403 Forbidden".to_owned()),
            Play::Answer("503 Busy", "", String::new()),
            Play::Error(json!({"code": -32603, "message": "401 Unauthorized"})),
            Play::Error(json!({"code": -32602, "message": "token"})),
            Play::Reset,
            Play::Raw(Vec::new()),
            Play::Answer("200 OK", "", "401".to_owned()),
        ]
    };
    for play in plays() {
        let server = Script::play(vec![play, task()]).await;
        let error = send(&agent(&server, &["old", "new"])).await.unwrap_err();
        assert_ne!(error.class(), Class::Credentials, "{error}");
        assert_eq!(tokens(&server), ["Bearer old"], "{error}");
    }
}

#[tokio::test]
async fn the_repeat_counts_when_it_is_lost() {
    let server = Script::play(vec![unauthorized(), Play::Reset]).await;
    let error = send(&agent(&server, &["old", "new"])).await.unwrap_err();
    assert_eq!((error.class(), error.left(), error.may_have_run()), (Class::Ambiguous, true, true));
}

#[tokio::test]
async fn a_new_token_and_the_other_version_go_together() {
    let server = Script::play(vec![unauthorized(), no_method(), unauthorized(), task()]).await;
    send(&agent(&server, &["a", "b", "b", "c"])).await.unwrap();
    assert_eq!(tokens(&server), ["Bearer a", "Bearer b", "Bearer b", "Bearer c"]);
}

#[tokio::test]
async fn every_operation_replaces_its_token() {
    let none = HeaderMap::new();
    let card = Play::Answer("200 OK", "", json!({"name": "a", "url": "http://a/"}).to_string());
    let list = Play::Result(json!({"tasks": []}));
    let plays = [task(), task(), list, card].into_iter().flat_map(|play| [unauthorized(), play]);
    let server = Script::play(plays.collect()).await;
    let agent = agent(&server, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    agent.get("t", None, &none).await.unwrap();
    agent.cancel("t", &none).await.unwrap();
    agent.list("c", None, &none).await.unwrap();
    agent.card(&none).await.unwrap();
    assert_eq!(tokens(&server).len(), 8);
}
