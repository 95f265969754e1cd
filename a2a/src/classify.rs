//! From a cause to what follows: one pure table.

use http::StatusCode;

use crate::failure::Cause;
use crate::rpc_error::RpcError;

/// What a failed send means for the caller.
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

/// How Go writes that it could not connect, as the kagent controller passes it on with -32603.
///
/// Compared with case: an agent whose own run failed to connect to something else
/// reports that in its language's words (Python: `Connection refused`).
const NOT_DIALLED: [&str; 3] = ["dial tcp", "connection refused", "no such host"];

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

/// A JSON-RPC error (A2A 1.0.1, section 3.3.2 and the tables of the bindings).
fn of_rpc(error: &RpcError) -> Class {
    if error.is_not_accepted() {
        return Class::NotExecuted;
    }
    match (error.status.as_u16(), error.code) {
        (401 | 403, _) | (_, UNAUTHENTICATED | UNAUTHORIZED) => Class::Credentials,
        (_, INTERNAL) if NOT_DIALLED.iter().any(|words| error.message.contains(words)) => Class::NotExecuted,
        (_, INTERNAL | INVALID_AGENT_RESPONSE) => Class::Ambiguous,
        (
            _,
            PARSE_ERROR | INVALID_REQUEST | METHOD_NOT_FOUND | INVALID_PARAMS | VERSION_NOT_SUPPORTED..=TASK_NOT_FOUND,
        ) => Class::Terminal,
        (200..=299, _) => Class::Ambiguous,
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
