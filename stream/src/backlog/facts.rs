//! What Redis says of a stream and a group, read from raw replies. Pure.
//!
//! `None` or [`NotUnderstood`] is an answer that cannot be read: an error, never a zero.

use redis::Value;

use super::Row;
use crate::id::EntryId;
use crate::value;

/// An answer of another shape than is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood;

/// The entries of a stream (`XINFO STREAM`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Entries that are left.
    pub length: u64,
    /// Entries ever added, removed ones included; not told before Redis 7.
    pub added: Option<u64>,
    /// The highest id that was ever given out.
    pub top: EntryId,
    /// The highest id that was ever deleted by `XDEL`; trimming does not show here.
    pub max_deleted: EntryId,
    /// The oldest entry that is left.
    pub first: Option<EntryId>,
    /// The newest entry that is left.
    pub last: Option<EntryId>,
    /// Bytes of the larger of these two.
    pub weight: u64,
}

impl Extent {
    /// Reads `XINFO STREAM`.
    pub fn parse(info: &Value) -> Option<Self> {
        let number = |name| value::field(info, name).and_then(value::int).and_then(|n| u64::try_from(n).ok());
        let (first, last) = (entry(info, "first-entry").ok()?, entry(info, "last-entry").ok()?);
        let weight =
            ["first-entry", "last-entry"].into_iter().filter_map(|name| value::field(info, name)).map(bytes).max()?;
        let top = value::field(info, "last-generated-id").and_then(id)?;
        let max_deleted = value::field(info, "max-deleted-entry-id").map_or(Some(EntryId::ZERO), id)?;
        Some(Self { length: number("length")?, added: number("entries-added"), top, max_deleted, first, last, weight })
    }

    /// Entries ever removed, by deletion or by trimming.
    pub fn removed(&self) -> Option<u64> {
        self.added?.checked_sub(self.length)
    }
}

/// `None` where the stream is empty.
fn entry(info: &Value, name: &str) -> Result<Option<EntryId>, NotUnderstood> {
    match value::field(info, name).ok_or(NotUnderstood)? {
        Value::Nil => Ok(None),
        entry => {
            let id = value::items(entry).and_then(|items| items.first()).and_then(id);
            id.map(Some).ok_or(NotUnderstood)
        }
    }
}

/// One group (`XINFO GROUPS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Delivered and not acknowledged.
    pub pending: u64,
    /// The lag as Redis has it: nil where it knows that it does not know.
    pub reported: Option<i64>,
    /// The last id that was delivered: entries after it are unread.
    pub position: EntryId,
}

impl Standing {
    /// Finds a group in `XINFO GROUPS`.
    pub fn find(groups: &Value, name: &str) -> Result<Option<Self>, NotUnderstood> {
        for row in value::items(groups).ok_or(NotUnderstood)? {
            let found = value::field(row, "name").and_then(value::bytes).ok_or(NotUnderstood)?;
            if found == name.as_bytes() {
                return Self::parse(row).map(Some).ok_or(NotUnderstood);
            }
        }
        Ok(None)
    }

    fn parse(row: &Value) -> Option<Self> {
        let pending = value::field(row, "pending").and_then(value::int)?;
        Some(Self {
            pending: u64::try_from(pending).ok()?,
            reported: value::field(row, "lag").and_then(value::int),
            position: value::field(row, "last-delivered-id").and_then(id)?,
        })
    }
}

/// The rows of an extended `XPENDING`.
pub fn rows(reply: &Value) -> Option<Vec<Row>> {
    value::items(reply)?.iter().map(row).collect()
}

fn row(row: &Value) -> Option<Row> {
    let [entry, _, idle, deliveries] = value::items(row)? else { return None };
    Some(Row { id: id(entry)?, idle_ms: value::int(idle)?, deliveries: value::int(deliveries)? })
}

/// The answer of an `XRANGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Of each entry.
    pub ids: Vec<EntryId>,
    /// What they weigh together.
    pub bytes: u64,
}

