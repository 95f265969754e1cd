//! The table at the end, and the verdict (pure).

use anyhow::{Result, ensure};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::ledger::Row;

const HEADINGS: [&str; 8] =
    ["phase", "answered 200", "ran once", "ran twice", "lost", "direct", "forgotten by Redis", "healed by repeat"];

/// The rows and their sum. Colours are in it; the stream that it is written to takes them out where they
/// do not belong.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(HEADINGS);
    let sum = Sum::of(rows).0;
    for row in rows.iter().chain([&sum]) {
        let number = |count: u64| Cell::new(count).set_alignment(CellAlignment::Right);
        let bad = |count: u64| number(count).fg(if count == 0 { Color::Green } else { Color::Red });
        table.add_row([
            Cell::new(row.name),
            number(row.answered),
            number(row.once),
            bad(row.twice),
            bad(row.lost),
            number(row.direct),
            number(row.forgotten),
            number(row.healed),
        ]);
    }
    format!("{}\n\n", table.trim_fmt())
}

/// All phases together.
#[derive(Debug)]
pub(crate) struct Sum(Row);

impl Sum {
    pub(crate) fn of(rows: &[Row]) -> Self {
        let nothing = Row { name: "together", ..Row::default() };
        Self(rows.iter().fold(nothing, |sum, row| Row {
            name: sum.name,
            answered: sum.answered + row.answered,
            once: sum.once + row.once,
            twice: sum.twice + row.twice,
            lost: sum.lost + row.lost,
            direct: sum.direct + row.direct,
            forgotten: sum.forgotten + row.forgotten,
            healed: sum.healed + row.healed,
        }))
    }

    /// Nothing lost, nothing twice, and something was shown at all.
    pub(crate) fn verdict(&self) -> Result<()> {
        let Row { answered, once, twice, lost, .. } = self.0;
        ensure!(lost == 0, "{lost} incidents were lost");
        ensure!(twice == 0, "{twice} incidents ran more than once");
        ensure!(answered > 0 && once == answered, "{once} incidents ran once, {answered} were answered");
        Ok(())
    }

    /// The line that scripts read.
    pub(crate) fn last_line(&self, seconds: f64) -> String {
        let Row { answered, once, twice, lost, .. } = self.0;
        format!("demo: incidents={answered} once={once} twice={twice} lost={lost} seconds={seconds:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_or_a_second_run_anywhere_is_a_failure() {
        let good = Row { name: "a", answered: 2, once: 2, ..Row::default() };
        assert!(Sum::of(&[good]).verdict().is_ok());
        assert!(Sum::of(&[]).verdict().is_err());
        for bad in [Row { once: 1, lost: 1, ..good }, Row { once: 1, twice: 1, ..good }, Row { once: 1, ..good }] {
            assert!(Sum::of(&[good, bad]).verdict().is_err(), "{bad:?}");
        }
        let line = Sum::of(&[good, Row { once: 1, lost: 1, ..good }]).last_line(2.4);
        assert_eq!(line, "demo: incidents=4 once=3 twice=0 lost=1 seconds=2");
    }

    #[test]
    fn the_table_has_a_row_for_each_phase_and_one_for_all() {
        let row = Row { name: "a", answered: 20, once: 20, ..Row::default() };
        let table = render(&[row, row]);
        assert_eq!(table.trim_end().lines().count(), 4, "{table}");
        assert!(table.contains("together") && table.contains("40"), "{table}");
    }
}
