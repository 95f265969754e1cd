//! Whether entries wait for agents that cannot be reached: `<stream>:waiting` is the set of the streams that they wait
//! in.

use std::collections::BTreeMap;

use redis::{Cmd, Pipeline, Value};

use crate::connection::Session;
use crate::error::Error;
use crate::value;

/// Waiting streams that are remembered; more are looked at all the same.
const REMEMBERED: usize = 256;

type Answer = Result<Value, Error>;

/// The waiting streams of a stream. What the set once named is looked at for as long as it holds entries: an eviction
/// can take the set and leave them.
#[derive(Debug)]
pub(super) struct Waiting {
    set: String,
    remembered: Vec<Vec<u8>>,
}

/// What there is in the waiting streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// One holds an entry.
    pub(super) any: bool,
    /// One that was named for the first time is empty by now.
    pub(super) missed: bool,
}

impl Waiting {
    pub(super) fn new(stream: &str) -> Self {
        Self { set: format!("{stream}:waiting"), remembered: Vec::new() }
    }

    /// Adds what [`Self::judge`] needs to a pipeline: one answer, and one for each stream that is remembered.
    pub(super) fn ask(&self, pipeline: &mut Pipeline) {
        pipeline.cmd("SMEMBERS").arg(&self.set);
        for key in &self.remembered {
            pipeline.add_command(xlen(key));
        }
    }

    /// Whether one of them holds an entry. Streams that were not remembered cost a round trip, in which their entries
    /// can have come back to the stream, unseen on either side.
    pub(super) async fn judge(
        &mut self,
        session: &Session,
        members: Answer,
        lengths: Vec<Answer>,
    ) -> Result<Found, Error> {
        let members = members.map_err(|error| error.while_doing("SMEMBERS"))?;
        let named: Vec<&[u8]> = value::items(&members)
            .and_then(|items| items.iter().map(value::bytes).collect())
            .ok_or_else(|| Error::unexpected("SMEMBERS", &members))?;
        let (mut held, mut missed) = (BTreeMap::new(), false);
        for (key, length) in self.remembered.iter().zip(lengths) {
            let in_set = named.contains(&key.as_slice());
            // A key that was a waiting stream once may be something else by now.
            let reused = !in_set && length.as_ref().is_err_and(|error| error.code() == Some("WRONGTYPE"));
            let length = if reused { 0 } else { entries(length)? };
            if in_set || length > 0 {
                held.insert(key.clone(), length);
            }
        }
        let new: Vec<&[u8]> = named.into_iter().filter(|key| !held.contains_key(*key)).collect();
        if !new.is_empty() {
            let mut pipeline = Pipeline::with_capacity(new.len());
            for key in &new {
                pipeline.add_command(xlen(key));
            }
            for (key, length) in new.into_iter().zip(session.pipe(&pipeline).await?) {
                let length = entries(length)?;
                missed |= length == 0;
                held.insert(key.to_vec(), length);
            }
        }
        let any = held.values().any(|length| *length > 0);
        self.remembered = held.into_keys().take(REMEMBERED).collect();
        Ok(Found { any, missed })
    }
}

fn xlen(key: &[u8]) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("XLEN").arg(key);
    cmd
}

fn entries(length: Answer) -> Result<u64, Error> {
    let length = length.map_err(|error| error.while_doing("XLEN of a waiting stream"))?;
    value::int(&length).and_then(|n| u64::try_from(n).ok()).ok_or_else(|| Error::unexpected("XLEN", &length))
}
