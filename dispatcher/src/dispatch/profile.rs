//! What is agreed with an agent (pure): where it is, what it can, how much it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use a2a::{Bearer, Mode, Version};

use super::agents::{AgentName, UrlTemplate};
use super::outcome::OnUncertain;

/// How it is found out whether an agent already has an incident whose send had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Ask for its tasks; where it cannot list them, `ON_UNCERTAIN` decides.
    Auto,
    /// Ask for its tasks. It is known to list them: "I cannot" is taken for a passing trouble.
    List,
    /// Send the message again: the agent recognises a repeated message id and runs it once.
    MessageId,
    /// It cannot be found out: `ON_UNCERTAIN` decides.
    None,
}

/// Who chooses the context of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextPolicy {
    /// We do: one context per incident and run.
    PerIncident,
    /// The agent does: the first message carries none.
    Server,
}

impl ContextPolicy {
    /// The context of a first message; empty where the agent chooses.
    pub fn first(self, ours: impl FnOnce() -> String) -> String {
        match self {
            Self::PerIncident => ours(),
            Self::Server => String::new(),
        }
    }
}

/// How much is handed to an agent, by all workers of the group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runs at the same time.
    pub runs: u32,
    /// Runs begun within an hour; absent: no limit.
    pub runs_per_hour: Option<u32>,
}

impl Limits {
    /// The limits that hold where none are given.
    pub const DEFAULT: Self = Self { runs: 10, runs_per_hour: None };
}

/// Everything that can differ from agent to agent.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where it is.
    pub template: UrlTemplate,
    /// Which version it speaks.
    pub version: Version,
    /// Whether a send waits for the end of the run.
    pub mode: Mode,
    /// How a lost answer is made up for.
    pub recovery: Recovery,
    /// Who chooses the context.
    pub context: ContextPolicy,
    /// What is done when nothing can be found out.
    pub on_uncertain: OnUncertain,
    /// `X-User-Id`.
    pub user_id: String,
    /// Bearer token.
    pub bearer: Option<Bearer>,
    /// Longest non-blocking send.
    pub send_timeout: Duration,
    /// Longest run on one incident.
    pub run_deadline: Duration,
    /// How much it is given.
    pub limits: Limits,
}

/// The profiles of all agents.
#[derive(Debug, Clone)]
pub struct Profiles {
    general: Arc<Profile>,
    named: HashMap<AgentName, Arc<Profile>>,
}

impl Profiles {
    /// `general` for every agent that has no profile of its own.
    pub fn new(general: Profile, named: impl IntoIterator<Item = (AgentName, Profile)>) -> Self {
        let named = named.into_iter().map(|(name, profile)| (name, Arc::new(profile))).collect();
        Self { general: Arc::new(general), named }
    }

    /// The profile of one agent.
    pub fn of(&self, agent: &AgentName) -> Arc<Profile> {
        Arc::clone(self.named.get(agent).unwrap_or(&self.general))
    }

    /// The profile of every agent that has none of its own.
    pub fn general(&self) -> &Profile {
        &self.general
    }

    /// The agents that have one of their own.
    pub fn named(&self) -> impl Iterator<Item = (&AgentName, &Profile)> {
        self.named.iter().map(|(name, profile)| (name, profile.as_ref()))
    }
}
