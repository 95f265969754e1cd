//! What can go wrong between us and Redis, and what to do about it.

use crate::value::Shape;

/// What a caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The server refuses for now (`LOADING`, `OOM`, `MISCONF`, `NOREPLICAS`, `BUSY`): stay
    /// connected, keep local state, try again with a back-off.
    Retry,
    /// The connection is of no more use (closed, timed out, demoted): drop it and ask Sentinel.
    Reconnect,
    /// The stream or its consumer group is gone: create it, then go on.
    NoGroup,
    /// Credentials, permissions, key types or the database index are wrong: a person is needed.
    Configuration,
    /// An answer that this program does not understand.
    Fatal,
}

impl Class {
    /// A fixed word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reconnect => "reconnect",
            Self::NoGroup => "no_group",
            Self::Configuration => "configuration",
            Self::Fatal => "fatal",
        }
    }
}

/// A failed Redis operation.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    class: Class,
    code: Option<String>,
    text: String,
    uncertain: bool,
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The first word of the server's error line (`NOPERM`, `OOM`, ...), when the server answered.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The key of an XINFO is not there.
    pub fn is_no_such_key(&self) -> bool {
        self.code() == Some("ERR") && self.text.contains("no such key")
    }

    /// The command may have been applied, now or later: it was sent and no answer came.
    pub fn uncertain(&self) -> bool {
        self.uncertain
    }

    /// The connection was never opened, or the command never written.
    pub fn unreachable(text: impl Into<String>) -> Self {
        Self { class: Class::Reconnect, code: None, text: text.into(), uncertain: false }
    }

    /// Sent, but no answer within the deadline or before the connection closed.
    pub fn unanswered(text: impl Into<String>) -> Self {
        Self { class: Class::Reconnect, code: None, text: text.into(), uncertain: true }
    }

    /// A mistake that somebody has to put right.
    pub fn configuration(text: impl Into<String>) -> Self {
        Self { class: Class::Configuration, code: None, text: text.into(), uncertain: false }
    }

    /// An answer of an unexpected shape. What it says is left out: it may be anybody's text.
    pub fn unexpected(what: &str, got: &impl Shape) -> Self {
        let text = format!("unexpected answer to {what}: {}", got.shape());
        Self { class: Class::Fatal, code: None, text, uncertain: false }
    }

    /// The same error, with what was being done in front.
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// The same error from a Sentinel: other settings are to be checked.
    #[must_use]
    pub(crate) fn of_sentinel(mut self) -> Self {
        for setting in ["USERNAME", "PASSWORD", "TLS is", "TLS)"] {
            self.text = self.text.replace(&format!("REDIS_{setting}"), &format!("REDIS_SENTINEL_{setting}"));
        }
        self
    }

    /// An error line of the server, `CODE rest`.
    pub fn from_server(code: &str, detail: &str) -> Self {
        Self {
            class: classify(code, detail),
            code: Some(code.to_owned()),
            text: advise(code, detail),
            uncertain: false,
        }
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        match error.code() {
            Some(code) => Self::from_server(code, error.detail().unwrap_or_default()),
            None if error.is_connection_refusal() => Self::unreachable(error.to_string()),
            None if matches!(
                error.kind(),
                redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::InvalidClientConfig
            ) =>
            {
                Self::configuration(error.to_string())
            }
            None => Self::unanswered(error.to_string()),
        }
    }
}

/// The class of an error line (codes as the server writes them, Redis 7 and 8).
fn classify(code: &str, detail: &str) -> Class {
    match code {
        "READONLY" | "UNBLOCKED" | "MASTERDOWN" => Class::Reconnect,
        "LOADING" | "OOM" | "MISCONF" | "NOREPLICAS" | "BUSY" | "TRYAGAIN" => Class::Retry,
        "NOGROUP" => Class::NoGroup,
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" => Class::Configuration,
        "ERR" if is_setting(detail) => Class::Configuration,
        _ => Class::Fatal,
    }
}

fn is_setting(detail: &str) -> bool {
    detail.starts_with("DB index is out of range") || detail.starts_with("AUTH ") || detail.starts_with("invalid DB")
}

/// The server's words, and the next step where there is a known one.
fn advise(code: &str, detail: &str) -> String {
    let hint = match code {
        "NOAUTH" | "WRONGPASS" => " (check REDIS_USERNAME and REDIS_PASSWORD)",
        "NOPERM" => " (give the Redis user this permission)",
        "WRONGTYPE" => " (another program uses this key; choose another name)",
        "OOM" => " (Redis is at maxmemory)",
        "MISCONF" => " (Redis cannot save its snapshot; look at its disk)",
        "NOREPLICAS" => " (Redis waits for replicas: min-replicas-to-write)",
        "ERR" if is_setting(detail) => " (check REDIS_DB and the credentials)",
        _ => "",
    };
    format!("{code} {detail}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_line_has_its_class() {
        let lines = [
            ("READONLY", Class::Reconnect),
            ("UNBLOCKED", Class::Reconnect),
            ("MASTERDOWN", Class::Reconnect),
            ("LOADING", Class::Retry),
            ("OOM", Class::Retry),
            ("MISCONF", Class::Retry),
            ("NOREPLICAS", Class::Retry),
            ("NOGROUP", Class::NoGroup),
            ("NOAUTH", Class::Configuration),
            ("WRONGPASS", Class::Configuration),
            ("NOPERM", Class::Configuration),
            ("WRONGTYPE", Class::Configuration),
            ("ERR", Class::Fatal),
        ];
        for (code, class) in lines {
            assert_eq!(Error::from_server(code, "text").class(), class, "{code}");
        }
        assert_eq!(Error::from_server("ERR", "DB index is out of range").class(), Class::Configuration);
    }

    #[test]
    fn advice_about_a_sentinel_names_its_own_settings() {
        let error = Error::from_server("WRONGPASS", "no").of_sentinel().to_string();
        assert_eq!(error, "WRONGPASS no (check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD)");
        let shared = Error::configuration("check REDIS_TLS_CA_FILE").of_sentinel();
        assert_eq!(shared.to_string(), "check REDIS_TLS_CA_FILE");
    }

    #[test]
    fn only_an_unanswered_command_is_uncertain() {
        assert!(Error::unanswered("no answer").uncertain());
        assert!(!Error::unreachable("refused").uncertain());
        assert!(!Error::from_server("OOM", "full").uncertain());
    }
}
