//! The operations on one agent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::Url;
use serde_json::Value;

use crate::card::Card;
use crate::classify;
use crate::error::{CancelError, CardError, GetError, ListError, SendError};
use crate::failure::{Cause, Failure};
use crate::message::{Mode, Outgoing, Sent};
use crate::options::AgentOptions;
use crate::page::Page;
use crate::parse;
use crate::rpc::Caller;
use crate::task::Task;
use crate::wire::{Call, Version, Wire, encode};

/// Most pages of a list that are searched for a message.
const MAX_PAGES: usize = 5;

/// One agent. Clones share what was learned about its version.
#[derive(Clone)]
pub struct Agent {
    http: reqwest::Client,
    shared: Arc<Shared>,
}

struct Shared {
    options: AgentOptions,
    /// 0 unknown, else 1 + the index of the wire in [`WIRES`].
    learned: AtomicU8,
}

const WIRES: [Wire; 2] = [Wire::V03, Wire::V10];

impl Agent {
    /// Makes no call. For the client see [`crate::http_client`].
    pub fn new(http: reqwest::Client, options: AgentOptions) -> Self {
        Self { http, shared: Arc::new(Shared { options, learned: AtomicU8::new(0) }) }
    }

    /// The wire that was configured, or learned from the agent's answers.
    pub fn wire(&self) -> Option<Wire> {
        match self.shared.options.version {
            Version::Fixed(wire) => Some(wire),
            Version::Auto => {
                let learned = usize::from(self.shared.learned.load(Ordering::Relaxed));
                learned.checked_sub(1).and_then(|index| WIRES.get(index)).copied()
            }
        }
    }

    /// Sends a message. `headers` is for what belongs to the call, such as the trace context.
    pub async fn send(&self, message: &Outgoing, mode: Mode, headers: &HeaderMap) -> Result<Sent, SendError> {
        let timeout = match mode {
            Mode::NonBlocking => self.shared.options.send_timeout,
            Mode::Blocking => self.shared.options.blocking_timeout,
        };
        let caller = self.caller(None, timeout, headers);
        let (wire, result) = self.call(caller, Call::Send { message, mode }, &message.message_id).await?;
        match parse::answer(&result) {
            Some(answer) => Ok(Sent { wire, answer }),
            None => Err(unusable(wire, "the result is neither a task nor a message").into()),
        }
    }

    /// Reads a task. `wire` is the one it was sent on, if that is known.
    pub async fn get(&self, task_id: &str, wire: Option<Wire>, headers: &HeaderMap) -> Result<Task, GetError> {
        let caller = self.caller(wire, self.shared.options.get_timeout, headers);
        let (wire, result) = self.call(caller, Call::Get { task_id }, task_id).await?;
        Ok(the_task(&result, task_id, wire)?)
    }

    /// Cancels a task. Many agents cannot.
    pub async fn cancel(&self, task_id: &str, headers: &HeaderMap) -> Result<Task, CancelError> {
        let caller = self.caller(None, self.shared.options.get_timeout, headers);
        let (wire, result) = self.call(caller, Call::Cancel { task_id }, task_id).await?;
        Ok(the_task(&result, task_id, wire)?)
    }

    /// Lists the tasks of a conversation, 20 at a time on 1.0. Without a `page_token` it begins with the first page.
    ///
    /// A conversation that the agent does not know has an empty list. 0.3 has no such call, but kagent 0.10 offers it there.
    pub async fn list(
        &self,
        context_id: &str,
        page_token: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Page, ListError> {
        let mut caller = self.caller(None, self.shared.options.get_timeout, headers);
        self.page(&mut caller, context_id, page_token, context_id).await
    }

    /// Looks among the tasks of a context for the one that a message of ours began or continued.
    ///
    /// `None` means that the agent's list, searched to its end, does not have it. Some servers write their
    /// lists late: ask again after some seconds before concluding that the message never arrived.
    pub async fn find(
        &self,
        context_id: &str,
        message_id: &str,
        headers: &HeaderMap,
    ) -> Result<Option<Task>, ListError> {
        let mut caller = self.caller(None, self.shared.options.get_timeout, headers);
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(&mut caller, context_id, token.as_deref(), message_id).await?;
            if let Some(task) = page.tasks.into_iter().find(|task| task.message_ids.iter().any(|id| id == message_id)) {
                return Ok(Some(task));
            }
            if !page.complete {
                return Err(incomplete(page.wire, "it does not show all of its tasks' messages"));
            }
            token = page.next_page_token;
            if token.is_none() {
                return Ok(None);
            }
        }
        Err(incomplete(caller.wire, "it has too many tasks in this context"))
    }

