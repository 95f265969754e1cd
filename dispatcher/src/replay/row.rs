//! An item summed up (pure).

use daemon::escape;
use serde_json::{Value, json};

use super::filter::Now;
use super::item::{Item, Place};

/// What a list says of an entry. Texts are as they are in Redis: escape them before printing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `outbox`, `stuck`, `pending`, `waiting`, `parked`, `dead`, `unread` or `acknowledged`.
    pub state: &'static str,
    /// The stream it is in.
    pub stream: String,
    /// Its id there.
    pub entry_id: String,
    /// The incident id, unchecked.
    pub workflow_id: String,
    /// The record's state.
    pub record: String,
    /// The agent.
    pub agent: String,
    /// Who holds it, or wrote its record.
    pub owner: String,
    /// Milliseconds since its holder was heard of; only of a pending one.
    pub idle_ms: Option<i64>,
    /// Milliseconds since it was written.
    pub age_ms: i64,
    /// How often it was delivered; only of a pending one.
    pub deliveries: Option<i64>,
    /// Sends that may have reached the agent.
    pub attempts: String,
    /// Why it ended so.
    pub reason: String,
    /// The alert's name.
    pub alertname: String,
}

impl Row {
    /// Headings of [`Row::cells`].
    pub const HEADINGS: [&str; 12] = [
        "STATE",
        "ENTRY",
        "WORKFLOW",
        "RECORD",
        "AGENT",
        "OWNER",
        "IDLE",
        "AGE",
        "DELIVERIES",
        "ATTEMPTS",
        "REASON",
        "ALERT",
    ];

    /// Sums up an item.
    pub fn of(item: &Item, now: Now) -> Self {
        let held = match &item.place {
            Place::Pending { consumer, idle_ms, deliveries } => Some((consumer.as_str(), *idle_ms, *deliveries)),
            _ => None,
        };
        let lossy = |field: &str| item.entry.get(field).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let known = |field: &str| item.added(field).or_else(|| item.recorded(field)).unwrap_or_default().to_owned();
        let deleted = item.entry.fields.is_empty();
        Self {
            state: now.state(&item.place),
            stream: item.stream.clone(),
            entry_id: item.entry.id.to_string(),
            workflow_id: lossy("workflow_id"),
            record: item.recorded("state").unwrap_or_default().to_owned(),
            agent: item.agent().unwrap_or_default().to_owned(),
            owner: held.map_or_else(|| item.recorded("owner").unwrap_or_default(), |(owner, ..)| owner).to_owned(),
            idle_ms: held.map(|(_, idle, _)| idle),
            age_ms: now.age_ms(item.entry.id),
            deliveries: held.map(|(.., deliveries)| deliveries),
            attempts: known("attempts"),
            reason: if deleted { "entry deleted".to_owned() } else { known("reason") },
            alertname: lossy("alertname"),
        }
    }

    /// One object; numbers that are not known are `null`.
    pub fn json(&self) -> Value {
        json!({
            "state": self.state,
            "stream": self.stream,
            "entry_id": self.entry_id,
            "workflow_id": self.workflow_id,
            "record": self.record,
            "agent": self.agent,
            "owner": self.owner,
            "idle_ms": self.idle_ms,
            "age_ms": self.age_ms,
            "deliveries": self.deliveries,
            "attempts": self.attempts.parse::<u64>().ok(),
            "reason": self.reason,
            "alertname": self.alertname,
        })
    }

    /// For a table: escaped, short.
    pub fn cells(&self) -> [String; 12] {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            self.state.to_owned(),
            self.entry_id.clone(),
            cut(&self.workflow_id),
            cut(&self.record),
            cut(&self.agent),
            cut(&self.owner),
            self.idle_ms.map(time).unwrap_or_default(),
            time(self.age_ms),
            number(self.deliveries),
            cut(&self.attempts),
            cut(&self.reason),
            cut(&self.alertname),
        ]
    }
}

/// Escaped, at most 60 characters.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escape::line(&short)
}

/// A time in its largest unit: `250ms`, `12s`, `3m`, `5h`, `2d`.
pub fn time(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}s", ms / 1_000),
        60_000..3_600_000 => format!("{}m", ms / 60_000),
        3_600_000..86_400_000 => format!("{}h", ms / 3_600_000),
        _ => format!("{}d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::item::samples::{item, pending, recorded};
    use super::*;

    const NOW: Now = Now { ms: 1_000_000, lease: Duration::from_secs(30) };

    #[test]
    fn a_pending_entry_shows_its_holder_and_its_record() {
        let entry = item(pending(61_000, 2), "900000-0", &[("workflow_id", "am-1"), ("alertname", "HighCPU")]);
        let known = [("state", "sending"), ("agent", "kagent/triage"), ("attempts", "1"), ("owner", "old")];
        let row = Row::of(&recorded(entry, &known), NOW);
        let cells = row.cells();
        let expected =
            ["stuck", "900000-0", "am-1", "sending", "kagent/triage", "w-1", "1m", "1m", "2", "1", "", "HighCPU"];
        assert_eq!(cells, expected);
        assert_eq!(row.json()["idle_ms"], 61_000);
    }

    #[test]
    fn a_copy_shows_what_is_written_in_it() {
        let fields = [("workflow_id", "am-1"), ("agent_target", "triage"), ("reason", "failed"), ("attempts", "2")];
        let row = Row::of(&recorded(item(Place::Dead, "1-0", &fields), &[("reason", "later"), ("attempts", "9")]), NOW);
        assert_eq!((row.reason.as_str(), row.attempts.as_str(), row.agent.as_str()), ("failed", "2", "triage"));
        assert_eq!((row.idle_ms, row.deliveries), (None, None));
    }

    #[test]
    fn foreign_text_is_escaped_and_short() {
        let long = "x".repeat(100);
        let fields = [("workflow_id", "a\u{1b}[2J\nb"), ("alertname", long.as_str())];
        let cells = Row::of(&item(Place::Dead, "1-0", &fields), NOW).cells();
        assert_eq!(cells[2], "a\\u{1b}[2J\\nb");
        assert_eq!(cells[11].chars().count(), 61);
        assert_eq!(Row::of(&item(pending(0, 1), "1-0", &[]), NOW).reason, "entry deleted");
    }
}
