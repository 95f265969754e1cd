//! The matrix: every fault and every row of the decision table, on every server.

use std::collections::HashSet;

use stream_dispatcher::dispatch::decision::Row;

use super::case::{Case, On};
use super::{ends, recoveries, sends, waits};

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    [ends::cases(), sends::cases(), recoveries::cases(), waits::cases()].concat()
}

/// Rows that need an entry without an incident, and are proved outside the table.
const ELSEWHERE: [Row; 1] = [Row::Undecodable];

#[test]
fn every_row_of_the_decision_table_has_a_case() {
    let proved: HashSet<Row> = cases().into_iter().flat_map(|case| case.rows).chain(ELSEWHERE).collect();
    let missing: Vec<_> = Row::ALL.iter().filter(|row| !proved.contains(row)).map(|row| row.id()).collect();
    assert!(missing.is_empty(), "no case proves {missing:?}");
}

#[test]
fn every_case_proves_something_and_has_an_agent_of_its_own() {
    let mut agents = HashSet::new();
    for case in cases() {
        assert!(!case.rows.is_empty(), "{} proves no row", case.name);
        for &on in case.on {
            let agent = case.agent(on);
            assert!(agent.len() <= 63, "{agent}");
            assert!(agents.insert(agent.clone()), "{agent} has two cases");
        }
    }
    for on in [On::V03, On::V10, On::Both, On::Both03] {
        assert!(agents.iter().any(|agent| agent.ends_with(on.suffix())), "{on:?} has no case");
    }
}
