//! From a cause to what follows: one pure table.

use http::StatusCode;

use crate::failure::Cause;
use crate::rpc_error::RpcError;

/// What a failed call means for the caller.
///
/// | class | what to do |
/// |---|---|
/// | [`NotExecuted`](Self::NotExecuted) | wait ([`Failure::retry_after`](crate::Failure::retry_after), else a growing time), then send the same message id again; as often as wanted |
/// | [`Ambiguous`](Self::Ambiguous) | look for the message with [`Agent::find`](crate::Agent::find); where the agent cannot list, decide between a second run and none, or ask a person |
/// | [`Terminal`](Self::Terminal) | give up and tell somebody: the request or the configuration is wrong |
/// | [`Credentials`](Self::Credentials) | keep the message, stop sending to this agent, tell somebody; go on when the token has been renewed |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The agent did not run it and may take it later: send again with the same message id.
    NotExecuted,
    /// The agent may have run it: find out before sending again.
    Ambiguous,
    /// The agent did not run it and never will: do not send again.
    Terminal,
    /// The agent wants other credentials; it did not run it.
    Credentials,
}

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL: i64 = -32603;
const TASK_NOT_FOUND: i64 = -32001;
const INVALID_AGENT_RESPONSE: i64 = -32006;
const VERSION_NOT_SUPPORTED: i64 = -32009;
/// Codes of a2a-go 2 for missing and insufficient credentials.
const UNAUTHENTICATED: i64 = -31401;
const UNAUTHORIZED: i64 = -31403;

/// How the A2A clients inside the kagent controllers (a2a-go, trpc-a2a-go) report that they could not pass a call on.
///
/// Without these words it may be the agent's own run that could not reach something else.
const NOT_PASSED_ON: [&str; 2] =
    ["failed to send HTTP request: Post", "a2aClient.doRequest: http request failed: Post"];
/// How Go writes that there was no connection.
const NOT_DIALLED: &str = ": dial tcp";

/// The class of a failed call.
pub(crate) fn class(cause: &Cause) -> Class {
    match cause {
        Cause::Connect(_) => Class::NotExecuted,
        Cause::Token(_) => Class::Credentials,
        Cause::Request(_) | Cause::Incomplete(_) => Class::Terminal,
        Cause::Timeout(_) | Cause::Lost(_) | Cause::TooLarge(_) | Cause::Protocol(..) => Class::Ambiguous,
        Cause::Http(status, text) => of_status(*status, text),
        Cause::Rpc(error) => of_rpc(error),
    }
}

/// An HTTP status without a JSON-RPC answer.
fn of_status(status: StatusCode, text: &str) -> Class {
    match status.as_u16() {
        401 | 403 => Class::Credentials,
        404 if is_agent_not_found(text) => Class::NotExecuted,
        429 | 503 => Class::NotExecuted,
        // 408 is also sent by proxies that waited for the agent.
        408 => Class::Ambiguous,
        300..=499 => Class::Terminal,
        _ => Class::Ambiguous,
    }
}

/// kagent's words for an agent that does not exist, perhaps not yet.
fn is_agent_not_found(text: &str) -> bool {
    text.find("Agent ").is_some_and(|at| text.get(at..).is_some_and(|rest| rest.contains(" not found")))
}

fn is_not_passed_on(message: &str) -> bool {
    message.contains(NOT_DIALLED) && NOT_PASSED_ON.iter().any(|words| message.contains(words))
}

/// A JSON-RPC error (A2A 1.0.1, section 3.3.2 and the tables of the bindings).
fn of_rpc(error: &RpcError) -> Class {
    if error.is_not_accepted() {
        return Class::NotExecuted;
    }
    match (error.status.as_u16(), error.code) {
        (401 | 403, _) | (_, UNAUTHENTICATED | UNAUTHORIZED) => Class::Credentials,
        (_, INTERNAL) if is_not_passed_on(&error.message) => Class::NotExecuted,
        (_, INTERNAL | INVALID_AGENT_RESPONSE) => Class::Ambiguous,
        (
            _,
            PARSE_ERROR | INVALID_REQUEST | METHOD_NOT_FOUND | INVALID_PARAMS | VERSION_NOT_SUPPORTED..=TASK_NOT_FOUND,
        ) => Class::Terminal,
        // With a status for "busy" only something in front of the agent promises that nothing ran.
        (200..=299 | 503, _) => Class::Ambiguous,
        _ => of_status(error.status, &error.message),
    }
}

/// The three refusals that prove that nothing ran and that the other version should be tried.
pub(crate) fn is_version_refused(cause: &Cause) -> bool {
    match cause {
        Cause::Rpc(error) => matches!(error.code, METHOD_NOT_FOUND | VERSION_NOT_SUPPORTED),
        Cause::Http(StatusCode::BAD_REQUEST, text) => text.to_ascii_lowercase().contains("a2a-version"),
        _ => false,
    }
}

/// The server does not know the task.
pub(crate) fn is_task_not_found(cause: &Cause) -> bool {
    matches!(cause, Cause::Rpc(error) if error.code == TASK_NOT_FOUND)
}

/// There is nothing at the address, perhaps only for now: this is not the agent's word.
pub(crate) fn is_plain_not_found(cause: &Cause) -> bool {
    matches!(cause, Cause::Http(StatusCode::NOT_FOUND, _))
}

/// kagent 0.10 answers a list of a conversation that does not exist (yet) with this error.
pub(crate) fn is_context_not_found(cause: &Cause) -> bool {
    matches!(cause, Cause::Rpc(error) if error.code == INTERNAL && error.message.contains("record not found"))
}

/// The server will not cancel this task: it has ended, or its runtime cannot.
pub(crate) fn is_not_cancelable(cause: &Cause) -> bool {
    match cause {
        Cause::Rpc(error) => {
            matches!(error.code, -32002 | -32004) || error.code == INTERNAL && error.message.contains("not supported")
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "classify/tests.rs"]
mod tests;
