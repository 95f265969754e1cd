//! The decision table (pure): what was just learned of an incident, and what follows.

use std::fmt::Write as _;
use std::time::Duration;

use a2a::{Class, State, Task};

use super::outcome::{OnResolved, OnUncertain, Outcome, Reason};

mod words;

pub use words::{Blame, Closed, Pace, Stay, Via};

/// Deliveries without an attempt after which an entry is a dead letter.
const POISON_AFTER: i64 = 10;
/// An agent may know its task only some seconds after it has answered (kagent's store is asynchronous).
const MISSES: u32 = 5;
/// Sends of an incident at most, where none but the first may be a second run.
const UNCERTAIN_SENDS: u32 = 2;

macro_rules! rows {
    ($($name:ident $id:literal: $when:literal => $then:literal;)+) => {
        /// A row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Row { $(#[doc = $when] $name,)+ }

        impl Row {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its fixed id, a label of `dispatch_decisions_total`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// When it applies.
            pub fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)+ }
            }

            /// What is done.
            pub fn then(self) -> &'static str {
                match self { $(Self::$name => $then,)+ }
            }
        }
    };
}

rows! {
    Undecodable "undecodable": "the entry cannot be read" => "dead letter `undecodable`";
    NoRoute "no-route": "no agent for the step, or its name is not one" => "dead letter `no-route`";
    NoText "no-text": "no `text`, and the artifact is gone" => "dead letter `artifact-missing`";
    Poison "poison": "delivered ten times without an attempt" => "dead letter `poison`";
    Exhausted "attempts-exhausted": "it would be sent, and `MAX_ATTEMPTS` sends were made" => "dead letter `attempts-exhausted`";
    Send "send": "nobody has sent it" => "send";
    Open "agent-unreachable": "the agent is known to be unreachable" => "to its waiting stream, unsent";
    Full "agent-full": "the agent has as many runs as it may have" => "to its waiting stream, unsent";
    Storm "agent-storm": "the agent has begun as many runs within the hour as it may" => "to its waiting stream, unsent";
    Firing "firing-first": "its alert is over, and the incident of the alert's beginning is not final" => "wait for that one's end, unsent and without a slot";
    Unstarted "firing-unstarted": "the same, nobody has sent that one, and `RESOLVED_SETTLES`" => "settle that one `resolved`, then go on";
    Message "message": "the agent answers the send with a message" => "settled `completed`; nothing is left to follow";
    Accepted "accepted": "the agent answers the send with a task, and `ACK_ON=accepted`" => "settled `accepted`";
    Running "running": "the task is submitted or working" => "follow it";
    OddState "odd-state": "the task has a state that is not known here" => "follow it";
    Completed "completed": "the task is completed" => "settled `completed`; the answer is kept";
    Failed "failed": "the task failed" => "dead letter `failed` with the agent's words";
    Rejected "rejected": "the task was rejected" => "dead letter `rejected` with the agent's words";
    Canceled "canceled": "the task was canceled" => "dead letter `canceled`";
    Input "input-required": "the agent asks something" => "parked `input-required`; the task stays open";
    Auth "auth-required": "the agent waits for an authorisation" => "parked `auth-required`; the task stays open";
    NotExecuted "send-not-executed": "the send certainly did not run: no connection, 429, 503, agent not found, kagent busy" => "no attempt; wait, then send again";
    Credentials "send-credentials": "the send was refused for its credentials" => "no attempt; the agent is paused until a probe succeeds";
    Ambiguous "send-ambiguous": "the send may have run: no usable answer, 500, 502, 504, -32603" => "one attempt; find out";
    Refused "send-refused": "the server will never take it: 400, 405, 413, -32602 and the like" => "dead letter `refused`";
    NotThere "not-there": "the agent lists its tasks, and it is not among them" => "send; counted and marked if a send of ours had no answer of the agent's own";
    Recognised "recognised": "the agent recognises a repeated message id" => "send the same message again";
    TooEarly "uncertain-too-early": "it cannot be found out, and somebody may still be at it" => "wait until its record is untouched for a lease, ask once more";
    Resend "uncertain-resend": "it cannot be found out, and `ON_UNCERTAIN=resend`" => "send again, once per incident; counted and marked";
    Park "uncertain-park": "it cannot be found out, and `ON_UNCERTAIN=park`" => "parked `uncertain`";
    Again "uncertain-again": "it cannot be found out, and was sent again already" => "parked `uncertain`";
    LookUnreachable "look-unreachable": "the agent cannot be reached to be asked for it, or is silent" => "wait, then ask again";
    LookCredentials "look-credentials": "the agent refuses the credentials when asked for it" => "the agent is paused until a probe succeeds";
    LookFailed "look-failed": "the agent's list gives no usable answer" => "wait, then ask again";
    Wait "wait": "it did not reach the agent, which has failed for less than a lease" => "wait with a growing pause, or as long as the agent asked";
    Crowded "wait-crowded": "it did not reach the agent, and as many wait so as the agent may run" => "to its waiting stream";
    Unreachable "unreachable-for-a-lease": "it did not reach the agent, which has failed for a lease" => "to its waiting stream";
    Expired "expired": "it has waited for its agent, or for its firing incident, longer than `GIVE_UP_AFTER`" => "dead letter `expired`";
    PollFailed "poll-failed": "the task could not be read" => "poll again";
    PollCredentials "poll-credentials": "the credentials are refused when the task is read" => "poll again, slowly";
    TaskMissing "task-missing": "the agent does not know its task, for less than 30 s" => "poll again after 6 s";
    TaskSearch "task-search": "the agent does not know its task after 30 s" => "look for it by its message where the agent lists";
    TaskLost "task-lost": "nor is it among the agent's tasks" => "dead letter `task-lost`; not sent again";
    Overdue "run-deadline": "the run takes longer than its deadline" => "cancel it, dead letter `run-deadline`";
}

