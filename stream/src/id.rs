//! Entry ids: two numbers, compared as numbers.

use std::fmt;
use std::str::FromStr;

/// An entry id `milliseconds-sequence` (<https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId {
    /// Unix time of the server at XADD, milliseconds (it can run ahead of the clock).
    pub ms: u64,
    /// Sequence number within that millisecond.
    pub seq: u64,
}

impl EntryId {
    /// Below every entry: a group created here delivers all that is retained.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Not an entry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry id (expected milliseconds-sequence)")]
pub struct NotAnId;

impl FromStr for EntryId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (ms, seq) = text.split_once('-').ok_or(NotAnId)?;
        Ok(Self { ms: number(ms)?, seq: number(seq)? })
    }
}

fn number(digits: &str) -> Result<u64, NotAnId> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotAnId);
    }
    digits.parse().map_err(|_| NotAnId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(ms: u64, seq: u64) {
            let id = EntryId { ms, seq };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<EntryId>();
        }
    }

    #[test]
    fn order_is_numeric() {
        assert!(EntryId { ms: 9, seq: 9 } < EntryId { ms: 10, seq: 0 });
        assert!(EntryId { ms: 9, seq: 10 } > EntryId { ms: 9, seq: 9 });
    }

    #[test]
    fn what_is_not_an_id() {
        for text in ["", "1", "-", "1-", "-1", "+1-1", "1-1-1", "a-b", "99999999999999999999-0"] {
            assert_eq!(text.parse::<EntryId>(), Err(NotAnId), "{text}");
        }
    }
}
