//! One error for each operation. All of them carry a [`Failure`].

use std::time::Duration;

use http::StatusCode;

use crate::classify::{self, Class};
use crate::failure::Failure;
use crate::rpc_error::Detail;

/// Why a send failed. The variant is its class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The agent did not run it and may take it later.
    #[error("not taken, try again later: {0}")]
    NotExecuted(#[source] Failure),
    /// The agent may have run it.
    #[error("it is not known whether the agent took it: {0}")]
    Ambiguous(#[source] Failure),
    /// The agent did not run it and never will.
    #[error("refused for good: {0}")]
    Terminal(#[source] Failure),
    /// The agent wants other credentials.
    #[error("credentials refused, check the bearer token and the user id: {0}")]
    Credentials(#[source] Failure),
}

/// Why a task could not be read. Reading changes nothing: all but the credentials may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// The server does not know the task, or not yet, or not for this user.
    #[error("the agent does not know the task: {0}")]
    NotFound(#[source] Failure),
    /// The agent wants other credentials.
    #[error("credentials refused, check the bearer token and the user id: {0}")]
    Credentials(#[source] Failure),
    /// Anything else.
    #[error("the task could not be read: {0}")]
    Failed(#[source] Failure),
}

/// Why it is not known whether a message has a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// This agent cannot answer the question; asking again does not help.
    #[error("the agent cannot list its tasks: {0}")]
    Unsupported(#[source] Failure),
    /// The agent wants other credentials.
    #[error("credentials refused, check the bearer token and the user id: {0}")]
    Credentials(#[source] Failure),
    /// Anything else; asking again may help.
    #[error("the agent's tasks could not be listed: {0}")]
    Failed(#[source] Failure),
}

/// Why a task was not canceled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// The server does not know the task.
    #[error("the agent does not know the task: {0}")]
    NotFound(#[source] Failure),
    /// It has ended already, or the agent cannot cancel.
    #[error("the task cannot be canceled: {0}")]
    NotCancelable(#[source] Failure),
    /// Anything else; it may have been canceled all the same.
    #[error("the task could not be canceled: {0}")]
    Failed(#[source] Failure),
}

/// Why the agent's card could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The agent wants other credentials.
    #[error("credentials refused, check the bearer token and the user id: {0}")]
    Credentials(#[source] Failure),
    /// Anything else, also an answer that is no card.
    #[error("the agent's card could not be read: {0}")]
    Failed(#[source] Failure),
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        match failure.class() {
            Class::NotExecuted => Self::NotExecuted(failure),
            Class::Ambiguous => Self::Ambiguous(failure),
            Class::Terminal => Self::Terminal(failure),
            Class::Credentials => Self::Credentials(failure),
        }
    }
}

impl From<Failure> for GetError {
    fn from(failure: Failure) -> Self {
        match failure.class() {
            Class::Credentials => Self::Credentials(failure),
            _ if classify::is_task_not_found(failure.cause()) => Self::NotFound(failure),
            _ => Self::Failed(failure),
        }
    }
}

impl From<Failure> for ListError {
    fn from(failure: Failure) -> Self {
        match failure.class() {
            Class::Credentials => Self::Credentials(failure),
            Class::Terminal if !classify::is_plain_not_found(failure.cause()) => Self::Unsupported(failure),
            _ => Self::Failed(failure),
        }
    }
}

impl From<Failure> for CancelError {
    fn from(failure: Failure) -> Self {
        if classify::is_task_not_found(failure.cause()) {
            Self::NotFound(failure)
        } else if classify::is_not_cancelable(failure.cause()) {
            Self::NotCancelable(failure)
        } else {
            Self::Failed(failure)
        }
    }
}

impl From<Failure> for CardError {
    fn from(failure: Failure) -> Self {
        match failure.class() {
            Class::Credentials => Self::Credentials(failure),
            _ => Self::Failed(failure),
        }
    }
}

macro_rules! carries_a_failure {
    ($($error:ident: $first:ident $(| $variant:ident)*;)+) => {$(
        impl $error {
            /// The failed call.
            pub const fn failure(&self) -> &Failure {
                let (Self::$first(failure) $(| Self::$variant(failure))*) = self;
                failure
            }

            /// What follows from it.
            pub fn class(&self) -> Class {
                self.failure().class()
            }

            /// Whether anything of the last request may have left this machine.
            pub const fn left(&self) -> bool {
                self.failure().left()
            }

            /// Whether the agent may have acted on it.
            pub fn may_have_run(&self) -> bool {
                self.failure().may_have_run()
            }

            /// The HTTP status, if there was an answer.
            pub const fn status(&self) -> Option<StatusCode> {
                self.failure().status()
            }

            /// The JSON-RPC code, if there was a JSON-RPC error.
            pub const fn code(&self) -> Option<i64> {
                self.failure().code()
            }

            /// The typed details of the JSON-RPC error; empty if there was none.
            pub fn details(&self) -> &[Detail] {
                self.failure().details()
            }

            /// When the server wants to be asked again, at most [`crate::MAX_RETRY_AFTER`].
            pub const fn retry_after(&self) -> Option<Duration> {
                self.failure().retry_after()
            }
        }
    )+};
}

carries_a_failure! {
    SendError: NotExecuted | Ambiguous | Terminal | Credentials;
    GetError: NotFound | Credentials | Failed;
    ListError: Unsupported | Credentials | Failed;
    CancelError: NotFound | NotCancelable | Failed;
    CardError: Credentials | Failed;
}
