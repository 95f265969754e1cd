//! The faults by name, and what each may cause (pure).

use std::time::Duration;

use serde::Serialize;

/// The lease (`MIN_IDLE_MS`) of the drill.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// `SHUTDOWN_GRACE` of the drill.
pub(crate) const GRACE: Duration = Duration::from_secs(15);
/// `DIRECT_AFTER_UNCERTAIN` of the drill.
pub(crate) const UNCERTAIN: Duration = Duration::from_secs(60);

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Group {
    Worker,
    Hook,
    Redis,
    Keys,
    Limits,
    Network,
    Agent,
    Machine,
}

/// Where a second run is allowed while a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Doubles {
    /// Nowhere.
    Never,
    /// At agents that can neither list their tasks nor recognise a message.
    Blind,
    /// There too, and only by a run that outlasts the grace of the process that waits for its answer.
    Outlasting,
    /// At those that list as well.
    Listing,
    /// Where a publish without an answer may have gone direct.
    Direct,
}

/// A kind of fault: its name on the command line, its group, its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Kind {
    pub(crate) id: &'static str,
    pub(crate) group: Group,
    pub(crate) doubles: Doubles,
    pub(crate) what: &'static str,
}

const fn kind(id: &'static str, group: Group, doubles: Doubles, what: &'static str) -> Kind {
    Kind { id, group, doubles, what }
}

use Doubles::{Blind, Direct, Listing, Never, Outlasting};
use Group::{Agent, Hook, Keys, Limits, Machine, Network, Redis, Worker};

/// All kinds.
pub(crate) const KINDS: &[Kind] = &[
    kind("worker-kill", Worker, Blind, "kill -9 of a worker with runs in flight; another is started"),
    kind("worker-stop", Worker, Listing, "SIGSTOP of a worker for longer than the lease, then SIGCONT"),
    kind("worker-term", Worker, Outlasting, "SIGTERM of a worker with runs in flight: exit code 0; another is started"),
    kind("worker-cut", Worker, Blind, "one worker reaches no Redis and no Sentinel for longer than a lease"),
    kind("hook-kill", Hook, Blind, "kill -9 of a hook; it is started again at once"),
    kind("hook-term", Hook, Outlasting, "SIGTERM of a hook: exit code 0; it is started again"),
    kind("asleep", Hook, Blind, "no worker (scaled to zero), alerts come in, FLUSHALL and kill -9 of both hooks"),
    kind("failover", Redis, Never, "planned failover (SENTINEL FAILOVER)"),
    kind("master-kill", Redis, Never, "kill -9 of the master; it comes back as a replica"),
    kind("master-stop", Redis, Direct, "SIGSTOP of the master for longer than down-after, then SIGCONT"),
    kind("replicas-gone", Redis, Never, "kill -9 of both replicas; they come back"),
    kind("rollback", Redis, Never, "kill -9 of the master; it is back from an older RDB before anybody notices"),
    kind("sentinels-down", Redis, Never, "kill -9 of all Sentinels, the master is fine; they come back"),
    kind("stream-gone", Keys, Never, "the stream is deleted, and the group with it"),
    kind("group-gone", Keys, Never, "XGROUP DESTROY"),
    kind("records-gone", Keys, Never, "all dispatch records are deleted"),
    kind("dead-gone", Keys, Never, "the dead letters are deleted"),
    kind("parked-gone", Keys, Never, "the parked stream is deleted"),
    kind("outcomes-gone", Keys, Never, "the outcomes stream is deleted"),
    kind("texts-gone", Keys, Never, "the message texts under their own keys and the routing hash are deleted"),
    kind("flushall", Keys, Never, "FLUSHALL"),
    kind("wrong-type", Keys, Never, "the stream is a string for a while"),
    kind("oom", Limits, Never, "out of memory with noeviction for a while"),
    kind("noreplicas", Limits, Never, "min-replicas-to-write cannot be met for a while"),
    kind("misconf", Limits, Never, "the last save failed: MISCONF for a while"),
    kind("noperm", Limits, Never, "the user may not XADD for a while"),
    kind("pause-write", Limits, Direct, "CLIENT PAUSE WRITE for a while"),
    kind("sleep", Limits, Never, "DEBUG SLEEP shorter than down-after"),
    kind("latency", Network, Never, "every answer of Redis comes 300 ms later"),
    kind("cut-answers", Network, Direct, "connections end in the middle of an answer"),
    kind("master-cut", Network, Direct, "one process gets nothing through to the master"),
    kind("agent-kill", Agent, Listing, "kill -9 of an agent; it comes back without its tasks"),
    kind("agent-stop", Agent, Listing, "SIGSTOP of an agent, then SIGCONT"),
    kind("agent-500", Agent, Blind, "the agent answers 500"),
    kind("agent-503", Agent, Never, "the agent answers 503 with Retry-After"),
    kind("agent-429", Agent, Never, "the agent answers 429"),
    kind("agent-reset", Agent, Blind, "the agent resets connections before it runs anything"),
    kind("agent-lost", Agent, Blind, "the agent runs, and resets the connection"),
    kind("agent-garbage", Agent, Blind, "the agent answers HTML"),
    kind("agent-empty", Agent, Blind, "the agent answers nothing with 200"),
    kind("agent-cut", Agent, Blind, "the agent runs, and its answer is cut"),
    kind("agent-slow", Agent, Listing, "the agent is silent for longer than a send may take"),
    kind("agent-hang", Agent, Never, "runs that never end"),
    kind("disk-full", Machine, Never, "the disk of an outbox is full for a while"),
    kind("clock-back", Machine, Never, "the clock of a process or of the master goes back by an hour"),
    kind("clock-forward", Machine, Never, "the clock of a process or of the master goes forward by an hour"),
];

/// The kind with this id.
pub(crate) fn find(id: &str) -> Option<Kind> {
    KINDS.iter().find(|kind| kind.id == id).copied()
}

impl Kind {
    /// Whether it is about Redis: then what is measured begins with the first write on a usable master.
    pub(crate) fn is_redis(self) -> bool {
        matches!(self.group, Redis | Keys | Limits | Network)
    }

    /// Seconds after its end in which a run that it caused can still begin.
    pub(crate) fn aftermath(self) -> f64 {
        match self.doubles {
            // What was delayed arrives after the delay.
            Listing => 7.0,
            Never | Blind | Direct | Outlasting => 2.0,
        }
    }

    /// Whether nobody may know of the second run that it allows: a worker that goes on does not know that it was
    /// stopped, and one that takes an incident over does not know that a request was cut off.
    pub(crate) fn hushes(self) -> bool {
        matches!(self.id, "worker-stop" | "agent-kill")
    }

    /// Whether it allows a second run at this agent.
    pub(crate) fn allows(self, at: Sight) -> bool {
        match self.doubles {
            Never => false,
            Blind | Outlasting => at == Sight::Blind,
            Listing | Direct => true,
        }
    }
}

/// What an agent can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Sight {
    /// It lists its tasks.
    Listing,
    /// It neither lists nor recognises a message.
    Blind,
}

impl Sight {
    /// Both, in the order of hooks and agents on the stage.
    pub(crate) const BOTH: [Self; 2] = [Self::Listing, Self::Blind];

    /// The agent's name.
    pub(crate) fn agent(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Blind => "blind",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        for kind in KINDS {
            assert_eq!(KINDS.iter().filter(|other| other.id == kind.id).count(), 1, "{}", kind.id);
            assert_eq!(find(kind.id), Some(*kind));
        }
    }
}
