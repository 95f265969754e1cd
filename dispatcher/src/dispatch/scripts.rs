//! The scripts of the dispatch record, ready to be called. What each of them takes and answers stands
//! in its file.

use std::sync::LazyLock;

use redis_stream::script::Script;

const PRELUDE: &str = include_str!("scripts/prelude.lua");
const AGENT: &str = include_str!("scripts/agent.lua");
const START_AGAIN: &str = include_str!("scripts/start_again.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: [$($part:expr),+];)+) => {
        $($(#[$doc])*
        pub static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!("script ", stringify!($name)), &[PRELUDE, $($part),+]));)+
    };
}

scripts! {
    /// Onto the stream, unless known.
    PUBLISH: [START_AGAIN, include_str!("scripts/publish.lua")];
    /// Before any dispatch.
    TAKE: [AGENT, include_str!("scripts/take.lua")];
    /// Right before the request, if the agent may be sent to.
    SENDING: [AGENT, include_str!("scripts/sending.lua")];
    /// The request did not reach the agent.
    UNSENT: [AGENT, include_str!("scripts/unsent.lua")];
    /// The agent has it.
    ACCEPTED: [AGENT, include_str!("scripts/accepted.lua")];
    /// Part of every renewal.
    HOLD: [AGENT, include_str!("scripts/hold.lua")];
    /// The firing incident of a resolved alert, unsent.
    SETTLE_FIRING: [AGENT, include_str!("scripts/settle_firing.lua")];
    /// The final outcome.
    FINISH: [AGENT, include_str!("scripts/finish.lua")];
    /// An entry that names no incident.
    BURY: [include_str!("scripts/bury.lua")];
    /// An alert that cannot be read.
    REFUSE: [include_str!("scripts/refuse.lua")];
    /// To the agent's waiting stream.
    MOVE: [AGENT, include_str!("scripts/move.lua")];
    /// Back from it, as the agent has room.
    BACK: [AGENT, include_str!("scripts/back.lua")];
    /// What the stream needs no more.
    TRIM: [include_str!("scripts/trim.lua")];
    /// The episode's start.
    EPISODE: [include_str!("scripts/episode.lua")];
    /// What has ended and was forgotten.
    RESTORE: [include_str!("scripts/restore.lua")];
    /// An operator's retry.
    RETRY: [START_AGAIN, include_str!("scripts/retry.lua")];
    /// An operator takes a pending entry from its holder.
    HAND_OVER: [include_str!("scripts/hand_over.lua")];
    /// One entry back from its waiting stream.
    BRING_BACK: [include_str!("scripts/bring_back.lua")];
    /// An operator gives an incident up.
    DROP: [AGENT, include_str!("scripts/drop.lua")];
}
