//! Documents of a file as plain trees, within bounds (pure). Keys keep their order, and what a text looks like is kept
//! apart from what it is: KEDA's metadata takes texts only.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A file of manifests is some KiB.
pub(super) const LARGEST_FILE: usize = 1024 * 1024;
/// Values in all documents together, those that aliases repeat included.
const MOST_VALUES: u32 = 50_000;
/// Bytes of all texts together, those that aliases repeat included.
const MOST_TEXT: usize = 4 * LARGEST_FILE;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key; `Null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A text, or what would be one within quotation marks.
    pub(super) fn written(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }
}

/// All documents of a file. The error says what is wrong and, where it is known, in which line.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, String> {
    if text.len() > LARGEST_FILE {
        return Err(format!("it is larger than {} MiB", LARGEST_FILE >> 20));
    }
    let budget = Budget::default();
    let documents = yaml_serde::Deserializer::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let documents = documents.map(|document| budget.clone().deserialize(document));
    documents.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
}

/// What may still be read.
#[derive(Clone)]
struct Budget(Rc<Cell<(u32, usize)>>);

impl Default for Budget {
    fn default() -> Self {
        Self(Rc::new(Cell::new((MOST_VALUES, MOST_TEXT))))
    }
}

impl Budget {
    fn spend<E: Error>(&self, text: usize) -> Result<(), E> {
        let (values, bytes) = self.0.get();
        let left = values.checked_sub(1).zip(bytes.checked_sub(text));
        self.0.set(left.ok_or_else(|| E::custom("more values than a file of manifests has, perhaps by aliases"))?);
        Ok(())
    }

    fn text<E: Error>(&self, text: String) -> Result<String, E> {
        self.spend(text.len())?;
        Ok(text)
    }
}

impl<'de> DeserializeSeed<'de> for Budget {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.spend(0)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Budget {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of replicas and seconds")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of replicas and seconds")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.text(value.to_owned()).map(Node::Text)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        self.text(value).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.clone())? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (mut entries, mut known) = (Vec::new(), HashSet::new());
        while let Some(key) = map.next_key_seed(self.clone())? {
            let key = key.written().ok_or_else(|| A::Error::custom("a key that is no text"))?;
            if key == "<<" {
                return Err(A::Error::custom("a merge key (<<) is not read: write out what it brings"));
            }
            if !known.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key {key:?} stands twice in one place")));
            }
            entries.push((key, map.next_value_seed(self.clone())?));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_keep_what_is_a_text_and_what_is_not() {
        let found = documents("a: \"10\"\nb: 10\nc: [x, true, ~]\n---\n- 2.5\n---\n").unwrap();
        let text = |text: &str| Node::Text(text.to_owned());
        let entries = [
            ("a", text("10")),
            ("b", Node::Number(10.0)),
            ("c", Node::List(vec![text("x"), Node::Bool(true), Node::Null])),
        ];
        let first = Node::Map(entries.map(|(key, value)| (key.to_owned(), value)).to_vec());
        assert_eq!(found.get(..2), Some(&[first, Node::List(vec![Node::Number(2.5)])][..]));
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let found = documents("\u{feff}a: b\n").unwrap();
        assert_eq!(found[0].get("a").and_then(Node::text), Some("b"));
    }

    #[test]
    fn a_map_of_many_keys() {
        let text = (0..20_000).map(|key| format!("{key}: 1\n")).collect::<Vec<_>>().concat();
        let begun = Instant::now();
        assert_eq!(documents(&text).unwrap()[0].entries().len(), 20_000);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn an_anchor_may_be_used_and_a_bomb_may_not() {
        let found = documents("a: &x {k: v}\nb: *x\n").unwrap();
        assert_eq!(found[0].get("b").and_then(|b| b.get("k")).and_then(Node::text), Some("v"));
        let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let row = [before.as_str(); 10].join(", ");
            bomb = format!("{bomb}a{level}: &a{level} [{row}]\n");
        }
        let begun = Instant::now();
        assert!(documents(&bomb).is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
        assert!(documents(&long).is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_is_no_file_of_manifests() {
        for (text, why) in [
            ("a: 1\na: 2\n", "twice"),
            ("a: [", "line"),
            (&"x".repeat(LARGEST_FILE + 1), "larger than 1 MiB"),
            (&"[".repeat(10_000), ""),
            ("{[a]: b}", "no text"),
            ("a: &a {b: c}\nd: {<<: *a}\n", "merge key"),
        ] {
            let said = documents(text).unwrap_err();
            assert!(said.contains(why), "{why}: {said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[-:{}\\[\\]&*!|>'\"%@` \na-c\u{0}\u{85}]{0,80}") {
            documents(&text).ok();
        }
    }
}
