//! Sends a text to an agent, follows the run until it ends, and prints the answer.
//!
//! ```text
//! A2A_TOKEN=... cargo run -p a2a --example send -- URL TEXT
//! ```
//!
//! Exit codes: 0 the agent answered, 1 the run ended otherwise or could not be followed, 2 wrong use,
//! 3 not taken (try again later), 4 nobody knows whether it ran, 5 refused for good, 6 credentials refused.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use a2a::{Agent, AgentOptions, Answer, Bearer, GetError, Mode, Outgoing, SendError, State, Task, Wire};
use http::HeaderMap;

/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(20 * 60);
/// The time between two looks at a run grows from the first to the second.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, text] = arguments.as_slice() else {
        eprintln!("usage: send URL TEXT (the bearer token, if one is needed, in A2A_TOKEN)");
        return ExitCode::from(2);
    };
    let agent = match agent(url) {
        Ok(agent) => agent,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let message = Outgoing::new(new_id(), text);
    let (task, wire) = match agent.send(&message, Mode::NonBlocking, &HeaderMap::new()).await {
        Ok(sent) => match sent.answer {
            Answer::Task(task) => (task, sent.wire),
            Answer::Message(reply) => {
                println!("{}", reply.text.unwrap_or_default());
                return ExitCode::SUCCESS;
            }
        },
        Err(error) => return not_sent(&error, &message.message_id),
    };
    match follow(&agent, task, wire).await {
        Ok(task) => ended(&task),
        Err(error) => {
            eprintln!("the run goes on, but cannot be followed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The token comes from the environment only: arguments are seen by everybody on the machine.
#[expect(clippy::disallowed_methods, reason = "an example has no settings.rs")]
fn agent(url: &str) -> Result<Agent, Box<dyn std::error::Error>> {
    let mut options = AgentOptions::new(a2a::agent_url(url)?);
    options.bearer = std::env::var("A2A_TOKEN").ok().map(|token| Bearer::fixed(token.into()));
    Ok(Agent::new(a2a::http_client(Duration::from_secs(5))?, options))
}

/// An id that nobody else uses. A program that may have to send again stores it first.
fn new_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("send-{}-{}", std::process::id(), now.as_nanos())
}

/// What the class of the error means for the person at the terminal.
fn not_sent(error: &SendError, message_id: &str) -> ExitCode {
    eprintln!("{error}");
    let (advice, code) = match error {
        SendError::NotExecuted(_) => ("nothing ran: it is safe to send again later".to_owned(), 3),
        SendError::Ambiguous(_) => {
            (format!("it may have run: look for message {message_id} at the agent before sending again"), 4)
        }
        SendError::Terminal(_) => ("nothing ran, and sending again would not help: check the address".to_owned(), 5),
        SendError::Credentials(_) => ("nothing ran: put the agent's bearer token into A2A_TOKEN".to_owned(), 6),
    };
    eprintln!("{advice}");
    if let Some(wait) = error.retry_after() {
        eprintln!("the agent asks to wait {wait:?}");
    }
    ExitCode::from(code)
}

/// Looks at the run until it ends or waits for somebody. Looking changes nothing, so that trouble is waited out.
async fn follow(agent: &Agent, mut task: Task, wire: Wire) -> Result<Task, GetError> {
    let until = Instant::now() + DEADLINE;
    let mut pause = FIRST_LOOK;
    while !task.state.is_terminal() && !task.state.is_interrupted() {
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_LOOK);
        match agent.get(&task.id, Some(wire), &HeaderMap::new()).await {
            Ok(latest) => task = latest,
            Err(error @ GetError::Credentials(_)) => return Err(error),
            Err(error) if Instant::now() > until => return Err(error),
            Err(error) => pause = error.retry_after().unwrap_or(pause),
        }
        if Instant::now() > until {
            break;
        }
    }
    Ok(task)
}

fn ended(task: &Task) -> ExitCode {
    let text = task.result_text().unwrap_or_default();
    if task.state == State::Completed {
        println!("{text}");
        return ExitCode::SUCCESS;
    }
    eprintln!("task {} is {}: {text}", task.id, task.state.as_str());
    ExitCode::FAILURE
}
