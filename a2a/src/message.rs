//! What is sent and what comes back at once.

use std::fmt;

use serde_json::{Map, Value};

use crate::task::Task;
use crate::wire::Wire;

/// How long a send waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The agent answers as soon as it has a task; the run is followed with [`crate::Agent::get`].
    NonBlocking,
    /// The agent answers when the run has ended or is interrupted. Its answer may still be unfinished:
    /// servers and the proxies before them have deadlines of their own.
    Blocking,
}

/// A message of ours to an agent.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Names the message for ever: the same on every attempt. Also the id of the JSON-RPC call.
    pub message_id: String,
    /// The conversation it belongs to. Absent: the server makes one.
    pub context_id: Option<String>,
    /// The open task it continues. Absent: a new task.
    pub task_id: Option<String>,
    /// The text, sent as one text part.
    pub text: String,
    /// Free data for the agent's side; not written when empty.
    pub metadata: Map<String, Value>,
}

impl Outgoing {
    /// A message with neither context, task nor metadata.
    pub fn new(message_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { message_id: message_id.into(), context_id: None, task_id: None, text: text.into(), metadata: Map::new() }
    }
}

/// Without the text and the metadata, which may be confidential.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("message_id", &self.message_id)
            .field("context_id", &self.context_id)
            .field("task_id", &self.task_id)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// The answer to a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The wire the agent took the message on; give it to later calls about its task.
    pub wire: Wire,
    /// What the agent answered.
    pub answer: Answer,
}

/// An agent answers with a task to follow, or with all it has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A run with an id, perhaps already finished.
    Task(Task),
    /// A message without a task: delivered and done, there is nothing to follow.
    Message(Reply),
}

/// A direct message of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The agent's id of it.
    pub message_id: Option<String>,
    /// The conversation it belongs to.
    pub context_id: Option<String>,
    /// Its text parts, one per line.
    pub text: Option<String>,
}
