//! Reading raw replies. RESP2 and RESP3 differ in shape (flat arrays, maps); both are read here.

use redis::Value;

/// Text of a string-like reply; bytes that are not UTF-8 give `None`.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// Bytes of a string-like reply.
pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        other => text(other).map(str::as_bytes),
    }
}

/// A whole number, also when it came as text.
pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

/// The items of an array or set; a map gives nothing.
pub fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// Key-value pairs of a map (RESP3) or of a flat array (RESP2).
pub fn pairs(value: &Value) -> Vec<(&Value, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key, value)).collect(),
        Value::Array(items) => items
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [key, value] => Some((key, value)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The value under `key` of a map-like reply.
pub fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    pairs(value).into_iter().find(|(name, _)| text(name) == Some(key)).map(|(_, value)| value)
}

/// What an answer looks like, without what it says.
pub trait Shape {
    /// For people.
    fn shape(&self) -> String;
}

impl Shape for Value {
    fn shape(&self) -> String {
        match self {
            Self::Nil => "nothing".to_owned(),
            Self::Int(_) => "a number".to_owned(),
            Self::Array(items) => format!("a list of {}", items.len()),
            Self::Set(items) => format!("a set of {}", items.len()),
            Self::Map(pairs) => format!("a map of {}", pairs.len()),
            other => match bytes(other) {
                Some(bytes) => format!("a text of {} bytes", bytes.len()),
                None => "something else".to_owned(),
            },
        }
    }
}

impl Shape for Vec<String> {
    fn shape(&self) -> String {
        format!("{} words", self.len())
    }
}

impl Shape for &str {
    fn shape(&self) -> String {
        (*self).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn maps_of_both_protocols_read_the_same() {
        let flat = Value::Array(vec![bulk("lag"), Value::Int(-90), bulk("name"), bulk("g")]);
        let map = Value::Map(vec![(bulk("lag"), Value::Int(-90)), (bulk("name"), bulk("g"))]);
        for value in [flat, map] {
            assert_eq!(field(&value, "lag").and_then(int), Some(-90));
            assert_eq!(field(&value, "name").and_then(text), Some("g"));
            assert!(field(&value, "other").is_none());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_still_bytes() {
        let value = Value::BulkString(vec![0xff, 0xfe]);
        assert_eq!(text(&value), None);
        assert_eq!(bytes(&value), Some([0xff, 0xfe].as_slice()));
    }
}
