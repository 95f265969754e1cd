//! What a row of the matrix says (pure).

use std::time::Duration;

use line_tests::AgentKind;
use serde_json::{Value, json};
use stream_dispatcher::dispatch::decision::Row;

/// The calls by purpose, on both wires.
pub(crate) const SENDS: [&str; 2] = ["message/send", "SendMessage"];
pub(crate) const GETS: [&str; 2] = ["tasks/get", "GetTask"];
pub(crate) const LISTS: [&str; 2] = ["tasks/list", "ListTasks"];

/// A server and the wire that is spoken to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum On {
    /// SDK 0.3.26, found out.
    V03,
    /// SDK 1.3.0, found out.
    V10,
    /// SDK 1.3.0 with both versions, found out: 1.0 is spoken.
    Both,
    /// SDK 1.3.0 with both versions, told to speak 0.3.
    Both03,
}

impl On {
    /// The end of its agents' names.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::V03 => "v03",
            Self::V10 => "v10",
            Self::Both => "both",
            Self::Both03 => "both03",
        }
    }

    /// The server.
    pub(crate) fn kind(self) -> AgentKind {
        match self {
            Self::V03 => AgentKind::V03,
            Self::V10 => AgentKind::V10,
            Self::Both | Self::Both03 => AgentKind::V10Compat,
        }
    }
}

/// All of them.
pub(crate) const ALL: &[On] = &[On::V03, On::V10, On::Both, On::Both03];
/// The agent can be asked for its tasks.
pub(crate) const LISTING: &[On] = &[On::V10, On::Both];
/// It cannot.
pub(crate) const BLIND: &[On] = &[On::V03, On::Both03];

/// With which settings the worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Office {
    /// The usual ones.
    Usual,
    /// `MAX_ATTEMPTS=2`, `GIVE_UP_AFTER=1s`.
    Strict,
    /// `ACK_ON=accepted`.
    Accepting,
    /// `RESOLVED_SETTLES=true`.
    Settling,
}

/// One incident of a case.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What the agent is told to do.
    pub(crate) text: &'static str,
    /// Not before the incident ahead of it was decided so.
    pub(crate) after: Option<Row>,
    /// The end: state, reason, attempts.
    pub(crate) end: (&'static str, &'static str, &'static str),
    /// Runs by the agent's log.
    pub(crate) runs: usize,
}

/// What else happens meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// Somebody cancels the task once it is running.
    Cancel,
    /// The token file becomes right once the last incident was decided so.
    Token(Row),
}

/// How the entry is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// As the present system writes it.
    Usual,
    /// Without an agent, for a step that has none.
    NoRoute,
    /// As usual; the last one is the end of the alert whose beginning is the one before it.
    Resolved,
    /// Its text is gone.
    NoText,
    /// It was delivered twelve times before the worker began.
    Worn,
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) on: &'static [On],
    pub(crate) office: Office,
    pub(crate) profile: &'static str,
    pub(crate) faults: Vec<Value>,
    pub(crate) entry: Entry,
    pub(crate) orders: Vec<Order>,
    pub(crate) then: Then,
    pub(crate) at_least: Duration,
    /// Sends that are marked and counted as possible second runs.
    pub(crate) possible: usize,
    pub(crate) rows: Vec<Row>,
}

/// A case of one `echo` that is settled with its first attempt, on every server.
pub(crate) fn case(name: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        on: ALL,
        office: Office::Usual,
        profile: "",
        faults: Vec::new(),
        entry: Entry::Usual,
        orders: vec![Order { text: "echo", after: None, end: ("settled", "completed", "1"), runs: 1 }],
        then: Then::Nothing,
        at_least: Duration::ZERO,
        possible: 0,
        rows: Vec::new(),
    }
}

impl Case {
    pub(crate) fn on(self, on: &'static [On]) -> Self {
        Self { on, ..self }
    }

    pub(crate) fn at(self, office: Office) -> Self {
        Self { office, ..self }
    }

    /// Lines of the agent's section in the settings file; `{token}` is a file of its own.
    pub(crate) fn profile(self, profile: &'static str) -> Self {
        Self { profile, ..self }
    }

    pub(crate) fn entry(self, entry: Entry) -> Self {
        Self { entry, ..self }
    }

    pub(crate) fn order(self, text: &'static str) -> Self {
        self.last(|order| order.text = text)
    }

    /// Of the last incident.
    pub(crate) fn ends(self, state: &'static str, reason: &'static str, attempts: &'static str) -> Self {
        self.last(|order| order.end = (state, reason, attempts))
    }

    /// Of the last incident.
    pub(crate) fn runs(self, runs: usize) -> Self {
        self.last(|order| order.runs = runs)
    }

    /// Another incident.
    pub(crate) fn and(mut self, after: Row, text: &'static str) -> Self {
        self.orders.push(Order { text, after: Some(after), end: ("settled", "completed", "1"), runs: 1 });
        self
    }

    pub(crate) fn fault(mut self, calls: [&str; 2], mut fault: Value) -> Self {
        if let Some(fault) = fault.as_object_mut() {
            fault.insert("onlyRpc".into(), json!(calls));
        }
        self.faults.push(fault);
        self
    }

    pub(crate) fn send(self, fault: Value) -> Self {
        self.fault(SENDS, fault)
    }

    pub(crate) fn get(self, fault: Value) -> Self {
        self.fault(GETS, fault)
    }

    pub(crate) fn list(self, fault: Value) -> Self {
        self.fault(LISTS, fault)
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    pub(crate) fn at_least(self, milliseconds: u64) -> Self {
        Self { at_least: Duration::from_millis(milliseconds), ..self }
    }

    pub(crate) fn possible(self, possible: usize) -> Self {
        Self { possible, ..self }
    }

    pub(crate) fn rows(self, rows: &[Row]) -> Self {
        Self { rows: rows.to_vec(), ..self }
    }

    fn last(mut self, change: impl FnOnce(&mut Order)) -> Self {
        if let Some(order) = self.orders.last_mut() {
            change(order);
        }
        self
    }

    /// The agent's name: every case has one of its own.
    pub(crate) fn agent(&self, on: On) -> String {
        format!("{}-{}", self.name, on.suffix())
    }
}