impl Page {
    /// Reads an `XRANGE`.
    pub fn parse(reply: &Value) -> Option<Self> {
        let entries = value::items(reply)?.iter();
        let ids = entries.map(|entry| value::items(entry)?.first().and_then(id)).collect::<Option<_>>()?;
        Some(Self { ids, bytes: bytes(reply) })
    }
}

/// Bytes of all that an entry, or a list of them, consists of. Its depth is that of the reply's own shape, at most 3.
fn bytes(value: &Value) -> u64 {
    match value::items(value) {
        Some(items) => items.iter().map(bytes).sum(),
        None => value::bytes(value).map_or(0, |bytes| bytes.len() as u64),
    }
}

/// `TIME` in Unix milliseconds.
pub fn milliseconds(reply: &Value) -> Option<i64> {
    let [seconds, micros] = value::items(reply)? else { return None };
    value::int(seconds)?.checked_mul(1000)?.checked_add(value::int(micros)? / 1000)
}

fn id(value: &Value) -> Option<EntryId> {
    value::text(value)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry_of(id: &str) -> Value {
        Value::Array(vec![bulk(id), Value::Array(vec![bulk("f"), bulk("v")])])
    }

    fn info(length: i64, first: Value, last: Value) -> Value {
        Value::Array(vec![
            bulk("length"),
            Value::Int(length),
            bulk("entries-added"),
            Value::Int(9),
            bulk("last-generated-id"),
            bulk("6-0"),
            bulk("max-deleted-entry-id"),
            bulk("4-1"),
            bulk("first-entry"),
            first,
            bulk("last-entry"),
            last,
        ])
    }

    #[test]
    fn a_stream_is_read() {
        let extent = Extent::parse(&info(5, entry_of("2-0"), entry_of("5-0"))).unwrap();
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert_eq!((extent.first, extent.last, extent.max_deleted), (Some(id("2-0")), Some(id("5-0")), id("4-1")));
        assert_eq!((extent.length, extent.removed(), extent.top), (5, Some(4), id("6-0")));
        assert_eq!(extent.weight, 5);
        let empty = Extent::parse(&info(0, Value::Nil, Value::Nil)).unwrap();
        assert_eq!((empty.first, empty.last), (None, None));
    }

    #[test]
    fn what_is_not_understood_is_no_zero() {
        assert_eq!(Extent::parse(&Value::Nil), None);
        assert_eq!(Extent::parse(&info(5, entry_of("x"), entry_of("5-0"))), None);
        assert_eq!(Extent::parse(&info(-5, Value::Nil, Value::Nil)), None);
        let group = |position| {
            let fields = [("name", bulk("g")), ("pending", Value::Int(1)), ("last-delivered-id", position)];
            let flat = fields.into_iter().flat_map(|(name, content)| [bulk(name), content]).collect();
            Value::Array(vec![Value::Array(flat)])
        };
        assert_eq!(Standing::find(&group(bulk("odd")), "g"), Err(NotUnderstood));
        assert_eq!(Standing::find(&group(bulk("1-0")), "other"), Ok(None));
        let found = Standing::find(&group(bulk("1-0")), "g").unwrap().unwrap();
        assert_eq!((found.pending, found.reported), (1, None));
        assert_eq!(Standing::find(&Value::Int(3), "g"), Err(NotUnderstood));
        assert_eq!(rows(&Value::Array(vec![bulk("1-0")])), None);
        assert_eq!(rows(&Value::Array(vec![])), Some(vec![]));
        assert_eq!(Page::parse(&Value::Array(vec![entry_of("1-0"), Value::Nil])), None);
        let page = Page::parse(&Value::Array(vec![entry_of("1-0")])).unwrap();
        assert_eq!((page.ids.len(), page.bytes), (1, 5));
        assert_eq!(milliseconds(&Value::Array(vec![bulk("2"), bulk("345678")])), Some(2345));
    }
}
