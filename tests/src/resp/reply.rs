use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A simple string, or a bulk string that is UTF-8.
    Text(String),
    /// A bulk string that is not UTF-8.
    Bytes(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A nil bulk string or array.
    Nil,
    /// An error, with the server's text (`CODE message`).
    Error(String),
    /// An array.
    Array(Vec<Reply>),
}

impl Reply {
    /// The text of a string reply.
    pub fn text(&self) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            other => bail!("expected a string, got {other:?}"),
        }
    }

    /// The number of an integer reply, or of a string that is one.
    pub fn int(&self) -> Result<i64> {
        match self {
            Self::Int(number) => Ok(*number),
            Self::Text(text) => Ok(text.parse()?),
            other => bail!("expected an integer, got {other:?}"),
        }
    }

    /// The items of an array; nil is an empty one, as XREADGROUP answers it.
    pub fn items(&self) -> Result<&[Reply]> {
        match self {
            Self::Array(items) => Ok(items),
            Self::Nil => Ok(&[]),
            other => bail!("expected an array, got {other:?}"),
        }
    }

    /// An array of strings.
    pub fn texts(&self) -> Result<Vec<String>> {
        self.items()?.iter().map(|item| Ok(item.text()?.to_owned())).collect()
    }

    /// An array of names and values, one after the other: HGETALL, XINFO, SENTINEL MASTER.
    pub fn fields(&self) -> Result<BTreeMap<String, Reply>> {
        let mut fields = BTreeMap::new();
        for pair in self.items()?.chunks(2) {
            match pair {
                [name, value] => fields.insert(name.text()?.to_owned(), value.clone()),
                _ => bail!("a name without a value: {pair:?}"),
            };
        }
        Ok(fields)
    }

    /// Whether the reply is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}
