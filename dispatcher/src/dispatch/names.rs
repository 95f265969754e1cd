//! The keys that everybody uses, and how long they live.

use std::time::Duration;

use redis_stream::reader::Group;

/// How long a final record is kept, and how long an episode is remembered.
pub const KEEP_FINAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a message text or an answer is kept beside its entry.
pub const KEEP_ARTIFACT: Duration = Duration::from_secs(24 * 3600);
/// Outcomes kept in their stream (about).
pub const OUTCOMES_CAP: u64 = 100_000;
/// The stream of final outcomes.
pub const OUTCOMES: &str = "incident:outcomes";

/// Streams, group and keys.
#[derive(Debug, Clone)]
pub struct Names {
    /// The stream, the group, and our name in it.
    pub group: Group,
    /// Dead letters.
    pub dead_letters: String,
    /// Incidents that wait for a person.
    pub parked: String,
    /// The routing hash: step -> agent.
    pub routing: String,
}

impl Names {
    /// The set that lists the waiting streams.
    pub fn waiting_set(&self) -> String {
        format!("{}:waiting", self.group.stream)
    }

    /// The waiting stream of one agent, `namespace/agent`.
    pub fn waiting(&self, agent: &str) -> String {
        format!("{}:{}", self.waiting_set(), agent.replacen('/', ":", 1))
    }

    /// What the group knows of one agent, `namespace/agent`.
    pub fn agent_keys(&self, agent: &str) -> AgentKeys {
        let health = format!("{}:agent:{}", self.group.stream, agent.replacen('/', ":", 1));
        let of = |what: &str| format!("{health}:{what}");
        AgentKeys { runs: of("runs"), hour: of("hour"), pace: of("pace"), health }
    }

    /// The agent of a waiting stream, `namespace/agent`.
    pub fn agent_of(&self, waiting: &str) -> Option<String> {
        let agent = waiting.strip_prefix(&self.waiting_set())?.strip_prefix(':')?;
        agent.contains(':').then(|| agent.replacen(':', "/", 1))
    }
}

/// Keys of what the group knows of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentKeys {
    /// Hash: whether it can be reached.
    pub health: String,
    /// Sorted set: its runs, and until when each counts.
    pub runs: String,
    /// Sorted set: its sends of the last hour.
    pub hour: String,
    /// Counter of one second: entries brought back.
    pub pace: String,
}

/// The episode that an alert belongs to.
pub fn episode_key(fingerprint: &str) -> String {
    format!("incident:alert:{fingerprint}")
}
