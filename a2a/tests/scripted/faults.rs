//! What a broken exchange means, against a server that breaks it in every way we know.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use a2a::{Agent, AgentOptions, Answer, Cause, Class, Mode, Outgoing, SendError, agent_url, http_client};
use http::HeaderMap;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::script::{Play, Script};

fn agent(url: &str) -> Agent {
    agent_with(url, |_| {})
}

fn agent_with(url: &str, change: impl FnOnce(&mut AgentOptions)) -> Agent {
    let mut options = AgentOptions::new(agent_url(url).unwrap());
    change(&mut options);
    Agent::new(http_client(Duration::from_secs(5)).unwrap(), options)
}

async fn send(agent: &Agent) -> Result<a2a::Sent, SendError> {
    agent.send(&Outgoing::new("inc-1-investigation", "hello"), Mode::NonBlocking, &HeaderMap::new()).await
}

async fn refused_by(play: Play) -> SendError {
    let server = Script::play(vec![play]).await;
    let error = send(&agent(&server.url)).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "one call, no retry");
    error
}

#[tokio::test]
async fn a_connection_that_was_never_made_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    for url in [closed.as_str(), "http://agent.invalid/"] {
        let error = send(&agent(url)).await.unwrap_err();
        assert_eq!((error.class(), error.left()), (Class::NotExecuted, false), "{error}");
        assert!(matches!(error.failure().cause(), Cause::Connect(_)), "{error}");
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing() {
    let patience = Duration::from_millis(300);
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |listener: &tokio::net::TcpListener| format!("https://{}/", listener.local_addr().unwrap());
    let (plain_url, silent_url) = (url(&plain), url(&silent));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for url in [plain_url, silent_url] {
        let agent = Agent::new(http_client(patience).unwrap(), AgentOptions::new(agent_url(&url).unwrap()));
        let error = send(&agent).await.unwrap_err();
        assert_eq!((error.class(), error.left()), (Class::NotExecuted, false), "{error}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"jsonrpc\":\"2.0\",\"resu".to_vec();
    for play in [Play::Reset, Play::Raw(Vec::new()), Play::Raw(b"HTTP/1.1 200".to_vec()), Play::Raw(half)] {
        let error = refused_by(play).await;
        assert_eq!((error.class(), error.left()), (Class::Ambiguous, true), "{error}");
        assert!(matches!(error.failure().cause(), Cause::Lost(_)), "{error}");
    }
}

/// A server may close an idle connection just as a request arrives on it: unlike a failed connect, that proves nothing.
#[tokio::test]
async fn a_reused_connection_that_ends_without_a_byte_is_ambiguous() {
    let task = json!({"task": {"id": "t"}});
    for end in [Play::Raw(Vec::new()), Play::Reset] {
        let server = Script::play(vec![Play::Keep(task.clone()), end, Play::Result(task.clone())]).await;
        let agent = agent(&server.url);
        send(&agent).await.unwrap();
        let error = send(&agent).await.unwrap_err();
        assert_eq!((error.class(), error.left(), error.may_have_run()), (Class::Ambiguous, true, true), "{error}");
        let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [1, 1], "reused, and not repeated by anything below us");
    }
}

/// Without an answer to the TCP handshake nothing has left, whichever limit ends the wait.
#[tokio::test]
async fn a_connect_that_times_out_sent_nothing() {
    // Documentation addresses (RFC 5737) are routed nowhere; some networks refuse them at once, which is as good.
    let patience = Duration::from_millis(200);
    let agent = Agent::new(http_client(patience).unwrap(), AgentOptions::new(agent_url("http://192.0.2.1/").unwrap()));
    let error = send(&agent).await.unwrap_err();
    assert_eq!((error.class(), error.left()), (Class::NotExecuted, false), "{error}");
}

#[tokio::test]
async fn silence_is_ambiguous() {
    let server = Script::play(vec![Play::Silence]).await;
    let patience = Duration::from_millis(200);
    let error = send(&agent_with(&server.url, |options| options.send_timeout = patience)).await.unwrap_err();
    assert_eq!(error.class(), Class::Ambiguous);
    assert_eq!(error.failure().cause(), &Cause::Timeout(patience));
}

#[tokio::test]
async fn a_success_without_a_usable_answer_is_ambiguous() {
    let other = json!({"jsonrpc": "2.0", "id": "somebody-else", "result": {"id": "t"}}).to_string();
    for body in ["", "<html>gateway</html>", "{}", &other] {
        let error = refused_by(Play::Answer("200 OK", "", body.to_owned())).await;
        assert_eq!(error.class(), Class::Ambiguous, "{body}");
        assert!(matches!(error.failure().cause(), Cause::Protocol(..)), "{error}");
    }
    assert_eq!(refused_by(Play::Result(json!({"task": {"status": {}}}))).await.class(), Class::Ambiguous);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_limit() {
    let server = Script::play(vec![Play::Result(json!({"task": {"id": "x".repeat(100_000)}}))]).await;
    let error = send(&agent_with(&server.url, |options| options.max_body = 10_000)).await.unwrap_err();
    assert_eq!((error.class(), error.failure().cause()), (Class::Ambiguous, &Cause::TooLarge(10_000)));
}

#[tokio::test]
async fn a_status_tells_what_to_do_and_when() {
    let busy = refused_by(Play::Answer("503 Service Unavailable", "retry-after: 2\r\n", "busy\n".to_owned())).await;
    assert_eq!((busy.class(), busy.retry_after()), (Class::NotExecuted, Some(Duration::from_secs(2))));
    assert_eq!(busy.to_string(), "not taken, try again later: HTTP 503: busy");
    let past =
        refused_by(Play::Answer("429 Slow", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", String::new())).await;
    assert_eq!((past.class(), past.retry_after()), (Class::NotExecuted, Some(Duration::ZERO)));
    let moved = refused_by(Play::Answer("307 Moved", "location: http://127.0.0.1:1/\r\n", String::new())).await;
    assert_eq!(moved.class(), Class::Terminal, "redirects are not followed");
    for (value, wait) in
        [("-1", None), ("soon", None), ("1.5", None), ("99999999999999999999999", Some(300)), ("301", Some(300))]
    {
        let headers: &'static str = format!("retry-after: {value}\r\n").leak();
        let error = refused_by(Play::Answer("503 Busy", headers, String::new())).await;
        assert_eq!(error.retry_after(), wait.map(Duration::from_secs), "{value}");
    }
    assert_eq!(refused_by(Play::Answer("401 No", "", String::new())).await.class(), Class::Credentials);
    assert_eq!(refused_by(Play::Answer("502 Bad", "", "x".repeat(9999))).await.class(), Class::Ambiguous);
}

#[tokio::test]
async fn a_json_rpc_error_counts_whatever_the_status_and_type() {
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32602, "message": "no\u{7}"}}).to_string();
    let error = refused_by(Play::Answer("500 Oops", "content-type: text/plain\r\n", body)).await;
    assert_eq!((error.class(), error.code()), (Class::Terminal, Some(-32602)));
    assert_eq!(error.status().map(|status| status.as_u16()), Some(500));
    assert!(error.to_string().ends_with("no\\u{7}"), "{error}");
    let data = json!([{"reason": "TASK_NOT_FOUND", "domain": "a2a-protocol.org"}]);
    let error = refused_by(Play::Error(json!({"code": -32001, "message": "no", "data": data}))).await;
    assert_eq!(error.details()[0].reason.as_deref(), Some("TASK_NOT_FOUND"));
    assert!(refused_by(Play::Reset).await.details().is_empty());
}

#[tokio::test]
async fn the_headers_are_the_protocol_s_the_options_and_the_caller_s() {
    let server = Script::play(vec![Play::Result(json!({"task": {"id": "t"}}))]).await;
    let agent = agent_with(&server.url, |options| {
        options.user_id = Some("stream-dispatcher".to_owned());
        options.bearer = Some(a2a::Bearer::fixed("s3cret".into()));
    });
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
    headers.insert("a2a-version", "9.9".parse().unwrap());
    agent.send(&Outgoing::new("m-1", "hello"), Mode::NonBlocking, &headers).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.header("a2a-version"), Some("1.0"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-user-id"), Some("stream-dispatcher"));
    assert_eq!(seen.header("authorization"), Some("Bearer s3cret"));
    assert!(seen.header("traceparent").is_some_and(|value| value.starts_with("00-0af7")));
    assert_eq!(seen.body["id"], json!("m-1"));
    assert!(!format!("{agent:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_cannot_be_written_does_not_leave() {
    let server = Script::play(vec![]).await;
    let bad_user = agent_with(&server.url, |options| options.user_id = Some("a\nb".to_owned()));
    let no_token = agent_with(&server.url, |options| {
        options.bearer = Some(a2a::Bearer::new(|| Err(std::io::ErrorKind::NotFound.into())));
    });
    let bad_user = send(&bad_user).await.unwrap_err();
    let no_token = send(&no_token).await.unwrap_err();
    assert_eq!((bad_user.class(), bad_user.left()), (Class::Terminal, false));
    assert_eq!((no_token.class(), no_token.left()), (Class::Credentials, false));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn another_task_than_the_one_asked_for_is_not_taken() {
    let server = Script::play(vec![Play::Result(json!({"id": "t-2", "status": {"state": "completed"}}))]).await;
    let error = agent(&server.url).get("t-1", None, &HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error.failure().cause(), Cause::Protocol(..)), "{error}");
}

/// The child runs without any CA certificate: only then does the fallback matter.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the child must know that it is the child")]
async fn plain_http_works_without_ca_certificates() {
    const CHILD: &str = "A2A_TEST_WITHOUT_CA";
    if std::env::var_os(CHILD).is_some() {
        let server = Script::play(vec![Play::Result(json!({"task": {"id": "t"}}))]).await;
        let sent = send(&agent(&server.url)).await.unwrap();
        assert!(matches!(sent.answer, Answer::Task(task) if task.id == "t"));
        return;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::plain_http_works_without_ca_certificates"])
        .envs([(CHILD, "1"), ("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}
