//! What the outbox keeps of an incident, and how it is written down (pure; JSON).

use serde::{Deserialize, Serialize};

use crate::dispatch::outcome::{Final, Outcome, Reason};
use crate::dispatch::record::Run;
use crate::incident::STEP;

/// What is known of an incident's way onto the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offer {
    /// It was never offered to Redis.
    Never,
    /// It was offered; no answer came, or none is known of any more.
    Unanswered,
    /// Redis has taken it.
    Confirmed,
}

/// How far a direct dispatch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// On its way now; after a restart nobody knows whether it arrived.
    Sending,
    /// Sent; nobody knows whether it arrived.
    Unanswered,
    /// The agent runs it.
    Running,
    /// The agent has answered for good.
    Ended(Outcome),
}

/// A direct dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What is known of the run.
    pub run: Run,
    /// How far it is.
    pub stage: Stage,
}

/// What changes of an open incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The incident id.
    pub id: String,
    /// The agent it is meant for, as the incident names it.
    pub target: String,
    /// Its way onto the stream.
    pub offer: Offer,
    /// Its direct dispatch, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Sent>,
}

/// A field's name or value: text wherever it is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Raw {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl From<&[u8]> for Raw {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_owned()),
        }
    }
}

impl Raw {
    /// As it was.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The dead letter or parked entry of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Its entry id.
    pub id: String,
    /// Its fields, in order.
    pub fields: Vec<(Raw, Raw)>,
}

/// What is kept of a final incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The incident id.
    pub workflow_id: String,
    /// Its step.
    pub step: String,
    /// Message id of its last run.
    pub message_id: String,
    /// `settled`, `dead` or `parked`.
    pub state: String,
    /// Why: one of the fixed words.
    pub reason: String,
    /// The agent's task; may be empty.
    pub task_id: String,
    /// `namespace/agent`; may be empty.
    pub agent: String,
    /// `stream` or `direct`.
    pub via: String,
    /// When it was last written or renewed by a repeated alert, Unix seconds.
    pub at: i64,
    /// Of a dead or parked one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copy>,
}

impl Tombstone {
    /// Of one of the hook's own incidents that ended with `outcome`.
    pub fn of_run(workflow_id: &str, run: &Run, outcome: &Outcome, at: i64) -> Self {
        Self {
            workflow_id: workflow_id.to_owned(),
            step: STEP.to_owned(),
            message_id: run.message_id.clone(),
            state: outcome.reason.ends().as_str().to_owned(),
            reason: outcome.reason.as_str().to_owned(),
            task_id: run.task_id.clone().unwrap_or_default(),
            agent: run.agent.clone(),
            via: "direct".to_owned(),
            at,
            copy: None,
        }
    }

    /// What it is kept under.
    pub fn key(&self) -> String {
        incident_key(&self.workflow_id, &self.step)
    }

    /// A dead letter or a parked entry belongs to it.
    pub fn has_copy(&self) -> bool {
        self.state != Final::Settled.as_str()
    }
}

/// An incident's name where those of other producers stand beside the hook's own.
pub fn incident_key(workflow_id: &str, step: &str) -> String {
    format!("{workflow_id}-{step}")
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|reason| reason.as_str() == word);
        known.copied().ok_or_else(|| serde::de::Error::custom(format!("no reason is called {word:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written() {
        let run = Run {
            message_id: "m".into(),
            context_id: "c".into(),
            task_id: Some("t".into()),
            wire: Some(a2a::Wire::V03),
            agent: "kagent/a".into(),
            attempts: 2,
        };
        let stages = [
            Stage::Sending,
            Stage::Unanswered,
            Stage::Running,
            Stage::Ended(Outcome::new(Reason::RunDeadline, "too long")),
        ];
        for stage in stages {
            let progress = Progress {
                id: "i".into(),
                target: "a".into(),
                offer: Offer::Confirmed,
                direct: Some(Sent { run: run.clone(), stage }),
            };
            let text = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress, "{text}");
        }
    }

    #[test]
    fn binary_fields_stay_what_they_are() {
        for bytes in [&b"plain"[..], &[0xff, 0, 1][..], &b""[..]] {
            let raw = Raw::from(bytes);
            let text = serde_json::to_string(&raw).unwrap();
            assert_eq!(serde_json::from_str::<Raw>(&text).unwrap().as_bytes(), bytes);
        }
    }
}
