//! Entries as they are on the wire: ordered, binary, possibly with repeated field names.

use redis::Value;

use crate::id::EntryId;
use crate::value;

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id in its stream.
    pub id: EntryId,
    /// Fields in the order they were written; names can repeat and need not be text. Empty when
    /// the entry was deleted while it was pending.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// How often `name` occurs.
    pub fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(key, _)| key == name.as_bytes()).count()
    }

    /// One `[id, fields]` item of XRANGE, XREADGROUP, XCLAIM or XAUTOCLAIM. `None` for what is not
    /// an entry; a caller skips it and goes on with its neighbours.
    pub fn parse(item: &Value) -> Option<Self> {
        let [id, fields] = value::items(item)? else { return None };
        let id = value::text(id)?.parse().ok()?;
        let fields = value::pairs(fields)
            .into_iter()
            .filter_map(|(name, content)| Some((value::bytes(name)?.to_vec(), value::bytes(content)?.to_vec())))
            .collect();
        Some(Self { id, fields })
    }

    /// All entries of a list reply.
    pub fn parse_list(reply: &Value) -> Vec<Self> {
        value::items(reply).unwrap_or_default().iter().filter_map(Self::parse).collect()
    }

    /// The entries of an XREAD or XREADGROUP reply about one stream (`nil` when none came).
    pub fn parse_read(reply: &Value) -> Vec<Self> {
        match reply {
            Value::Map(streams) => streams.iter().flat_map(|(_, entries)| Self::parse_list(entries)).collect(),
            Value::Array(streams) => {
                streams.iter().filter_map(|stream| value::items(stream)?.get(1)).flat_map(Self::parse_list).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    fn entry(id: &str, fields: &[&[u8]]) -> Value {
        Value::Array(vec![bulk(id.as_bytes()), Value::Array(fields.iter().map(|f| bulk(f)).collect())])
    }

    #[test]
    fn a_bad_neighbour_does_not_stop_the_batch() {
        let batch = Value::Array(vec![
            entry("1-0", &[b"a", b"1"]),
            entry("no id", &[b"a", b"1"]),
            Value::Int(3),
            entry("2-0", &[b"\xff", b"\xfe", b"a", b"2", b"a", b"3"]),
            Value::Array(vec![bulk(b"3-0"), Value::Nil]),
        ]);
        let map = Value::Map(vec![(bulk(b"s"), batch.clone())]);
        let flat = Value::Array(vec![Value::Array(vec![bulk(b"s"), batch])]);
        for reply in [map, flat] {
            let entries = Entry::parse_read(&reply);
            let ids: Vec<_> = entries.iter().map(|e| e.id.to_string()).collect();
            assert_eq!(ids, ["1-0", "2-0", "3-0"]);
            assert_eq!(entries.get(1).and_then(|e| e.get("a")), Some(b"2".as_slice()));
            assert_eq!(entries.get(1).map(|e| e.count("a")), Some(2));
            assert_eq!(entries.get(2).map(|e| e.fields.len()), Some(0));
        }
        assert!(Entry::parse_read(&Value::Nil).is_empty());
    }
}
