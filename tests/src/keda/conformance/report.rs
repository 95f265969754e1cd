//! The table (pure).

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::list::Weight;
use super::{Finding, Outcome};

/// The table. Colours are in it; the stream that it is written to takes them out where they do not belong.
pub fn render(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(["check", "", "", "seen"]);
    for Finding { check, outcome } in findings {
        let (word, colour, seen) = match outcome {
            Outcome::Pass(seen) => ("pass", Color::Green, seen.clone()),
            Outcome::Skip(why) => ("skip", Color::Yellow, why.clone()),
            Outcome::Fail(seen) => {
                ("FAIL", Color::Red, format!("{seen}\n  should: {}\n  else: {}", check.what, check.consequence))
            }
        };
        table.add_row([Cell::new(check.id), Cell::new(check.weight), Cell::new(word).fg(colour), Cell::new(seen)]);
    }
    format!("{}\n", table.trim_fmt())
}

/// Checks that failed: the musts, and the advice.
pub fn worst(findings: &[Finding]) -> (usize, usize) {
    let failed = |weight: Weight| {
        let failed = |finding: &&Finding| finding.check.weight == weight && matches!(finding.outcome, Outcome::Fail(_));
        findings.iter().filter(failed).count()
    };
    (failed(Weight::Must), failed(Weight::Advice))
}

#[cfg(test)]
mod tests {
    use super::super::CHECKS;
    use super::*;

    #[test]
    fn a_failure_says_what_should_be_and_what_follows() {
        let outcomes = [Outcome::Pass("fine".into()), Outcome::Fail("1 then 2".into())];
        let findings: Vec<_> = CHECKS.iter().zip(outcomes).map(|(check, outcome)| Finding { check, outcome }).collect();
        let text = render(&findings);
        assert!(text.contains("1 then 2") && text.contains("else: the autoscaler asks for a name that is gone"));
        assert_eq!(worst(&findings), (1, 0));
    }

    #[test]
    fn every_check_has_its_own_id() {
        let ids: std::collections::BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
    }
}
