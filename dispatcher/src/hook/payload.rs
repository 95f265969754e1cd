//! The Alertmanager webhook, version 4 (pure).
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. Unknown fields are
//! ignored: they come with every release. Each alert is read by itself, so that one that cannot be
//! read does not stop its neighbours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::incident::{Alert, Status};
use crate::text::head;

/// Bytes of an unreadable alert that are kept in its dead letter.
const LONGEST_RAW: usize = 16 * 1024;
/// Longest fingerprint, bytes; Alertmanager's have 16.
const LONGEST_FINGERPRINT: usize = 128;

/// Why a body is not a webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAWebhook {
    /// No JSON.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// Another version, or no webhook at all.
    #[error("expected an Alertmanager webhook of version 4 with a list of alerts (is a payload template configured?)")]
    Version,
}

/// An alert that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub problem: String,
    /// The alert as it came, shortened.
    pub raw: String,
    /// The same for every repetition.
    pub digest: String,
}

/// The alerts of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Those that can be used.
    pub alerts: Vec<Alert>,
    /// Those that cannot.
    pub unreadable: Vec<Unreadable>,
}

impl Webhook {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, NotAWebhook> {
        let body: Value = serde_json::from_slice(body).map_err(|error| NotAWebhook::Json(error.to_string()))?;
        let Some(Value::Array(alerts)) = body.get("alerts") else { return Err(NotAWebhook::Version) };
        if body.get("version").and_then(Value::as_str) != Some("4") {
            return Err(NotAWebhook::Version);
        }
        let mut webhook = Self::default();
        for alert in alerts {
            match read(alert) {
                Ok(alert) => webhook.alerts.push(alert),
                Err(problem) => webhook.unreadable.push(unreadable(alert, problem)),
            }
        }
        Ok(webhook)
    }
}

fn read(alert: &Value) -> Result<Alert, String> {
    let text = |name: &str| alert.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = match text("status") {
        "firing" => Status::Firing,
        "resolved" => Status::Resolved,
        other => return Err(format!("status {other:?} is neither firing nor resolved")),
    };
    let fingerprint = text("fingerprint");
    if fingerprint.is_empty() {
        return Err("fingerprint is missing".to_owned());
    }
    if fingerprint.len() > LONGEST_FINGERPRINT || !fingerprint.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("fingerprint is not one".to_owned());
    }
    let starts_at: Timestamp = text("startsAt").parse().map_err(|_| "startsAt is not an RFC 3339 time".to_owned())?;
    let ends_at = text("endsAt").parse().ok().filter(|_| status == Status::Resolved);
    Ok(Alert {
        status,
        fingerprint: fingerprint.to_owned(),
        starts_at,
        ends_at,
        labels: strings(alert.get("labels"))?,
        annotations: strings(alert.get("annotations"))?,
        generator_url: text("generatorURL").to_owned(),
    })
}

/// A map of strings. Other scalars are taken as they are written, since nothing depends on them.
fn strings(map: Option<&Value>) -> Result<BTreeMap<String, String>, String> {
    match map {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => Ok(map
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect()),
        Some(_) => Err("labels and annotations must be maps".to_owned()),
    }
}

fn unreadable(alert: &Value, problem: String) -> Unreadable {
    let raw = alert.to_string();
    let digest = Sha256::digest(raw.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Unreadable { problem, raw: head(&raw, LONGEST_RAW).to_owned(), digest }
}

/// Which alerts are meant for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Values of the label `severity`.
    pub severities: Vec<String>,
    /// Resolved alerts too.
    pub resolved: bool,
}

impl Filter {
    /// Whether this alert becomes an incident.
    pub fn takes(&self, alert: &Alert) -> bool {
        let severity = alert.label("severity");
        (self.resolved || alert.status == Status::Firing) && self.severities.iter().any(|allowed| allowed == severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn alert() -> Value {
        json!({"status": "firing", "labels": {"alertname": "HighCPU", "severity": "critical"},
               "annotations": {"summary": "hot"}, "startsAt": "2026-11-22T10:00:00.123Z",
               "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "7a9c4c1d3e5f6071", "new field": 1})
    }

    fn webhook(alerts: &[Value]) -> Vec<u8> {
        json!({"version": "4", "status": "firing", "alerts": alerts, "truncatedAlerts": 0}).to_string().into_bytes()
    }

    #[test]
    fn one_unreadable_alert_does_not_stop_its_neighbours() {
        let mut broken = Vec::new();
        for (field, value) in [
            ("fingerprint", Value::Null),
            ("fingerprint", json!("")),
            ("fingerprint", json!("a b")),
            ("startsAt", json!("yesterday")),
            ("startsAt", json!(7)),
            ("status", json!("burning")),
            ("labels", json!([1])),
        ] {
            let mut alert = alert();
            alert[field] = value;
            broken.push(alert);
        }
        broken.push(json!("not an alert"));
        let count = broken.len();
        broken.insert(3, alert());
        let webhook = Webhook::parse(&webhook(&broken)).unwrap();
        assert_eq!((webhook.alerts.len(), webhook.unreadable.len()), (1, count));
        assert!(webhook.unreadable.iter().all(|alert| !alert.problem.is_empty() && alert.digest.len() == 64));
    }

    #[test]
    fn what_is_no_webhook() {
        assert!(matches!(Webhook::parse(b"{"), Err(NotAWebhook::Json(_))));
        for body in ["[]", "{}", r#"{"version":"3","alerts":[]}"#, r#"{"version":4,"alerts":[]}"#, r#"{"version":"4"}"#]
        {
            assert_eq!(Webhook::parse(body.as_bytes()), Err(NotAWebhook::Version), "{body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(Webhook::parse(deep.as_bytes()), Err(NotAWebhook::Json(_))));
    }

    #[test]
    fn the_filter() {
        let filter = Filter { severities: vec!["critical".into()], resolved: false };
        let mut alert = Webhook::parse(&webhook(&[alert()])).unwrap().alerts.remove(0);
        assert!(filter.takes(&alert));
        alert.status = Status::Resolved;
        assert!(!filter.takes(&alert) && Filter { resolved: true, ..filter.clone() }.takes(&alert));
        alert.status = Status::Firing;
        alert.labels.remove("severity");
        assert!(!filter.takes(&alert));
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body: Vec<u8>) {
            let _ = Webhook::parse(&body);
        }

        #[test]
        fn arbitrary_fields_never_panic(status: String, fingerprint: String, starts_at: String) {
            let alert = json!({"status": status, "fingerprint": fingerprint, "startsAt": starts_at});
            prop_assert!(Webhook::parse(&webhook(&[alert])).is_ok());
        }
    }
}
