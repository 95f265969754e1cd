//! What is left to do: pending plus lag.

use redis::{Cmd, Pipeline, Value};

use crate::connection::Session;
use crate::error::Error;
use crate::id::EntryId;
use crate::value;

/// Entries counted by hand at most, where Redis does not know its lag.
const RECOUNT_LIMIT: u64 = 10_000;
const PAGE: usize = 1_000;

/// Where a lag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Redis keeps count (`XINFO GROUPS`).
    Reported,
    /// Redis answered nil or nonsense; the entries after the last delivered one were counted.
    Recounted,
    /// There is no group yet; a new one starts at `0`, so every entry is unread.
    WholeStream,
    /// There is no stream.
    Missing,
}

/// How many entries nobody has read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Entries.
    pub value: u64,
    /// Where the number comes from.
    pub method: Method,
    /// `false`: there are at least this many.
    pub exact: bool,
}

/// The state of one stream and one group at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Entries in the stream, finished ones included (`XLEN`).
    pub length: u64,
    /// Delivered and not acknowledged.
    pub pending: u64,
    /// Not read yet.
    pub lag: Lag,
    /// Entries wait elsewhere for an agent that cannot be reached.
    pub waiting: bool,
}

impl Backlog {
    /// Pending plus lag; at least 1 while entries wait for an agent, since somebody has to probe it.
    pub fn total(&self) -> u64 {
        self.pending.saturating_add(self.lag.value).max(u64::from(self.waiting))
    }
}

/// Reads the backlog: two round trips, more only where the lag has to be recounted.
///
/// Pending and lag come from one `XINFO GROUPS`, so an entry that moves from one to the other in
/// between is never missed.
pub async fn read(session: &Session, stream: &str, group: &str) -> Result<Backlog, Error> {
    let waiting_set = format!("{stream}:waiting");
    let mut pipeline = Pipeline::new();
    pipeline.cmd("XINFO").arg("GROUPS").arg(stream).cmd("XLEN").arg(stream).cmd("SMEMBERS").arg(&waiting_set);
    let mut answers = session.pipe(&pipeline).await?.into_iter();
    let mut answer = || answers.next().unwrap_or_else(|| Err(Error::unexpected("XINFO GROUPS", &"too few answers")));
    let groups = answer();
    let length = answer()?;
    let length =
        value::int(&length).and_then(|n| u64::try_from(n).ok()).ok_or_else(|| Error::unexpected("XLEN", &length))?;
    let waiting = any_waiting(session, &answer()?).await?;
    let groups = match groups {
        Ok(groups) => groups,
        Err(error) if is_missing(&error) => return Ok(without_stream(waiting)),
        Err(error) => return Err(error.while_doing("XINFO GROUPS")),
    };
    match standing(&groups, group) {
        None => Ok(without_group(length, waiting)),
        Some(Standing { pending, reported, last_delivered }) => {
            let lag = match plausible(reported, length) {
                Some(value) => Lag { value, method: Method::Reported, exact: true },
                None => recount(session, stream, last_delivered).await?,
            };
            Ok(Backlog { length, pending, lag, waiting })
        }
    }
}

fn is_missing(error: &Error) -> bool {
    error.code() == Some("ERR") && error.to_string().contains("no such key")
}

fn without_stream(waiting: bool) -> Backlog {
    Backlog { length: 0, pending: 0, lag: Lag { value: 0, method: Method::Missing, exact: true }, waiting }
}

fn without_group(length: u64, waiting: bool) -> Backlog {
    Backlog { length, pending: 0, lag: Lag { value: length, method: Method::WholeStream, exact: true }, waiting }
}

struct Standing {
    pending: u64,
    reported: Option<i64>,
    last_delivered: EntryId,
}

fn standing(groups: &Value, name: &str) -> Option<Standing> {
    let row = value::items(groups)?
        .iter()
        .find(|row| value::field(row, "name").and_then(value::bytes) == Some(name.as_bytes()))?;
    let pending = value::field(row, "pending").and_then(value::int)?;
    Some(Standing {
        pending: u64::try_from(pending).ok()?,
        reported: value::field(row, "lag").and_then(value::int),
        last_delivered: value::text(value::field(row, "last-delivered-id")?)?.parse().ok()?,
    })
}

/// A lag that can be true: Redis 7 reports nil after some deletions, and negative numbers or more
/// than the stream holds after others.
fn plausible(reported: Option<i64>, length: u64) -> Option<u64> {
    reported.and_then(|lag| u64::try_from(lag).ok()).filter(|lag| *lag <= length)
}

async fn recount(session: &Session, stream: &str, after: EntryId) -> Result<Lag, Error> {
    let (mut value, mut after) = (0_u64, after);
    loop {
        let entries = super::group::range(session, stream, &format!("({after}"), PAGE).await?;
        value += entries.len() as u64;
        match entries.last() {
            Some(last) if entries.len() == PAGE && value < RECOUNT_LIMIT => after = last.id,
            last => {
                let exact = last.is_none() || entries.len() < PAGE;
                return Ok(Lag { value, method: Method::Recounted, exact });
            }
        }
    }
}

/// Whether one of the waiting streams (members of the set) holds an entry.
async fn any_waiting(session: &Session, members: &Value) -> Result<bool, Error> {
    let members = value::items(members).unwrap_or_default();
    if members.is_empty() {
        return Ok(false);
    }
    let mut pipeline = Pipeline::with_capacity(members.len());
    for key in members.iter().filter_map(value::bytes) {
        let mut cmd = Cmd::new();
        cmd.arg("XLEN").arg(key);
        pipeline.add_command(cmd);
    }
    let lengths = session.pipe(&pipeline).await?;
    Ok(lengths.into_iter().flatten().filter_map(|length| value::int(&length)).any(|length| length > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_lag_is_not_believed() {
        assert_eq!(plausible(Some(3), 3), Some(3));
        assert_eq!(plausible(Some(4), 3), None);
        assert_eq!(plausible(Some(-90), 10), None);
        assert_eq!(plausible(None, 10), None);
    }

    #[test]
    fn waiting_entries_keep_one_worker() {
        let mut backlog = without_stream(true);
        assert_eq!(backlog.total(), 1);
        backlog.pending = 7;
        assert_eq!(backlog.total(), 7);
        assert_eq!(without_stream(false).total(), 0);
        assert_eq!(without_group(12, false).total(), 12);
    }
}