    /// Reads the agent's card, at its present and at its old address.
    pub async fn card(&self, headers: &HeaderMap) -> Result<Card, CardError> {
        let caller = self.caller(None, self.shared.options.get_timeout, headers);
        let mut result = caller.fetch(&self.card_url("agent-card.json")).await;
        if matches!(&result, Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND)) {
            result = caller.fetch(&self.card_url("agent.json")).await;
        }
        parse::card(&result?).ok_or_else(|| unusable(caller.wire, "the answer is not an agent card").into())
    }

    /// One page of a list; the caller goes on with the wire that was understood.
    async fn page(
        &self,
        caller: &mut Caller<'_>,
        context_id: &str,
        page_token: Option<&str>,
        id: &str,
    ) -> Result<Page, ListError> {
        let call = Call::List { context_id, page_token };
        let mut result = caller.call(id, &encode(call, caller.wire, id)).await;
        // Not remembered: a server may speak this version and only lack the method.
        if self.should_switch(&result) {
            caller.wire = caller.wire.other();
            result = caller.call(id, &encode(call, caller.wire, id)).await;
        }
        let wire = caller.wire;
        match result {
            Ok(result) => {
                parse::page(&result, wire).ok_or_else(|| unusable(wire, "the result is not a list of tasks").into())
            }
            Err(failure) if classify::is_context_not_found(failure.cause()) => {
                Ok(Page { tasks: Vec::new(), next_page_token: None, complete: true, wire })
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn caller<'a>(&'a self, wire: Option<Wire>, timeout: Duration, headers: &'a HeaderMap) -> Caller<'a> {
        let wire = wire.or_else(|| self.wire()).unwrap_or(Wire::V10);
        Caller { http: &self.http, options: &self.shared.options, headers, wire, timeout }
    }

    /// One call, and once more on the other wire if the agent refused the version.
    async fn call(&self, mut caller: Caller<'_>, call: Call<'_>, id: &str) -> Result<(Wire, Value), Failure> {
        let mut result = caller.call(id, &encode(call, caller.wire, id)).await;
        if self.should_switch(&result) {
            caller.wire = caller.wire.other();
            result = caller.call(id, &encode(call, caller.wire, id)).await;
        }
        let understood = match &result {
            Ok(_) => true,
            Err(failure) => failure.rpc().is_some() && !classify::is_version_refused(failure.cause()),
        };
        if understood {
            self.learn(caller.wire);
        }
        result.map(|value| (caller.wire, value))
    }

    fn should_switch(&self, result: &Result<Value, Failure>) -> bool {
        self.shared.options.version == Version::Auto
            && matches!(result, Err(failure) if classify::is_version_refused(failure.cause()))
    }

    fn learn(&self, wire: Wire) {
        let learned = match wire {
            Wire::V03 => 1,
            Wire::V10 => 2,
        };
        self.shared.learned.store(learned, Ordering::Relaxed);
    }

    /// The well-known address below the agent's own path.
    fn card_url(&self, file: &str) -> Url {
        let mut url = self.shared.options.url.clone();
        url.set_path(&format!("{}/.well-known/{file}", url.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("options", &self.shared.options)
            .field("wire", &self.wire())
            .finish_non_exhaustive()
    }
}

/// The task that was asked for and no other.
fn the_task(result: &Value, task_id: &str, wire: Wire) -> Result<Task, Failure> {
    match parse::task(result) {
        Some(task) if task.id == task_id => Ok(task),
        Some(_) => Err(unusable(wire, "the result is another task")),
        None => Err(unusable(wire, "the result is not a task")),
    }
}

fn unusable(wire: Wire, problem: &'static str) -> Failure {
    Failure::new(wire, Cause::Protocol(StatusCode::OK, problem), None)
}

fn incomplete(wire: Wire, why: &'static str) -> ListError {
    ListError::Unsupported(Failure::new(wire, Cause::Incomplete(why), None))
}
