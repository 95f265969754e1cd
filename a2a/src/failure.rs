//! A call that did not give what was asked for.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::classify::{self, Class};
use crate::rpc_error::{Detail, RpcError};
use crate::wire::Wire;

/// What went wrong. All texts are bounded and safe to show; none contains the token or the message sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The request could not be built, because of the reason given.
    Request(String),
    /// The bearer token could not be read.
    Token(String),
    /// No connection: DNS, refused, connect timeout, TLS.
    Connect(String),
    /// No complete answer within this time of a request that may have been read.
    Timeout(Duration),
    /// The connection ended before the answer did.
    Lost(String),
    /// The answer is larger than this many bytes.
    TooLarge(usize),
    /// An answer that is none to our call, with a status that does not settle what happened; says what is wrong with it.
    Protocol(StatusCode, &'static str),
    /// An HTTP status without a JSON-RPC answer; the body's text, at most 1 KiB.
    Http(StatusCode, String),
    /// A JSON-RPC error.
    Rpc(RpcError),
    /// The list of tasks could not be searched to its end; says why.
    Incomplete(&'static str),
}

/// A failed call: its cause, and what follows from it for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    wire: Wire,
    cause: Cause,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(wire: Wire, cause: Cause, retry_after: Option<Duration>) -> Self {
        let retry_after = match &cause {
            Cause::Rpc(error) => error.retry_after().or(retry_after),
            _ => retry_after,
        };
        Self { wire, cause, retry_after }
    }

    /// The wire the last request was written on.
    pub const fn wire(&self) -> Wire {
        self.wire
    }

    /// What went wrong.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What follows from it.
    pub fn class(&self) -> Class {
        classify::class(&self.cause)
    }

    /// Whether anything of the last request may have left this machine.
    /// (A refusal that is answered by a second request has left, but proves that nothing ran.)
    pub const fn left(&self) -> bool {
        !matches!(self.cause, Cause::Request(_) | Cause::Token(_) | Cause::Connect(_))
    }

    /// Whether the agent may have acted on it.
    pub fn may_have_run(&self) -> bool {
        self.class() == Class::Ambiguous
    }

    /// The HTTP status, if there was an answer.
    pub const fn status(&self) -> Option<StatusCode> {
        match &self.cause {
            Cause::Protocol(status, _) | Cause::Http(status, _) => Some(*status),
            Cause::Rpc(error) => Some(error.status),
            _ => None,
        }
    }

    /// The JSON-RPC code, if there was a JSON-RPC error.
    pub const fn code(&self) -> Option<i64> {
        match &self.cause {
            Cause::Rpc(error) => Some(error.code),
            _ => None,
        }
    }

    /// The JSON-RPC error, if there was one.
    pub const fn rpc(&self) -> Option<&RpcError> {
        match &self.cause {
            Cause::Rpc(error) => Some(error),
            _ => None,
        }
    }

    /// The typed details of the JSON-RPC error; empty if there was none.
    pub fn details(&self) -> &[Detail] {
        self.rpc().map_or(&[], |error| &error.details)
    }

    /// When the server wants to be asked again, at most [`crate::MAX_RETRY_AFTER`].
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Request(reason) => write!(f, "the request could not be built: {reason}"),
            Cause::Token(reason) => write!(f, "the bearer token could not be read: {reason}"),
            Cause::Connect(reason) => write!(f, "no connection to the agent: {reason}"),
            Cause::Timeout(after) => write!(f, "no complete answer within {after:?}"),
            Cause::Lost(reason) => write!(f, "the answer was lost: {reason}"),
            Cause::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Cause::Protocol(status, problem) => {
                write!(f, "HTTP {} without a usable answer: {problem}", status.as_u16())
            }
            Cause::Http(status, text) if text.is_empty() => write!(f, "HTTP {}", status.as_u16()),
            Cause::Http(status, text) => write!(f, "HTTP {}: {text}", status.as_u16()),
            Cause::Rpc(error) => write!(f, "the agent answered {}: {}", error.code, error.message),
            Cause::Incomplete(why) => write!(f, "the agent's tasks could not be searched: {why}"),
        }
    }
}

impl std::error::Error for Failure {}
