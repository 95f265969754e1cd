//! The client against the servers of the published SDKs: a2a-sdk 0.3.26 and 1.3.0.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use a2a::{Answer, CancelError, Class, GetError, ListError, Mode, SendError, State, Task, Version, Wire};
use http::HeaderMap;
use serde_json::json;

use agents::{KINDS, Kind, Server, follow, message, send};

mod agents;
mod example;
mod matrix;

fn none() -> HeaderMap {
    HeaderMap::new()
}

fn task(answer: Answer) -> Task {
    match answer {
        Answer::Task(task) => task,
        Answer::Message(reply) => panic!("no task but {reply:?}"),
    }
}

/// Sends a text and follows its task to a final or interrupted state.
async fn run(server: &Server, message_id: &str, text: &str) -> Task {
    let agent = server.agent();
    let sent = send(&agent, message_id, text).await.unwrap();
    let id = task(sent.answer).id;
    let task = follow(&agent, &id, |task| task.state.is_terminal() || task.state.is_interrupted()).await;
    assert_eq!(server.runs(message_id).await, 1);
    task
}

#[tokio::test]
async fn a_run_ends_as_the_agent_ends_it() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        for (text, state, result) in [
            ("hello", State::Completed, Some("echo: hello")),
            ("slow 0.2 abc", State::Completed, Some("done after 0.2s: abc")),
            ("fail disk full", State::Failed, Some("simulated failure: disk full")),
            ("reject no", State::Rejected, Some("simulated rejection: no")),
            ("input", State::InputRequired, Some("Which cluster?")),
            ("auth", State::AuthRequired, Some("approve in the agent's own console")),
            ("empty", State::Completed, None),
        ] {
            let task = run(&server, text, text).await;
            assert_eq!((&task.state, task.result_text()), (&state, result), "{kind:?} {text}");
            assert_eq!(task.context_id, Some(format!("context-{text}")), "{kind:?}");
        }
        let big = run(&server, "m-big", "big 3000000").await;
        assert_eq!(big.result_text().map(str::len), Some(3_000_000), "{kind:?}");
    }
}

#[tokio::test]
async fn a_direct_message_is_an_answer_without_a_task() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let sent = send(&server.agent(), "m-1", "message hi").await.unwrap();
        assert!(
            matches!(&sent.answer, Answer::Message(reply) if reply.text.as_deref() == Some("echo: hi")),
            "{sent:?}"
        );
    }
}

#[tokio::test]
async fn a_blocking_send_waits_for_the_end() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let sent = server.agent().send(&message("m-1", "slow 0.2 abc"), Mode::Blocking, &none()).await.unwrap();
        assert_eq!(task(sent.answer).state, State::Completed, "{kind:?}");
    }
}

#[tokio::test]
async fn a_question_is_answered_on_the_same_task() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let asked = run(&server, "m-1", "input").await;
        let mut answer = message("m-2", "prod");
        answer.context_id.clone_from(&asked.context_id);
        answer.task_id = Some(asked.id.clone());
        let agent = server.agent();
        agent.send(&answer, Mode::NonBlocking, &none()).await.unwrap();
        let done = follow(&agent, &asked.id, |task| task.state.is_terminal()).await;
        assert_eq!(
            (done.state, done.artifacts_text.as_deref()),
            (State::Completed, Some("echo: echo continued prod")),
            "{kind:?}"
        );
        let late = agent.send(&answer, Mode::NonBlocking, &none()).await.unwrap_err();
        assert_eq!(late.class(), Class::Terminal, "{kind:?} {late}");
    }
}

#[tokio::test]
async fn an_agent_that_breaks_down_at_once_is_ambiguous() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let error = server.agent().send(&message("m-1", "raise x"), Mode::Blocking, &none()).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (Class::Ambiguous, Some(-32603)), "{kind:?}");
        assert_eq!(server.runs("m-1").await, 1);
    }
}

/// 0.3.26 leaves such a task working for ever: only a deadline of the caller ends it.
#[tokio::test]
async fn an_agent_that_breaks_down_later_leaves_a_task() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let agent = server.agent();
        let id = task(send(&agent, "m-1", "raise-late x").await.unwrap().answer).id;
        let expected = if kind == Kind::Old { State::Working } else { State::Failed };
        follow(&agent, &id, |task| task.state == expected).await;
    }
}

#[tokio::test]
async fn the_version_is_found_out_and_remembered() {
    for kind in [Kind::Old, Kind::New, Kind::Both, Kind::Strict] {
        let server = Server::start(kind).await;
        let agent = server.agent();
        for message_id in ["m-1", "m-2"] {
            assert_eq!(send(&agent, message_id, "hello").await.unwrap().wire, kind.wire(), "{kind:?}");
            assert_eq!(server.runs(message_id).await, 1, "{kind:?}");
        }
        assert_eq!(agent.wire(), Some(kind.wire()));
        let switches = usize::from(kind == Kind::Old);
        assert_eq!(server.methods().await.len(), 2 + switches, "{kind:?}");
    }
}

