//! One page of an agent's tasks.

use crate::task::Task;
use crate::wire::Wire;

/// Some of the tasks of a conversation, as [`crate::Agent::list`] gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tasks, in the server's order (1.0.1: the most recently changed first).
    pub tasks: Vec<Task>,
    /// What to ask the next page with; absent on the last one. At most 4096 bytes, no control characters.
    pub next_page_token: Option<String>,
    /// Nothing was hidden: every element could be read and showed all messages it belongs to, and so could the token.
    /// Only then does the absence of a message from [`Task::message_ids`] say that no listed task has it.
    pub complete: bool,
    /// The wire the agent answered on.
    pub wire: Wire,
}
