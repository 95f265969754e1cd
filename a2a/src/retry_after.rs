//! The `Retry-After` header (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest wait that is taken from a server: a longer one is cut to this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// Seconds or an HTTP date; a date in the past is zero.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match whole_number(value) {
        Some(seconds) => Duration::from_secs(seconds),
        None => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// kagent's `retryAfterMs`.
pub(crate) fn milliseconds(value: &str) -> Option<Duration> {
    Some(Duration::from_millis(whole_number(value)?).min(MAX_RETRY_AFTER))
}

/// Digits only; more of them than fit are still a number, and a large one.
fn whole_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{MAX_RETRY_AFTER, milliseconds, parse};

    const NOW: u64 = 784_111_770;

    fn wait(value: &str) -> Option<Duration> {
        parse(value, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn reads_seconds() {
        assert_eq!(wait(" 2 "), Some(Duration::from_secs(2)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
        for huge in ["301", "999999999999", "99999999999999999999999999"] {
            assert_eq!(wait(huge), Some(MAX_RETRY_AFTER), "{huge}");
        }
    }

    #[test]
    fn reads_dates() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sunday, 06-Nov-94 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun Nov  6 08:49:37 1994"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn nonsense_is_no_wish() {
        for nonsense in ["", "soon", "-1", "+5", "1.5", "1e3", "2 s", "Sun, 99 Nov 1994 08:49:37 GMT", "\u{661}"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn reads_milliseconds() {
        assert_eq!(milliseconds("100"), Some(Duration::from_millis(100)));
        assert_eq!(milliseconds("99999999999999999999999999"), Some(MAX_RETRY_AFTER));
        for nonsense in ["", "-100", "100.5", "soon"] {
            assert_eq!(milliseconds(nonsense), None, "{nonsense}");
        }
    }
}
