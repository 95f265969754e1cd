//! A task: one run of an agent.

use crate::text;

/// Longest unknown state that is kept, in bytes.
pub(crate) const MAX_STATE: usize = 64;

/// One run of an agent, as the server last told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The server's id of the run: not empty, at most 512 bytes, no control characters.
    pub id: String,
    /// The conversation it belongs to.
    pub context_id: Option<String>,
    /// How far it is.
    pub state: State,
    /// The text of the status message if the agent wrote it. Servers also put the user's own message there.
    pub status_text: Option<String>,
    /// The text parts of all artifacts, one per line. Bounded by [`crate::AgentOptions::max_body`] only.
    pub artifacts_text: Option<String>,
    /// The ids of the messages the server returned with the task (history and status).
    pub message_ids: Vec<String>,
}

impl Task {
    /// What the run has to say: its artifacts, else the agent's status message.
    pub fn result_text(&self) -> Option<&str> {
        self.artifacts_text.as_deref().or(self.status_text.as_deref())
    }
}

/// The states of both versions (0.3 `TaskState`, 1.0 `TASK_STATE_*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// Taken, not started.
    Submitted,
    /// Running.
    Working,
    /// Waits for another message on the same task.
    InputRequired,
    /// Waits for a credential; may go on by itself (1.0.1, section 7.6).
    AuthRequired,
    /// Ended well, perhaps without artifacts.
    Completed,
    /// Ended by somebody's cancel.
    Canceled,
    /// Ended badly; [`Task::status_text`] may say why.
    Failed,
    /// The agent will not do it.
    Rejected,
    /// Anything else, also the absence of a state (empty). Treat it as running.
    Unknown(String),
}

impl State {
    /// Reads either version's spelling.
    pub(crate) fn parse(text: &str) -> Self {
        let lower = text.to_ascii_lowercase().replace('_', "-");
        match lower.strip_prefix("task-state-").unwrap_or(&lower) {
            "submitted" => Self::Submitted,
            "working" => Self::Working,
            "input-required" => Self::InputRequired,
            "auth-required" => Self::AuthRequired,
            "completed" => Self::Completed,
            "canceled" | "cancelled" => Self::Canceled,
            "failed" => Self::Failed,
            "rejected" => Self::Rejected,
            _ => Self::Unknown(text::clean(text, MAX_STATE)),
        }
    }

    /// Nothing more will happen in this task.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed | Self::Rejected)
    }

    /// The run waits for somebody.
    pub const fn is_interrupted(&self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }

    /// The 0.3 spelling, or the unknown text itself.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Submitted => "submitted",
            Self::Working => "working",
            Self::InputRequired => "input-required",
            Self::AuthRequired => "auth-required",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Unknown(text) => text,
        }
    }
}
