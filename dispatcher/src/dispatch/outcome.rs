//! How an incident can end (pure).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::head;

/// How an incident can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Final {
    /// The agent's run ended well.
    Settled,
    /// A dead letter.
    Dead,
    /// A person is needed.
    Parked,
}

impl Final {
    /// As it stands in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Dead => "dead",
            Self::Parked => "parked",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal => $end:ident;)+) => {
        /// Why it ended so: fixed words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// All of them, for counters that start at zero.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it makes of the incident.
            pub fn ends(self) -> Final {
                match self { $(Self::$name => Final::$end,)+ }
            }
        }
    };
}

reasons! {
    /// The run completed, or the agent answered with a message.
    Completed = "completed" => Settled;
    /// `ACK_ON=accepted`: the agent has it, and that is enough.
    Accepted = "accepted" => Settled;
    /// `RESOLVED_SETTLES`: its alert was over before anybody had sent it.
    Resolved = "resolved" => Settled;
    /// The entry cannot be read.
    Undecodable = "undecodable" => Dead;
    /// No agent for this step, or its name is not one.
    NoRoute = "no-route" => Dead;
    /// The message text is gone.
    ArtifactMissing = "artifact-missing" => Dead;
    /// The agent rejected the task.
    Rejected = "rejected" => Dead;
    /// The agent's run failed.
    Failed = "failed" => Dead;
    /// Somebody canceled the task.
    Canceled = "canceled" => Dead;
    /// The server will never take this request.
    Refused = "refused" => Dead;
    /// `MAX_ATTEMPTS` sends without a usable answer.
    AttemptsExhausted = "attempts-exhausted" => Dead;
    /// The run took longer than `RUN_DEADLINE`.
    RunDeadline = "run-deadline" => Dead;
    /// The agent no longer knows its task.
    TaskLost = "task-lost" => Dead;
    /// The agent could not be reached for `GIVE_UP_AFTER`.
    Expired = "expired" => Dead;
    /// Delivered again and again without an attempt.
    Poison = "poison" => Dead;
    /// By an operator.
    Dropped = "dropped" => Dead;
    /// The agent asks something.
    InputRequired = "input-required" => Parked;
    /// The agent waits for an authorisation.
    AuthRequired = "auth-required" => Parked;
    /// Whether the agent ran it cannot be found out.
    Uncertain = "uncertain" => Parked;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why, and with it settled, dead or parked.
    pub reason: Reason,
    /// The agent's own words, or ours, for a person; bounded.
    pub error: String,
    /// The agent's answer, bounded.
    pub result: Option<String>,
}

/// Longest answer that is kept, bytes.
const LONGEST_RESULT: usize = 64 * 1024;
/// Longest explanation, bytes.
const LONGEST_ERROR: usize = 2 * 1024;

impl Outcome {
    /// A verdict with an explanation.
    pub fn new(reason: Reason, error: impl AsRef<str>) -> Self {
        Self { reason, error: head(error.as_ref(), LONGEST_ERROR).to_owned(), result: None }
    }

    /// A settled one with the agent's answer.
    pub fn settled(reason: Reason, result: Option<&str>) -> Self {
        let result = result.map(|text| head(text, LONGEST_RESULT).to_owned());
        Self { reason, error: String::new(), result }
    }
}

/// What is done about a send whose effect cannot be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUncertain {
    /// Send again, once per incident.
    Resend,
    /// Wait for a person.
    Park,
}

/// What becomes of an incident that nobody has sent when its alert is over (`RESOLVED_SETTLES`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnResolved {
    /// It runs all the same, and before the resolved one.
    Run,
    /// It is settled.
    Settle,
}

/// Waiting time before a try: `own`, which is jittered; where the server has a wish, that within bounds, and `own`
/// up to a second on top, so that not everybody comes back at the same moment.
pub fn wait(own: Duration, wish: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(300);
    wish.map_or(own, |wish| wish.min(LONGEST) + own.min(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_wish_is_bounded() {
        let (own, seconds) = (Duration::from_millis(400), Duration::from_secs);
        assert_eq!(wait(own, None), own);
        assert_eq!(wait(own, Some(seconds(7))), seconds(7) + own);
        assert_eq!(wait(seconds(20), Some(seconds(9999))), seconds(301));
        assert_eq!(wait(own, Some(Duration::ZERO)), own);
    }

    #[test]
    fn a_long_answer_is_cut() {
        assert_eq!(
            Outcome::settled(Reason::Completed, Some(&"x".repeat(100_000))).result.map(|r| r.len()),
            Some(65_536)
        );
    }
}
