//! The error object of JSON-RPC, with the typed details A2A puts into its `data`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::retry_after;
use crate::text::clean;

/// Longest message that is kept, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1024;
/// Longest text inside a detail, in bytes.
pub(crate) const MAX_DETAIL_TEXT: usize = 256;
/// Most details, and most metadata entries of one.
pub(crate) const MAX_DETAILS: usize = 16;

/// A JSON-RPC error: bounded and safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// The HTTP status it came with, usually 200.
    pub status: StatusCode,
    /// The JSON-RPC code; 0 if the server gave none.
    pub code: i64,
    /// The message: at most 1 KiB, control characters escaped.
    pub message: String,
    /// What `data` held, at most 16.
    pub details: Vec<Detail>,
}

/// One element of an error's `data`: a `google.rpc.ErrorInfo` in 1.0, anything in 0.3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// Member `reason`, such as `TASK_NOT_FOUND`.
    pub reason: Option<String>,
    /// Member `domain`, such as `a2a-protocol.org`.
    pub domain: Option<String>,
    /// Member `metadata`, texts and numbers only.
    pub metadata: BTreeMap<String, String>,
    /// The element itself where it is a plain text.
    pub text: Option<String>,
}

impl RpcError {
    /// Reads the `error` member; never fails.
    pub(crate) fn parse(error: &Value, status: StatusCode) -> Self {
        let message = error.get("message").or(Some(error)).and_then(Value::as_str).unwrap_or_default();
        let details = match error.get("data") {
            Some(Value::Array(items)) => items.iter().take(MAX_DETAILS).filter_map(Detail::parse).collect(),
            Some(one) => Detail::parse(one).into_iter().collect(),
            None => Vec::new(),
        };
        Self {
            status,
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: clean(message, MAX_MESSAGE),
            details,
        }
    }

    /// kagent 1.x says with this reason that it was busy and took nothing.
    pub(crate) fn is_not_accepted(&self) -> bool {
        self.metadata("reason").any(|reason| reason == "KAGENT_SEND_NOT_ACCEPTED")
    }

    /// kagent's `retryAfterMs`, at most [`retry_after::MAX_RETRY_AFTER`].
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.metadata("retryAfterMs").find_map(retry_after::milliseconds)
    }

    fn metadata(&self, key: &'static str) -> impl Iterator<Item = &str> {
        self.details.iter().filter_map(move |detail| detail.metadata.get(key).map(String::as_str))
    }
}

impl Detail {
    fn parse(value: &Value) -> Option<Self> {
        let text = |member: &str| value.get(member).and_then(short);
        let detail = Self {
            reason: text("reason"),
            domain: text("domain"),
            metadata: value
                .get("metadata")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((clean(key, MAX_DETAIL_TEXT), short(value)?)))
                .take(MAX_DETAILS)
                .collect(),
            text: value.as_str().and_then(|_| short(value)),
        };
        (detail != Self::default()).then_some(detail)
    }
}

/// A text or number, bounded; empty is absent.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(clean(text, MAX_DETAIL_TEXT)).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(clean(&number.to_string(), MAX_DETAIL_TEXT)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "rpc_error/tests.rs"]
mod tests;
