//! What an operator names an incident by (pure).

use std::fmt;
use std::str::FromStr;

use redis_stream::id::EntryId;

use super::item::Item;

/// Longest id, bytes; longer ones are in no entry that can be read.
const LONGEST: usize = 256;

/// An entry id, in whatever stream, or a workflow id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// Of an entry of any of the streams, or the one that a dead letter or parked copy had on the stream.
    Entry(EntryId),
    /// The incident id.
    Workflow(String),
}

/// Neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an entry id (1763805600000-0) or a workflow id (at most {LONGEST} visible ASCII characters)")]
pub struct NotAnId;

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Entry(id));
        }
        let possible = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if possible { Ok(Self::Workflow(text.to_owned())) } else { Err(NotAnId) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(id) => id.fmt(f),
            Self::Workflow(id) => f.write_str(id),
        }
    }
}

impl Id {
    /// Whether the item is meant.
    pub fn names(&self, item: &Item) -> bool {
        match self {
            Self::Entry(id) => item.entry.id == *id || item.original_id() == Some(*id),
            Self::Workflow(id) => item.workflow_id() == Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::Place;
    use super::super::item::samples::item;
    use super::*;

    #[test]
    fn two_kinds() {
        assert_eq!("17-3".parse(), Ok(Id::Entry(EntryId { ms: 17, seq: 3 })));
        for text in ["am-028c9cc7-6c7d-57d2-8282-89b9a7675fbc", "am-1763805600000000000", "1-2-3", "x"] {
            assert_eq!(text.parse(), Ok(Id::Workflow(text.to_owned())));
        }
        for text in ["", "a b", "a\u{1b}", "é", &"x".repeat(257)] {
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn a_copy_is_named_by_three_ids() {
        let copy = item(Place::Dead, "9-0", &[("workflow_id", "am-1"), ("original_id", "5-1")]);
        for (text, named) in [("9-0", true), ("5-1", true), ("am-1", true), ("5-0", false), ("am-2", false)] {
            assert_eq!(text.parse::<Id>().map(|id| id.names(&copy)), Ok(named), "{text}");
        }
        let pending = item(Place::Unread, "9-0", &[("workflow_id", "am-1"), ("original_id", "5-1")]);
        assert_eq!("5-1".parse::<Id>().map(|id| id.names(&pending)), Ok(false), "a producer's own field");
    }
}
