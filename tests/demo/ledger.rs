//! What was posted, and how it compares with the agent's own run log (pure).

use std::collections::BTreeMap;

use line_tests::Execution;
use line_tests::alerts::Alert;

/// The part of the demo that an incident belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Backlog,
    Failover,
    Outage,
    Return,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Backlog, Self::Failover, Self::Outage, Self::Return];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backlog => "a backlog",
            Self::Failover => "failover",
            Self::Outage => "Redis stopped",
            Self::Return => "Redis is back",
        }
    }
}

/// One phase in numbers of incidents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Answered with 200 by the hook.
    pub(crate) answered: u64,
    pub(crate) once: u64,
    /// Ran more than once, answered or not.
    pub(crate) twice: u64,
    /// Answered, and never ran.
    pub(crate) lost: u64,
    /// Given to the agent by the hook itself.
    pub(crate) direct: u64,
    /// Accepted, and unknown to Redis when Alertmanager repeated it, run or not.
    pub(crate) forgotten: u64,
    /// Forgotten before it ran, and run after Alertmanager repeated it.
    pub(crate) healed: u64,
}

#[derive(Debug)]
struct Posted {
    phase: Phase,
    alert: Alert,
    answered: bool,
}

/// Every alert of the demo.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    posted: Vec<Posted>,
    direct: BTreeMap<Phase, u64>,
    forgotten: BTreeMap<Phase, u64>,
    healed: BTreeMap<Phase, u64>,
}

impl Ledger {
    /// The number of the next new alert.
    pub(crate) fn next_number(&self) -> u64 {
        self.posted.len() as u64 + 1
    }

    /// Notes alerts that were posted, and whether the hook has answered 200.
    pub(crate) fn add(&mut self, phase: Phase, alerts: impl IntoIterator<Item = Alert>, answered: bool) {
        self.posted.extend(alerts.into_iter().map(|alert| Posted { phase, alert, answered }));
    }

    /// Notes incidents that the hook gave to the agent itself.
    pub(crate) fn add_direct(&mut self, phase: Phase, count: u64) {
        *self.direct.entry(phase).or_default() += count;
    }

    /// Notes incidents that Redis did not know when they were repeated.
    pub(crate) fn add_forgotten(&mut self, phase: Phase, count: u64) {
        *self.forgotten.entry(phase).or_default() += count;
    }

    /// Notes incidents that had not run before they were repeated.
    pub(crate) fn add_healed(&mut self, phase: Phase, count: u64) {
        *self.healed.entry(phase).or_default() += count;
    }

    /// The alerts of one phase.
    pub(crate) fn alerts(&self, phase: Phase) -> Vec<Alert> {
        self.posted.iter().filter(|posted| posted.phase == phase).map(|posted| posted.alert.clone()).collect()
    }

    /// How many incidents of a phase were answered with 200 and have not run.
    pub(crate) fn missing(&self, phase: Phase, executions: &[Execution]) -> u64 {
        self.row(phase, executions).lost
    }

    /// Every phase that had incidents.
    pub(crate) fn rows(&self, executions: &[Execution]) -> Vec<Row> {
        let begun = Phase::ALL.into_iter().filter(|phase| self.posted.iter().any(|posted| posted.phase == *phase));
        begun.map(|phase| self.row(phase, executions)).collect()
    }

    fn row(&self, phase: Phase, executions: &[Execution]) -> Row {
        let of = |counts: &BTreeMap<Phase, u64>| counts.get(&phase).copied().unwrap_or_default();
        let mut row = Row {
            name: phase.name(),
            direct: of(&self.direct),
            forgotten: of(&self.forgotten),
            healed: of(&self.healed),
            ..Row::default()
        };
        for posted in self.posted.iter().filter(|posted| posted.phase == phase) {
            let runs = executions.iter().filter(|execution| caused_by(execution, &posted.alert)).count();
            row.answered += u64::from(posted.answered);
            row.once += u64::from(runs == 1);
            row.twice += u64::from(runs > 1);
            row.lost += u64::from(runs == 0 && posted.answered);
        }
        row
    }
}

/// The fingerprint stands in the text that the agent was given: no id of the product's is trusted here.
pub(crate) fn caused_by(execution: &Execution, alert: &Alert) -> bool {
    execution.text.contains(&alert.fingerprint)
}

#[cfg(test)]
mod tests {
    use line_tests::alerts::burst;

    use super::*;

    fn run(number: u64) -> Execution {
        Execution {
            t: 0.0,
            message_id: "m".into(),
            task_id: None,
            context_id: None,
            text: format!("test alert {number:016x} [agent: echo]"),
            continued: false,
            metadata: serde_json::Map::new(),
        }
    }

    #[test]
    fn what_ran_is_counted_from_the_log_alone() {
        let mut ledger = Ledger::default();
        ledger.add(Phase::Backlog, burst(1, 3, "echo"), true);
        ledger.add(Phase::Outage, burst(4, 2, "echo"), false);
        assert_eq!(ledger.next_number(), 6);
        ledger.add_direct(Phase::Outage, 2);
        let rows = ledger.rows(&[run(1), run(2), run(2), run(4)]);
        let backlog = Row { name: "a backlog", answered: 3, once: 1, twice: 1, lost: 1, ..Row::default() };
        let outage = Row { name: "Redis stopped", once: 1, direct: 2, ..Row::default() };
        assert_eq!(rows, [backlog, outage]);
        assert_eq!(ledger.missing(Phase::Backlog, &[run(1)]), 2);
    }
}
