//! The words that the table is asked and answered in.

/// Why nothing may be sent for an incident at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The agent is unreachable, or refuses our credentials.
    Open,
    /// The agent has as many runs as it may have.
    Full,
    /// The agent has begun as many runs within the hour as it may.
    Storm,
    /// Its alert is over, and the incident of the alert's beginning has begun and is not final.
    Firing,
    /// The same, and nobody has sent that one yet.
    Unstarted,
}

/// Where an incident waits whose try did not reach the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// Here: it will be tried again in a moment.
    Here,
    /// Not here: as many wait so as the agent may run.
    Crowded,
    /// Not here: the agent is closed.
    Closed,
}

/// Where a task was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// In the answer to the send.
    Send,
    /// When it was looked at later.
    Look,
}

/// How much of a try's failure is the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// None: this incident's only.
    Incident,
    /// The agent fails now.
    Agent,
    /// The agent is of no use until somebody mends it.
    Pause,
}

/// How soon a task is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As the growing series says.
    Usual,
    /// After some seconds.
    Slow,
}
