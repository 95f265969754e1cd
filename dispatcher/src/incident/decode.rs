//! An entry of the stream, ours or the present system's, read back.

use redis_stream::entry::Entry;

use super::STEP;

/// Longest message text that is handed on, bytes.
const LONGEST_TEXT: usize = 1024 * 1024;
/// Longest id, step or key, bytes.
const LONGEST_NAME: usize = 256;
/// Keys outside this are not read for anybody: a producer could otherwise have any key of the
/// database sent to an agent.
const ARTIFACTS: &str = "incident:artifact:";

/// Where the message text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// In the entry's field `text`.
    Inline,
    /// Under this key.
    Artifact(String),
    /// Nowhere.
    Missing,
}

/// What an entry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The incident id.
    pub workflow_id: String,
    /// What is to be done; selects the agent where none is named.
    pub step: String,
    /// `agent` or `namespace/agent`, unchecked.
    pub agent_target: Option<String>,
    /// Where the message is.
    pub text: Text,
    /// W3C trace context of the producer, unchecked.
    pub traceparent: Option<String>,
    /// Its second half.
    pub tracestate: Option<String>,
    /// The alert's fingerprint, if known.
    pub fingerprint: Option<String>,
    /// Of a resolved alert: the id of the incident that its beginning became.
    pub firing: Option<String>,
    /// It was not written by this program: there is no outbox that would publish it again.
    pub foreign: bool,
}

/// Why an entry cannot be read; the text goes into the dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);

impl Order {
    /// Reads an entry. Unknown fields are ignored; a field of ours that occurs twice is an error,
    /// since readers would disagree on which one counts.
    pub fn decode(entry: &Entry) -> Result<Self, Undecodable> {
        let text = optional(entry, "text")?;
        let artifact = optional(entry, "artifact_key")?;
        let foreign = text.is_none();
        let workflow_id = name(entry, "workflow_id")?.ok_or_else(|| Undecodable("workflow_id is missing".into()))?;
        Ok(Self {
            // What names itself would wait for itself.
            firing: name(entry, "firing_workflow_id")?.filter(|firing| *firing != workflow_id),
            workflow_id,
            step: name(entry, "step")?.unwrap_or_else(|| STEP.to_owned()),
            agent_target: optional(entry, "agent_target")?,
            text: text_of(text, artifact)?,
            traceparent: optional(entry, "traceparent")?,
            tracestate: optional(entry, "tracestate")?,
            fingerprint: optional(entry, "fingerprint")?,
            foreign,
        })
    }

    /// A2A message id of the first run.
    pub fn message_id(&self) -> String {
        format!("{}-{}", self.workflow_id, self.step)
    }
}

fn text_of(text: Option<String>, artifact: Option<String>) -> Result<Text, Undecodable> {
    match (text, artifact) {
        (Some(text), _) if text.len() > LONGEST_TEXT => {
            Err(Undecodable(format!("text has {} bytes, at most {LONGEST_TEXT} are handed on", text.len())))
        }
        (Some(_), _) => Ok(Text::Inline),
        (None, Some(key)) if !key.starts_with(ARTIFACTS) || key.len() > LONGEST_NAME => {
            Err(Undecodable(format!("artifact_key must begin with {ARTIFACTS}")))
        }
        (None, Some(key)) => Ok(Text::Artifact(key)),
        (None, None) => Ok(Text::Missing),
    }
}

/// A field that becomes part of keys and ids.
fn name(entry: &Entry, field: &str) -> Result<Option<String>, Undecodable> {
    let Some(value) = optional(entry, field)? else { return Ok(None) };
    if value.len() > LONGEST_NAME || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Undecodable(format!("{field} must be at most {LONGEST_NAME} visible ASCII characters")));
    }
    Ok(Some(value))
}

/// A field's text; empty means absent.
fn optional(entry: &Entry, field: &str) -> Result<Option<String>, Undecodable> {
    if entry.count(field) > 1 {
        return Err(Undecodable(format!("{field} occurs {} times", entry.count(field))));
    }
    let Some(value) = entry.get(field) else { return Ok(None) };
    let text = std::str::from_utf8(value).map_err(|_| Undecodable(format!("{field} is not UTF-8")))?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redis_stream::id::EntryId;

    fn entry(fields: &[(&str, &str)]) -> Entry {
        let fields = fields.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        Entry { id: EntryId { ms: 1, seq: 0 }, fields }
    }

    #[test]
    fn an_entry_of_the_present_system() {
        let order = Order::decode(&entry(&[
            ("workflow_id", "am-1763805600000000000"),
            ("agent_target", "triage-agent"),
            ("artifact_key", "incident:artifact:am-1763805600000000000:alert"),
            ("step", "investigation"),
            ("status", "pending"),
            ("timestamp", "2026-11-22T10:00:00Z"),
            ("traceparent", ""),
        ]))
        .unwrap();
        assert!(order.foreign && order.traceparent.is_none());
        assert_eq!(order.message_id(), "am-1763805600000000000-investigation");
        assert_eq!(order.text, Text::Artifact("incident:artifact:am-1763805600000000000:alert".into()));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let cases = [
            (vec![("step", "x")], "workflow_id is missing"),
            (vec![], "workflow_id is missing"),
            (vec![("workflow_id", "")], "workflow_id is missing"),
            (vec![("workflow_id", "a"), ("workflow_id", "b")], "workflow_id occurs 2 times"),
            (vec![("workflow_id", "a b")], "workflow_id must be"),
            (vec![("workflow_id", "a"), ("artifact_key", "secrets:all")], "artifact_key must begin"),
        ];
        for (fields, problem) in cases {
            let error = Order::decode(&entry(&fields)).unwrap_err();
            assert!(error.to_string().starts_with(problem), "{error}");
        }
    }

    #[test]
    fn text_is_preferred_over_the_artifact() {
        let order = Order::decode(&entry(&[("workflow_id", "a"), ("text", "t"), ("artifact_key", "anything")]));
        assert_eq!(order.map(|o| (o.text, o.foreign)), Ok((Text::Inline, false)));
    }

    #[test]
    fn a_resolved_one_names_its_firing_incident_and_never_itself() {
        let firing = |id| Order::decode(&entry(&[("workflow_id", "a"), ("firing_workflow_id", id)])).map(|o| o.firing);
        assert_eq!(firing("b"), Ok(Some("b".to_owned())));
        assert_eq!(firing("a"), Ok(None));
        assert_eq!(firing(""), Ok(None));
        assert!(firing("not a key").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_entries_never_panic(fields: Vec<(Vec<u8>, Vec<u8>)>) {
            let _ = Order::decode(&Entry { id: EntryId::ZERO, fields });
        }
    }
}