/// What has just been learned.
#[derive(Debug, Clone)]
pub enum Seen<'a> {
    /// The entry cannot be read, and why.
    Unreadable(&'a str),
    /// It has no agent, and why.
    Unroutable(&'a str),
    /// Its text is gone.
    TextGone,
    /// Nobody has sent it.
    Unsent,
    /// Nothing may be sent now; how long it has been waiting, and what the agent's trouble was.
    Closed(Closed, Duration, &'a str),
    /// The agent's message, in answer to the send.
    Message(Option<&'a str>),
    /// The agent's task.
    Task(&'a Task, Via),
    /// The send failed.
    SendFailed(Class, &'a str),
    /// A try that did not reach the agent is recorded.
    Waited {
        /// Since the first such try of this incident.
        waited: Duration,
        /// Whether it may go on waiting here.
        stay: Stay,
        /// Its trouble.
        words: &'a str,
    },
    /// The agent was asked and does not have it. `unheard`: a send of ours had no answer of its own: it may come to it yet,
    /// or it may have lost the run.
    NotThere {
        /// See above.
        unheard: bool,
    },
    /// The agent cannot be asked. `quiet`: nobody has written the record for a lease.
    Blind {
        /// See above.
        quiet: bool,
    },
    /// The agent was asked and gave no usable answer. `silent`: it gave none at all in time.
    LookFailed {
        /// What the failure means.
        class: Class,
        /// See above.
        silent: bool,
    },
    /// The task could not be read.
    PollFailed(Class),
    /// The agent does not know its task.
    TaskUnknown {
        /// How often in a row.
        misses: u32,
        /// It was looked for among the agent's tasks too.
        searched: bool,
        /// The agent's words.
        words: &'a str,
    },
    /// The run's deadline has passed.
    Overdue,
}

/// What the decision depends on besides.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Sends that may have reached the agent.
    pub attempts: u32,
    /// `MAX_ATTEMPTS`.
    pub max_attempts: u32,
    /// How often the entry was delivered.
    pub deliveries: i64,
    /// The profile's `on_uncertain`.
    pub on_uncertain: OnUncertain,
    /// The agent recognises a repeated message id.
    pub recognises: bool,
    /// The agent may list its tasks.
    pub lists: bool,
    /// `ACK_ON=accepted`.
    pub ack_on_accepted: bool,
    /// `RESOLVED_SETTLES`.
    pub on_resolved: OnResolved,
    /// `GIVE_UP_AFTER`.
    pub give_up_after: Duration,
    /// The profile's run deadline.
    pub run_deadline: Duration,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the request. `doubtful`: it may make a second run.
    Send {
        /// See above.
        doubtful: bool,
    },
    /// There is a verdict.
    Finish(Outcome),
    /// Poll the task to its end.
    Follow,
    /// Pause, then find out whether the agent has it.
    FindOut,
    /// Wait until nobody has written the record for a lease, then ask once more.
    WaitALease,
    /// Record that it did not reach the agent.
    Wait(Blame),
    /// Pause, then begin again.
    Pause,
    /// To the agent's waiting stream.
    Move,
    /// Let the firing incident end first.
    AwaitFiring,
    /// Settle the firing incident, which nobody has sent.
    SettleFiring,
    /// Look at the task again.
    PollAgain(Pace),
    /// Look for the task by its message.
    Search,
}

/// The table.
pub fn decide(seen: &Seen<'_>, facts: &Facts) -> (Row, Step) {
    match *seen {
        Seen::Unreadable(why) => (Row::Undecodable, end(Reason::Undecodable, why)),
        Seen::Unroutable(why) => (Row::NoRoute, end(Reason::NoRoute, why)),
        Seen::TextGone => (Row::NoText, end(Reason::ArtifactMissing, "the message text is gone from Redis")),
        Seen::Unsent => ready(Row::Send, false, facts),
        Seen::Closed(why, waited, words) => closed(why, waited, words, facts),
        Seen::Message(text) => (Row::Message, Step::Finish(Outcome::settled(Reason::Completed, text))),
        Seen::Task(_, Via::Send) if facts.ack_on_accepted => {
            (Row::Accepted, Step::Finish(Outcome::settled(Reason::Accepted, None)))
        }
        Seen::Task(task, _) => of_task(task),
        Seen::SendFailed(class, words) => send_failed(class, words),
        Seen::Waited { waited, stay, words } => waiting(waited, stay, words, facts),
        Seen::NotThere { unheard } => ready(Row::NotThere, unheard, facts),
        Seen::Blind { quiet } => blind(quiet, facts),
        Seen::LookFailed { class, silent } => look_failed(class, silent),
        Seen::PollFailed(Class::Credentials) => (Row::PollCredentials, Step::PollAgain(Pace::Slow)),
        Seen::PollFailed(_) => (Row::PollFailed, Step::PollAgain(Pace::Usual)),
        Seen::TaskUnknown { misses, searched, words } => task_unknown(misses, searched, words, facts),
        Seen::Overdue => {
            let error = format!("the run was not done after {:?}", facts.run_deadline);
            (Row::Overdue, end(Reason::RunDeadline, error))
        }
    }
}

fn end(reason: Reason, error: impl AsRef<str>) -> Step {
    Step::Finish(Outcome::new(reason, error))
}

/// It may be sent, if anything may still be sent for it.
fn ready(row: Row, doubtful: bool, facts: &Facts) -> (Row, Step) {
    if facts.attempts == 0 && facts.deliveries >= POISON_AFTER {
        let error = format!("delivered {} times without an attempt", facts.deliveries);
        return (Row::Poison, end(Reason::Poison, error));
    }
    if facts.attempts >= facts.max_attempts {
        let error = format!("{} attempts without a usable answer", facts.attempts);
        return (Row::Exhausted, end(Reason::AttemptsExhausted, error));
    }
    (row, Step::Send { doubtful })
}

fn closed(why: Closed, waited: Duration, words: &str, facts: &Facts) -> (Row, Step) {
    match why {
        Closed::Open if waited > facts.give_up_after => expired(words, facts),
        Closed::Open => (Row::Open, Step::Move),
        Closed::Full => (Row::Full, Step::Move),
        Closed::Storm => (Row::Storm, Step::Move),
        Closed::Unstarted if facts.on_resolved == OnResolved::Settle => (Row::Unstarted, Step::SettleFiring),
        Closed::Firing | Closed::Unstarted if waited > facts.give_up_after => {
            let error = format!("the incident of the alert's beginning was not final for {:?}", facts.give_up_after);
            (Row::Expired, end(Reason::Expired, error))
        }
        Closed::Firing | Closed::Unstarted => (Row::Firing, Step::AwaitFiring),
    }
}

fn waiting(waited: Duration, stay: Stay, words: &str, facts: &Facts) -> (Row, Step) {
    match stay {
        _ if waited > facts.give_up_after => expired(words, facts),
        Stay::Here => (Row::Wait, Step::Pause),
        Stay::Crowded => (Row::Crowded, Step::Move),
        Stay::Closed => (Row::Unreachable, Step::Move),
    }
}

fn expired(words: &str, facts: &Facts) -> (Row, Step) {
    let mut error = format!("the agent could not be reached for {:?}", facts.give_up_after);
    if !words.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(error, ": {words}");
    }
    (Row::Expired, end(Reason::Expired, error))
}

/// The verdict that a task's state is; none while it goes on.
pub fn verdict(task: &Task) -> Option<Outcome> {
    match of_task(task) {
        (_, Step::Finish(outcome)) => Some(outcome),
        _ => None,
    }
}

fn of_task(task: &Task) -> (Row, Step) {
    let words = || task.status_text.as_deref().or(task.artifacts_text.as_deref()).unwrap_or("the agent gave no reason");
    match &task.state {
        State::Submitted | State::Working => (Row::Running, Step::Follow),
        State::Unknown(_) => (Row::OddState, Step::Follow),
        State::Completed => (Row::Completed, Step::Finish(Outcome::settled(Reason::Completed, task.result_text()))),
        State::Failed => (Row::Failed, end(Reason::Failed, words())),
        State::Rejected => (Row::Rejected, end(Reason::Rejected, words())),
        State::Canceled => (Row::Canceled, end(Reason::Canceled, words())),
        State::InputRequired => (Row::Input, end(Reason::InputRequired, words())),
        State::AuthRequired => (Row::Auth, end(Reason::AuthRequired, words())),
    }
}

fn send_failed(class: Class, words: &str) -> (Row, Step) {
    match class {
        Class::NotExecuted => (Row::NotExecuted, Step::Wait(Blame::Agent)),
        Class::Credentials => (Row::Credentials, Step::Wait(Blame::Pause)),
        Class::Ambiguous => (Row::Ambiguous, Step::FindOut),
        Class::Terminal => (Row::Refused, end(Reason::Refused, words)),
    }
}

fn blind(quiet: bool, facts: &Facts) -> (Row, Step) {
    if facts.recognises {
        return ready(Row::Recognised, false, facts);
    }
    if !quiet {
        return (Row::TooEarly, Step::WaitALease);
    }
    let park = |row, why| (row, end(Reason::Uncertain, why));
    match facts.on_uncertain {
        OnUncertain::Park => park(Row::Park, "the agent may have run it and cannot be asked"),
        OnUncertain::Resend if facts.attempts < UNCERTAIN_SENDS => ready(Row::Resend, true, facts),
        OnUncertain::Resend => {
            park(Row::Again, "it was sent again already; the agent may have run it and cannot be asked")
        }
    }
}

fn look_failed(class: Class, silent: bool) -> (Row, Step) {
    match class {
        Class::Ambiguous if silent => (Row::LookUnreachable, Step::Wait(Blame::Agent)),
        Class::NotExecuted => (Row::LookUnreachable, Step::Wait(Blame::Agent)),
        Class::Credentials => (Row::LookCredentials, Step::Wait(Blame::Pause)),
        Class::Ambiguous | Class::Terminal => (Row::LookFailed, Step::Wait(Blame::Incident)),
    }
}

fn task_unknown(misses: u32, searched: bool, words: &str, facts: &Facts) -> (Row, Step) {
    if misses < MISSES {
        return (Row::TaskMissing, Step::PollAgain(Pace::Slow));
    }
    if facts.lists && !searched {
        return (Row::TaskSearch, Step::Search);
    }
    (Row::TaskLost, end(Reason::TaskLost, format!("the agent no longer knows its task: {words}")))
}

#[cfg(test)]
#[path = "decision/tests.rs"]
mod tests;
