//! The ends of streams, watched: a blocked `XREAD` for many streams, on a connection of its own.
//!
//! Without a consumer group nothing is delivered to anybody, so a read that is given up loses nothing. A connection
//! that fails is its user's to replace; the session it came from goes on.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use crate::connection::Session;
use crate::dial::{ask, ask_all};
use crate::entry::Entry;
use crate::error::Error;
use crate::id::EntryId;
use crate::value;

/// An answer may come this much later than the time it was asked to wait for.
const MARGIN: Duration = Duration::from_secs(1);

/// A connection that waits. One question at a time.
#[derive(Debug)]
pub struct Tail {
    connection: MultiplexedConnection,
    session: Session,
}

impl Tail {
    pub(crate) fn new(connection: MultiplexedConnection, session: Session) -> Self {
        Self { connection, session }
    }

    /// The newest id that each stream has ever given (`XINFO STREAM`), [`EntryId::ZERO`] where there is no stream.
    /// One verdict for each, in order; one round trip.
    pub async fn newest(&mut self, streams: &[String]) -> Result<Vec<Result<EntryId, Error>>, Error> {
        let mut pipeline = Pipeline::with_capacity(streams.len());
        for stream in streams {
            pipeline.cmd("XINFO").arg("STREAM").arg(stream);
        }
        let answers = tokio::select! {
            answers = ask_all(&mut self.connection, &pipeline, MARGIN) => answers?,
            () = self.session.closed() => return Err(lost()),
        };
        Ok(answers.into_iter().map(last_generated).collect())
    }

    /// Those of the streams that have an entry after the given id, each with the first such entry's id; none if nothing
    /// comes within `block`.
    pub async fn wait(
        &mut self,
        after: &[(String, EntryId)],
        block: Duration,
    ) -> Result<Vec<(String, EntryId)>, Error> {
        // A BLOCK of zero would wait for ever.
        let block = block.max(Duration::from_millis(1));
        let mut cmd = Cmd::new();
        cmd.arg("XREAD").arg("COUNT").arg(1).arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
        cmd.arg("STREAMS");
        for (stream, _) in after {
            cmd.arg(stream);
        }
        for (_, id) in after {
            cmd.arg(id.to_string());
        }
        let reply = tokio::select! {
            reply = ask(&mut self.connection, &cmd, block + MARGIN) => reply,
            () = self.session.closed() => return Err(lost()),
        };
        match reply {
            Ok(reply) => Ok(firsts(&reply)),
            Err(error) => {
                // A node that is demoted says so to whoever waits there, before anybody else hears of it.
                if error.code().is_some() {
                    self.session.end_if_useless(&error);
                }
                Err(error.while_doing("XREAD"))
            }
        }
    }
}

fn lost() -> Error {
    Error::unreachable("connection to the master lost")
}

fn last_generated(answer: Result<Value, Error>) -> Result<EntryId, Error> {
    match answer {
        Ok(info) => value::field(&info, "last-generated-id")
            .and_then(value::text)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::unexpected("XINFO STREAM", &info)),
        Err(error) if error.is_no_such_key() => Ok(EntryId::ZERO),
        Err(error) => Err(error.while_doing("XINFO STREAM")),
    }
}

/// Each stream of an `XREAD` reply with the id of its first entry there (`nil` when nothing came).
fn firsts(reply: &Value) -> Vec<(String, EntryId)> {
    let first = |key: &Value, entries: &Value| {
        let entry = Entry::parse(value::items(entries)?.first()?)?;
        Some((value::text(key)?.to_owned(), entry.id))
    };
    match reply {
        Value::Map(streams) => streams.iter().filter_map(|(key, entries)| first(key, entries)).collect(),
        Value::Array(streams) => streams
            .iter()
            .filter_map(|stream| match value::items(stream)? {
                [key, entries] => first(key, entries),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn streams_of_both_protocols_read_the_same() {
        let entries = || Value::Array(vec![Value::Array(vec![bulk("1-0"), Value::Array(vec![])])]);
        let map = Value::Map(vec![(bulk("a"), entries()), (bulk("b"), entries())]);
        let lists = Value::Array(["a", "b"].iter().map(|name| Value::Array(vec![bulk(name), entries()])).collect());
        for reply in [map, lists] {
            let id = EntryId { ms: 1, seq: 0 };
            assert_eq!(firsts(&reply), [("a".to_owned(), id), ("b".to_owned(), id)]);
        }
        assert!(firsts(&Value::Nil).is_empty());
    }

    #[test]
    fn a_missing_stream_begins_at_zero_and_a_refusal_is_one() {
        let info = Value::Map(vec![(bulk("length"), Value::Int(0)), (bulk("last-generated-id"), bulk("7-1"))]);
        assert_eq!(last_generated(Ok(info)).ok(), Some(EntryId { ms: 7, seq: 1 }));
        let missing = Error::from_server("ERR", "no such key");
        assert_eq!(last_generated(Err(missing)).ok(), Some(EntryId::ZERO));
        assert!(last_generated(Err(Error::from_server("WRONGTYPE", "Operation against a key"))).is_err());
    }
}
