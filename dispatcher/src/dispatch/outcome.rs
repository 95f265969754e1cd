//! What an answer means (pure). Every verdict on an incident is given here.

use std::fmt;
use std::time::Duration;

use a2a::{Class, State, Task};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What the state of a task says; `None`: it goes on.
pub fn of_task(task: &Task) -> Option<Outcome> {
    let words = || task.status_text.as_deref().or(task.artifacts_text.as_deref()).unwrap_or("the agent gave no reason");
    match &task.state {
        State::Submitted | State::Working | State::Unknown(_) => None,
        State::Completed => Some(Outcome::settled(Reason::Completed, task.result_text())),
        State::Failed => Some(Outcome::new(Reason::Failed, words())),
        State::Rejected => Some(Outcome::new(Reason::Rejected, words())),
        State::Canceled => Some(Outcome::new(Reason::Canceled, words())),
        State::InputRequired => Some(Outcome::new(Reason::InputRequired, words())),
        State::AuthRequired => Some(Outcome::new(Reason::AuthRequired, words())),
    }
}

/// What to do after a send that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterFailure {
    /// It certainly did not run: wait, then send again. No attempt is counted.
    Wait,
    /// It may have run: find out before anything else.
    FindOut,
    /// It never will run.
    End(Outcome),
}

/// The row of the decision table for a failed send.
pub fn of_failure(class: Class, words: &str, attempts: u32, max_attempts: u32) -> AfterFailure {
    match class {
        Class::NotExecuted | Class::Credentials => AfterFailure::Wait,
        Class::Terminal => AfterFailure::End(Outcome::new(Reason::Refused, words)),
        Class::Ambiguous if attempts >= max_attempts => {
            let error = format!("{attempts} attempts without a usable answer; the last one: {words}");
            AfterFailure::End(Outcome::new(Reason::AttemptsExhausted, error))
        }
        Class::Ambiguous => AfterFailure::FindOut,
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

/// `true`: send again.
pub fn resend(policy: OnUncertain, attempts: u32) -> bool {
    policy == OnUncertain::Resend && attempts < 2
}

/// Waiting time before a try: the server's wish where it has one, within bounds.
pub fn wait(own: Duration, wish: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(300);
    wish.map_or(own, |wish| wish.clamp(own.min(Duration::from_millis(100)), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: State, status: Option<&str>, artifacts: Option<&str>) -> Task {
        Task {
            id: "t".into(),
            context_id: None,
            state,
            status_text: status.map(str::to_owned),
            artifacts_text: artifacts.map(str::to_owned),
            message_ids: Vec::new(),
        }
    }

    #[test]
    fn every_state_has_its_verdict() {
        let reason = |state| of_task(&task(state, Some("words"), None)).map(|outcome| outcome.reason);
        let rows = [
            (State::Submitted, None),
            (State::Working, None),
            (State::Unknown("TASK_STATE_NEW".into()), None),
            (State::Completed, Some(Reason::Completed)),
            (State::Failed, Some(Reason::Failed)),
            (State::Rejected, Some(Reason::Rejected)),
            (State::Canceled, Some(Reason::Canceled)),
            (State::InputRequired, Some(Reason::InputRequired)),
            (State::AuthRequired, Some(Reason::AuthRequired)),
        ];
        for (state, expected) in rows {
            assert_eq!(reason(state.clone()), expected, "{state:?}");
        }
    }

    #[test]
    fn a_failed_run_keeps_the_agents_own_words() {
        let outcome = of_task(&task(State::Failed, Some("disk full"), None)).unwrap();
        assert_eq!((outcome.reason.ends(), outcome.error.as_str()), (Final::Dead, "disk full"));
    }

    #[test]
    fn failures_by_class() {
        assert_eq!(of_failure(Class::NotExecuted, "refused", 9, 5), AfterFailure::Wait);
        assert_eq!(of_failure(Class::Credentials, "401", 9, 5), AfterFailure::Wait);
        assert_eq!(of_failure(Class::Ambiguous, "reset", 4, 5), AfterFailure::FindOut);
        let reason = |after| match after {
            AfterFailure::End(outcome) => Some(outcome.reason),
            _ => None,
        };
        assert_eq!(reason(of_failure(Class::Terminal, "400", 1, 5)), Some(Reason::Refused));
        assert_eq!(reason(of_failure(Class::Ambiguous, "reset", 5, 5)), Some(Reason::AttemptsExhausted));
    }

    #[test]
    fn uncertain_is_resent_once() {
        assert!(resend(OnUncertain::Resend, 1) && !resend(OnUncertain::Resend, 2) && !resend(OnUncertain::Park, 0));
    }

    #[test]
    fn a_servers_wish_is_bounded() {
        let own = Duration::from_secs(1);
        assert_eq!(wait(own, None), own);
        assert_eq!(wait(own, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(wait(own, Some(Duration::from_secs(9999))), Duration::from_secs(300));
        assert_eq!(wait(own, Some(Duration::ZERO)), Duration::from_millis(100));
    }

    #[test]
    fn a_long_answer_is_cut() {
        assert_eq!(
            Outcome::settled(Reason::Completed, Some(&"x".repeat(100_000))).result.map(|r| r.len()),
            Some(65_536)
        );
    }
}
