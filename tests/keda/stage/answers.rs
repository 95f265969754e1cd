//! The table (pure).

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use daemon::escape;

use crate::client::Reading;

/// A state or an outage.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// In the order of the ways.
    pub(crate) cells: Vec<(String, Mood)>,
    pub(crate) ours_is_wrong: bool,
}

/// What an answer does to the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    /// It does no harm by itself.
    Odd,
    /// Work is scaled away, or replicas are kept for nothing.
    Bad,
}

/// One answer, judged by the true backlog.
pub(crate) fn cell(reading: &Reading, backlog: i64) -> (String, Mood) {
    if !reading.is_known() {
        let counted = if reading.unbuilt { ", not counted for the fallback" } else { "" };
        return (format!("error{counted}: {}", brief(reading.attempts.last())), Mood::Odd);
    }
    let active = if reading.active { "active" } else { "inactive" };
    let mood = if reading.active == (backlog > 0) { Mood::Good } else { Mood::Bad };
    (format!("{} / {active}", reading.value), mood)
}

/// The end of an error says most; the rest is KEDA's wrapping.
fn brief(error: Option<&String>) -> String {
    let text = error.map(String::as_str).unwrap_or_default();
    let text = text.rsplit("desc = ").next().unwrap_or(text);
    escape::line(&text.chars().take(70).collect::<String>())
}

/// Colours are in it; the stream that it is written to takes them out where they do not belong.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(["", "this scaler, backlog", "KEDA, lagCount", "KEDA, pendingEntriesCount"]);
    for row in rows {
        let cells = row.cells.iter().map(|(text, mood)| {
            Cell::new(text).fg(match mood {
                Mood::Good => Color::Green,
                Mood::Odd => Color::Yellow,
                Mood::Bad => Color::Red,
            })
        });
        table.add_row(std::iter::once(Cell::new(&row.what)).chain(cells));
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: f64, active: bool) -> Reading {
        Reading { target: 10.0, value, values: 1, active, attempts: Vec::new(), unbuilt: false, millis: 1 }
    }

    #[test]
    fn what_scales_work_away_is_bad() {
        assert_eq!(cell(&reading(0.0, false), 5), ("0 / inactive".into(), Mood::Bad));
        assert_eq!(cell(&reading(5.0, true), 5), ("5 / active".into(), Mood::Good));
        assert_eq!(cell(&reading(2.0, true), 0).1, Mood::Bad);
    }

    #[test]
    fn an_error_says_whether_it_counts() {
        let attempts = vec!["one".to_owned(), "rpc error: code = Unavailable desc = away".to_owned()];
        let failed = Reading { attempts, ..reading(0.0, false) };
        assert_eq!(cell(&failed, 5), ("error: away".into(), Mood::Odd));
        let unbuilt = Reading { attempts: vec!["ping".into()], unbuilt: true, ..failed };
        assert_eq!(cell(&unbuilt, 5).0, "error, not counted for the fallback: ping");
    }
}
