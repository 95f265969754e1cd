//! What an alert becomes: ids, message text, entry fields, and an entry read back (pure).

mod decode;
mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use decode::{Order, Text, Undecodable};
pub use text::message_text;

/// Namespace of incident ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_6a0e_52c5_4f0e_9a53_3f1b_7f0c_2a11);

/// The only step that this program's own incidents have.
pub const STEP: &str = "investigation";

/// What Alertmanager says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is on.
    Firing,
    /// It is over.
    Resolved,
}

impl Status {
    /// As Alertmanager writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One alert of a webhook, as far as it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Firing or resolved.
    pub status: Status,
    /// Hash of the labels: the same for every notification about this alert.
    pub fingerprint: String,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it ended; only of a resolved one.
    pub ends_at: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Where it comes from.
    pub generator_url: String,
}

impl Alert {
    /// A label's value, or nothing.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// The incident id: the same for every notification of one episode, whoever sends it.
pub fn incident_id(fingerprint: &str, starts_at: Timestamp, status: Status) -> String {
    let name = format!("{fingerprint}\n{}\n{}", rfc3339_nanos(starts_at), status.as_str());
    format!("am-{}", Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// UTC with nine decimals and `Z`.
pub fn rfc3339_nanos(at: Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(9)).timestamp_to_string(&at)
}

/// The A2A context of an incident: the agent's memory begins anew with each.
pub fn context_id(message_id: &str) -> String {
    Uuid::new_v5(&NAMESPACE, message_id.as_bytes()).to_string()
}

/// An incident that goes onto the stream, or to an agent directly. As JSON it is kept in the outbox: a field that is
/// added needs a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// `am-` and a UUID.
    pub workflow_id: String,
    /// Agent name, or `namespace/agent`.
    pub agent_target: String,
    /// The message for the agent.
    pub text: String,
    /// W3C trace context of whoever reported it.
    pub traceparent: String,
    /// The rest of the trace context; may be empty.
    pub tracestate: String,
    /// When it was taken in.
    pub timestamp: Timestamp,
    /// Fingerprint of the alert it comes from.
    pub fingerprint: String,
    /// Start of the alert's episode.
    pub starts_at: Timestamp,
    /// Label of the alert; may be empty.
    pub severity: String,
    /// Label of the alert; may be empty.
    pub alertname: String,
    /// Of a resolved alert: the id of its firing incident.
    pub firing_workflow_id: Option<String>,
}

impl Incident {
    /// Of an alert whose `starts_at` is the start of its episode.
    pub fn new(alert: Alert, agent_target: &str, traceparent: &str, tracestate: &str, now: Timestamp) -> Self {
        let id = |status| incident_id(&alert.fingerprint, alert.starts_at, status);
        Self {
            workflow_id: id(alert.status),
            agent_target: agent_target.to_owned(),
            text: message_text(&alert),
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.to_owned(),
            timestamp: now,
            firing_workflow_id: (alert.status == Status::Resolved).then(|| id(Status::Firing)),
            severity: alert.label("severity").to_owned(),
            alertname: alert.label("alertname").to_owned(),
            starts_at: alert.starts_at,
            fingerprint: alert.fingerprint,
        }
    }

    /// A2A message id of the first run.
    pub fn message_id(&self) -> String {
        format!("{}-{STEP}", self.workflow_id)
    }

    /// The entry's fields; empty optional ones are left out.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("workflow_id", self.workflow_id.clone()),
            ("step", STEP.to_owned()),
            ("agent_target", self.agent_target.clone()),
            ("artifact_key", artifact_key(&self.workflow_id)),
            ("status", "pending".to_owned()),
            ("timestamp", self.timestamp.to_string()),
            ("traceparent", self.traceparent.clone()),
            ("tracestate", self.tracestate.clone()),
            ("text", self.text.clone()),
            ("fingerprint", self.fingerprint.clone()),
            ("starts_at", rfc3339_nanos(self.starts_at)),
            ("severity", self.severity.clone()),
            ("alertname", self.alertname.clone()),
            ("firing_workflow_id", self.firing_workflow_id.clone().unwrap_or_default()),
        ];
        fields.retain(|(_, value)| !value.is_empty());
        fields
    }
}

/// Key of the message text, for readers that know no `text` field.
pub fn artifact_key(workflow_id: &str) -> String {
    format!("incident:artifact:{workflow_id}:alert")
}

/// Key of the agent's answer.
pub fn result_key(workflow_id: &str) -> String {
    format!("incident:artifact:{workflow_id}:result")
}

/// Key of the dispatch record.
pub fn record_key(workflow_id: &str, step: &str) -> String {
    format!("{RECORD_PREFIX}{workflow_id}-{step}")
}

/// What every record's key begins with.
pub const RECORD_PREFIX: &str = "incident:dispatch:";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ids_are_the_published_ones() {
        let first = at("2026-11-22T10:00:00.123Z");
        let vectors = [
            ("7a9c4c1d3e5f6071", first, Status::Firing, "am-028c9cc7-6c7d-57d2-8282-89b9a7675fbc"),
            ("7a9c4c1d3e5f6071", first, Status::Resolved, "am-9ebe19fb-6f0a-5b1d-9791-dcac728d517a"),
            ("0000000000000001", at("2026-01-01T00:00:00Z"), Status::Firing, "am-0a5d2fe2-7c44-56d1-b88e-28760add6ce3"),
        ];
        for (fingerprint, starts_at, status, id) in vectors {
            assert_eq!(incident_id(fingerprint, starts_at, status), id);
        }
    }

    #[test]
    fn an_offset_changes_no_id() {
        let (a, b) = (at("2026-11-22T10:00:00.123Z"), at("2026-11-22T12:00:00.123+02:00"));
        assert_eq!(incident_id("f", a, Status::Firing), incident_id("f", b, Status::Firing));
    }

    #[test]
    fn an_entry_has_the_present_systems_fields_and_no_empty_ones() {
        let labels = BTreeMap::from([("alertname".to_owned(), "HighCPU".to_owned())]);
        let alert = Alert {
            status: Status::Resolved,
            fingerprint: "7a9c4c1d3e5f6071".into(),
            starts_at: at("2026-11-22T10:00:00.123Z"),
            ends_at: None,
            labels,
            annotations: BTreeMap::new(),
            generator_url: String::new(),
        };
        let incident = Incident::new(alert, "triage-agent", "00-a-b-01", "", at("2026-11-22T10:00:01Z"));
        let fields = incident.fields();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        for name in ["workflow_id", "step", "agent_target", "artifact_key", "status", "timestamp", "traceparent"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.contains(&"severity") && !names.contains(&"tracestate"));
        let firing = fields.iter().find(|(name, _)| *name == "firing_workflow_id").map(|(_, value)| value.as_str());
        assert_eq!(firing, Some("am-028c9cc7-6c7d-57d2-8282-89b9a7675fbc"));
    }
}
