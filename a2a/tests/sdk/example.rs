//! The example `send` as a process.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::json;

use crate::agents::{KINDS, Kind, Server};

/// Cargo builds the examples before it runs a package's tests, but tells the tests nothing of their paths.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    path.push("send");
    assert!(path.exists(), "no {}: cargo build -p a2a --examples", path.display());
    path
}

fn send(url: &str, text: &str, token: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(program());
    command.args([url, text]).env_remove("A2A_TOKEN");
    let Output { status, stdout, stderr } = command.envs(token.map(|token| ("A2A_TOKEN", token))).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn it_prints_the_answer_of_a_run() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        for (text, code, answer) in [
            ("hello", 0, "echo: hello\n"),
            ("slow 0.5 abc", 0, "done after 0.5s: abc\n"),
            ("message hi", 0, "echo: hi\n"),
            ("empty", 0, "\n"),
        ] {
            assert_eq!(send(&server.url(), text, None), (Some(code), answer.to_owned(), String::new()), "{kind:?}");
        }
        for (text, words) in [
            ("fail disk full", "is failed: simulated failure: disk full"),
            ("input", "is input-required: Which cluster?"),
        ] {
            let (code, answer, trouble) = send(&server.url(), text, None);
            assert_eq!((code, answer.as_str()), (Some(1), ""), "{kind:?}");
            assert!(trouble.contains(words), "{trouble}");
        }
    }
}

#[tokio::test]
async fn it_says_what_an_error_means() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind).await;
        for (fault, code, words) in [
            (json!({"mode": "status", "status": 503, "retryAfter": "2"}), 3, "safe to send again later"),
            (json!({"mode": "drop_after"}), 4, "look for message send-"),
            (json!({"mode": "status", "status": 413}), 5, "would not help"),
            (json!({"mode": "status", "status": 401}), 6, "A2A_TOKEN"),
        ] {
            server.arm(&fault).await;
            let (met, answer, trouble) = send(&server.url(), "hello", None);
            assert_eq!((met, answer.as_str()), (Some(code), ""), "{kind:?} {fault} {trouble}");
            assert!(trouble.contains(words), "{trouble}");
        }
        assert_eq!(send("ftp://agent/", "hello", None).0, Some(2));
        assert_eq!(send("http://127.0.0.1:1/", "hello", None).0, Some(3));
    }
}

#[tokio::test]
async fn it_takes_the_token_from_the_environment_and_shows_it_to_nobody() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start_with(kind, &["--token", "s3cret"]).await;
        assert_eq!(send(&server.url(), "hello", Some("s3cret")).0, Some(0), "{kind:?}");
        let (code, answer, trouble) = send(&server.url(), "hello", Some("wr0ng"));
        assert_eq!((code, answer.as_str()), (Some(6), ""), "{kind:?}");
        assert!(!trouble.contains("wr0ng"), "{trouble}");
    }
}
