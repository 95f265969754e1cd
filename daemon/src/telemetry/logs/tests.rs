use std::fmt;

use proptest::prelude::*;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::{LogFormat, escape_json, is_hostile, to_writer};
use crate::testing::Page;

/// What a stranger might put into an alert: colour codes, a title change, a second line, C1, DEL, right-to-left.
const HOSTILE: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\r\nINFO forged \u{9b}2J \u{7f} \u{202e}gpj\u{2066}";

/// The lines that `work` logs.
fn logged(shape: LogFormat, work: impl FnOnce()) -> String {
    let page = Page::default();
    let sink = page.clone();
    let layer = to_writer(shape, Some(false), move || sink.clone());
    tracing::subscriber::with_default(registry().with(layer), work);
    page.text()
}

/// An error whose text comes from a peer.
#[derive(Debug)]
struct PeerError;

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HOSTILE)
    }
}

impl std::error::Error for PeerError {}

fn log_all_ways() {
    let span = tracing::info_span!("incident", alertname = HOSTILE, agent = %HOSTILE);
    let _inside = span.enter();
    let error: &dyn std::error::Error = &PeerError;
    tracing::info!(text = HOSTILE, display = %HOSTILE, debug = ?HOSTILE, error, "got {HOSTILE}");
}

#[test]
fn a_json_line_has_a_fixed_shape() {
    let text = logged(LogFormat::Json, || {
        let span = tracing::info_span!("incident", workflow_id = "am-1");
        let _inside = span.enter();
        tracing::warn!(attempts = 2, ready = true, "agent busy");
    });
    let line: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["fields", "level", "span", "target", "timestamp"]);
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "daemon::telemetry::logs::tests");
    assert_eq!(line["fields"]["message"], "agent busy");
    assert_eq!(line["fields"]["attempts"], 2);
    assert_eq!(line["fields"]["ready"], true);
    assert_eq!(line["span"]["name"], "incident");
    assert_eq!(line["span"]["workflow_id"], "am-1");
    let timestamp: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(timestamp > jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn hostile_text_stays_one_json_line_and_keeps_its_value() {
    let text = logged(LogFormat::Json, log_all_ways);
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains(is_hostile), "{line:?}");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["text"], HOSTILE);
    assert_eq!(line["fields"]["display"], HOSTILE);
    assert_eq!(line["fields"]["message"], format!("got {HOSTILE}"));
}

#[test]
fn hostile_text_stays_one_plain_line() {
    let text = logged(LogFormat::Text, log_all_ways);
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains(is_hostile), "{line:?}");
    assert!(line.contains(r"got \u{1b}[31mred\u{1b}]0;title\u{7}\r\nINFO forged"), "{line}");
    assert!(line.contains(r"display=\u{1b}[31m"), "{line}");
    assert!(line.contains(r"alertname="), "{line}");
}

#[test]
fn a_plain_line_reads_as_name_and_value() {
    let text = logged(LogFormat::Text, || {
        tracing::info!(agent = %"kagent/triage", r#type = 3, "dispatched");
    });
    let end = " INFO daemon::telemetry::logs::tests: dispatched agent=kagent/triage type=3\n";
    assert!(text.ends_with(end), "{text}");
}

proptest! {
    #[test]
    fn escaping_changes_no_json_value(text in any::<String>()) {
        let line = serde_json::to_string(&text).unwrap();
        let escaped = escape_json(&line);
        prop_assert!(!escaped.contains(is_hostile));
        prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
