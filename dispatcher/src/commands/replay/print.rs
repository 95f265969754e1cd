//! Tables and pages for people. All text from outside is escaped here or before.

use std::fmt::Write as _;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use daemon::escape;

use crate::replay::filter::Now;
use crate::replay::item::Item;
use crate::replay::row::{Row, time};
use crate::replay::show::Portrait;

/// The rows as a table, one line each: ids are there to be copied, so nothing is wrapped. Colours are
/// in it; the stream that it is written to takes them out where they do not belong.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(Row::HEADINGS);
    for row in rows {
        let color = color(row.state);
        let mut cells: Vec<Cell> = row.cells().into_iter().map(Cell::new).collect();
        if let (Some(state), Some(color)) = (cells.first_mut(), color) {
            *state = state.clone().fg(color);
        }
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn color(state: &str) -> Option<Color> {
    match state {
        "dead" => Some(Color::Red),
        "parked" => Some(Color::Magenta),
        "stuck" | "waiting" => Some(Color::Yellow),
        _ => None,
    }
}

/// One incident on a page.
pub(super) fn page(portrait: &Portrait, now: Now) -> String {
    let mut page = Page(String::new());
    page.line("incident", portrait.workflow_id.as_deref().unwrap_or("(the entry names none)"));
    for item in &portrait.items {
        page.line("where", &whereabouts(item, now));
    }
    if portrait.items.is_empty() {
        page.line("where", "in no stream any more");
    }
    if let Some(error) = portrait.last_error() {
        page.text("last error", error);
    }
    match &portrait.answer {
        Some(answer) if answer.whole => page.text("answer", &answer.text),
        Some(answer) => page.text("answer (beginning)", &answer.text),
        None => page.line("answer", "(none)"),
    }
    page.heading(&format!("record {}", portrait.record_key.as_deref().unwrap_or_default()));
    match &portrait.record {
        Some(record) => record.0.iter().for_each(|(name, value)| page.field(name.as_bytes(), value.as_bytes())),
        None => page.line("", "(none)"),
    }
    for item in &portrait.items {
        page.heading(&format!("entry {} in {}", item.entry.id, item.stream));
        item.entry.fields.iter().for_each(|(name, value)| page.field(name, value));
        if item.entry.fields.is_empty() {
            page.line("", "(deleted from the stream)");
        }
    }
    page.0
}

fn whereabouts(item: &Item, now: Now) -> String {
    let row = Row::of(item, now);
    let at = format!("{}, entry {} in {}, for {}", row.state, row.entry_id, row.stream, time(row.age_ms));
    match (row.idle_ms, row.deliveries) {
        (Some(idle), Some(deliveries)) => {
            format!("{at}, held by {}, idle {}, deliveries {deliveries}", row.owner, time(idle))
        }
        _ => at,
    }
}

struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        write!(self.0, "\n{}\n", escape::line(text)).ok();
    }

    fn line(&mut self, name: &str, text: &str) {
        writeln!(self.0, "{name:<20} {}", escape::line(text)).ok();
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let name = escape::bytes(name);
        match std::str::from_utf8(value) {
            Ok(text) => self.text(&name, text),
            Err(_) => {
                writeln!(self.0, "{name:<20} {}", escape::bytes(value)).ok();
            }
        }
    }

    /// Several lines stay several; the bar in front tells them from ours.
    fn text(&mut self, name: &str, text: &str) {
        let text = text.trim_end_matches('\n');
        if !text.contains('\n') {
            return self.line(name, text);
        }
        self.0.push_str(name);
        self.0.push('\n');
        for line in text.split('\n') {
            writeln!(self.0, "  | {}", escape::line(line)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::replay::item::{Place, Record, samples};
    use crate::replay::show::Answer;

    const NOW: Now = Now { ms: 61_000, lease: Duration::from_secs(30) };

    #[test]
    fn nothing_from_outside_can_write_a_line_of_ours() {
        let fields = [("workflow_id", "am-1"), ("text", "a\nlast error  forged\u{1b}[1m"), ("n\u{1b}", "\u{202e}")];
        let item = samples::item(Place::Dead, "1000-0", &fields);
        let record = Record([("owner".to_owned(), "w\u{1b}[2J".to_owned())].into());
        let portrait = Portrait {
            workflow_id: Some("am-1".into()),
            items: vec![item],
            record_key: Some("incident:dispatch:am-1-investigation".into()),
            record: Some(record),
            answer: Some(Answer { text: "first\nanswer (none)".into(), whole: true }),
        };
        let page = page(&portrait, NOW);
        assert!(page.lines().all(|line| !line.starts_with("last error")), "{page}");
        assert_eq!(page.lines().filter(|line| line.starts_with("answer")).collect::<Vec<_>>(), ["answer"]);
        assert!(page.contains("  | last error  forged\\u{1b}[1m") && page.contains("w\\u{1b}[2J"), "{page}");
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
        assert!(page.contains("dead, entry 1000-0 in s, for 1m"), "{page}");
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let item = samples::item(samples::pending(40_000, 2), "1000-0", &[("workflow_id", "am\n\u{1b}[31m")]);
        let table = table(&[Row::of(&item, NOW), Row::of(&item, NOW)]);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("am\\n\\u{1b}[31m"), "{table}");
    }
}
