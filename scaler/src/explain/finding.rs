//! What is said about a manifest (pure).

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Good to know.
    Note,
    /// Works, and not as one would think.
    Warning,
    /// Kubernetes, KEDA or the scaler refuses it.
    Error,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The field, as in `spec.triggers[0].metadata.target`.
    pub(super) field: String,
    /// What it means, and what to do.
    pub(super) text: String,
}

/// Collects what is said of one object.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn error(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Error, field, text);
    }

    pub(super) fn warning(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Warning, field, text);
    }

    pub(super) fn note(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Note, field, text);
    }

    fn add(&mut self, level: Level, field: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { level, field: field.into(), text: text.into() });
    }
}