/// A wire from an old record may not be the one the agent speaks now.
#[tokio::test]
async fn the_wrong_wire_is_switched_in_both_directions() {
    for (kind, wrong) in [(Kind::Old, Wire::V10), (Kind::New, Wire::V03), (Kind::Strict, Wire::V03)] {
        let server = Server::start(kind).await;
        let id = task(send(&server.agent(), "m-1", "hello").await.unwrap().answer).id;
        let agent = server.agent();
        assert_eq!(agent.get(&id, Some(wrong), &none()).await.unwrap().id, id, "{kind:?}");
        assert_eq!(agent.wire(), Some(kind.wire()));
    }
}

#[tokio::test]
async fn a_fixed_version_is_spoken_or_refused() {
    let both = Server::start(Kind::Both).await;
    for wire in [Wire::V03, Wire::V10] {
        let agent = both.agent_with(|options| options.version = Version::Fixed(wire));
        assert_eq!(send(&agent, wire.as_str(), "hello").await.unwrap().wire, wire);
    }
    for (kind, wrong) in [(Kind::Old, Wire::V10), (Kind::New, Wire::V03), (Kind::Strict, Wire::V03)] {
        let server = Server::start(kind).await;
        let agent = server.agent_with(|options| options.version = Version::Fixed(wrong));
        assert_eq!(send(&agent, "m-1", "hello").await.unwrap_err().class(), Class::Terminal, "{kind:?}");
        assert_eq!(server.runs("m-1").await, 0);
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_again_where_the_agent_can_list() {
    for kind in [Kind::New, Kind::Both] {
        let server = Server::start(kind).await;
        let agent = server.agent();
        assert_eq!(agent.find("context-m-1", "m-1", &none()).await.unwrap(), None, "{kind:?}");
        server.arm(&json!({"mode": "drop_after"})).await;
        assert!(matches!(send(&agent, "m-1", "hello").await, Err(SendError::Ambiguous(_))));
        let found = agent.find("context-m-1", "m-1", &none()).await.unwrap().unwrap();
        let done = follow(&agent, &found.id, |task| task.state.is_terminal()).await;
        assert_eq!(done.result_text(), Some("echo: hello"), "{kind:?}");
        assert_eq!(server.runs("m-1").await, 1);
        assert_eq!(agent.find("context-m-1", "m-other", &none()).await.unwrap(), None);
    }
    let server = Server::start(Kind::Old).await;
    let found = server.agent().find("context-m-1", "m-1", &none()).await;
    assert!(matches!(found, Err(ListError::Unsupported(_))), "{found:?}");
}

#[tokio::test]
async fn an_unknown_task_is_not_found() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let agent = server.agent();
        let error = agent.get("no-such-task", None, &none()).await.unwrap_err();
        assert!(matches!(error, GetError::NotFound(_)), "{kind:?} {error}");
        let error = agent.cancel("no-such-task", &none()).await.unwrap_err();
        assert!(matches!(error, CancelError::NotFound(_)), "{kind:?} {error}");
        let mut continued = message("m-1", "hello");
        continued.task_id = Some("no-such-task".to_owned());
        let error = agent.send(&continued, Mode::NonBlocking, &none()).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (Class::Terminal, Some(-32001)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_running_task_is_canceled_and_an_ended_one_is_not() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let agent = server.agent();
        let id = task(send(&agent, "m-1", "hang").await.unwrap().answer).id;
        follow(&agent, &id, |task| task.state == State::Working).await;
        assert_eq!(agent.cancel(&id, &none()).await.unwrap().state, State::Canceled, "{kind:?}");
        let ended = agent.cancel(&id, &none()).await.unwrap_err();
        assert!(matches!(ended, CancelError::NotCancelable(_)), "{kind:?} {ended}");
    }
}

#[tokio::test]
async fn a_token_is_read_again_at_each_call() {
    let server = Server::start_with(Kind::New, &["--token", "right"]).await;
    let token = std::sync::Arc::new(std::sync::Mutex::new("wrong"));
    let file = std::sync::Arc::clone(&token);
    let agent = server.agent_with(|options| {
        options.bearer = Some(a2a::Bearer::new(move || Ok((*file.lock().unwrap()).into())));
    });
    assert!(matches!(send(&agent, "m-1", "hello").await, Err(SendError::Credentials(_))));
    *token.lock().unwrap() = "right";
    send(&agent, "m-2", "hello").await.unwrap();
}

/// The file may change between reading it and the refusal.
#[tokio::test]
async fn a_token_that_changed_meanwhile_is_offered_at_once() {
    for kind in KINDS {
        let server = Server::start_with(kind, &["--token", "right"]).await;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let agent = server.agent_with(|options| {
            options.bearer = Some(a2a::Bearer::new(move || {
                let first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                Ok(if first { "old" } else { "right" }.into())
            }));
        });
        send(&agent, "m-1", "hello").await.unwrap();
        assert_eq!(server.runs("m-1").await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn each_card_offers_what_the_agent_speaks() {
    for (kind, wires) in
        [(Kind::Old, vec![Wire::V03]), (Kind::New, vec![Wire::V10]), (Kind::Both, vec![Wire::V10, Wire::V03])]
    {
        let server = Server::start(kind).await;
        let card = server.agent().card(&none()).await.unwrap();
        assert_eq!((card.name.as_str(), card.wires), ("echo_agent", wires), "{kind:?}");
    }
}
