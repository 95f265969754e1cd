//! The table at the end (pure).

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::judge::Verdict;

const HEADINGS: [&str; 9] = ["fault", "answers", "errors", "longest", "blind", "smallest", "fell", "apart", "note"];

/// One fault.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) note: String,
}

/// Colours are in it; the stream that it is written to takes them out where they do not belong.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(HEADINGS);
    for Row { fault, verdict, note } in rows {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let time = |time: std::time::Duration| right(format!("{} ms", time.as_millis()));
        let colour = if verdict.findings.is_empty() { Color::Green } else { Color::Red };
        table.add_row([
            Cell::new(fault).fg(colour),
            right(verdict.answers.to_string()),
            right(verdict.errors.to_string()),
            time(verdict.longest),
            time(verdict.blind),
            right(verdict.smallest.map_or("-".into(), |number| number.to_string())),
            right(verdict.fell.to_string()),
            time(verdict.apart),
            Cell::new(note),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}
