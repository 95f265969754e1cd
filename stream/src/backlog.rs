//! What is left to do: pending plus lag.

use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};

use crate::connection::Session;
use crate::error::Error;
use crate::id::EntryId;
use crate::value;

/// Entries counted by hand at most, where Redis does not know its lag.
const RECOUNT_LIMIT: u64 = 10_000;
/// The same where Redis has a number that may be too large: at a backlog of this size it makes no difference.
const CHECK_LIMIT: u64 = PAGE as u64;
const PAGE: usize = 1_000;
/// A count takes no longer, whatever the entries weigh: a number that comes too late is none.
const RECOUNT_WITHIN: Duration = Duration::from_millis(300);

/// Where a lag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Redis keeps count (`XINFO GROUPS`).
    Reported,
    /// Redis answered nil or a doubtful number; the entries after the last delivered one were counted.
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

/// Reads the backlog: up to three round trips, more only where the lag has to be recounted.
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
        Some(standing) => {
            let lag = lag(session, stream, length, &standing).await?;
            Ok(Backlog { length, pending: standing.pending, lag, waiting })
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

/// Redis 7.0 reports nil after some deletions, and after others, and after trimming, a number that stays too
/// large for good, even when everything has been read (redis/redis#13338, #13957). A
/// zero is never too large.
async fn lag(session: &Session, stream: &str, length: u64, of: &Standing) -> Result<Lag, Error> {
    let reported = plausible(of.reported, length);
    if reported == Some(0) {
        return Ok(Lag { value: 0, method: Method::Reported, exact: true });
    }
    let mut cmd = Cmd::new();
    cmd.arg("XINFO").arg("STREAM").arg(stream);
    let extent = match session.run(&cmd).await {
        Ok(info) => Extent::parse(&info),
        Err(error) if is_missing(&error) => Extent { last: None, intact: false },
        Err(error) => return Err(error.while_doing("XINFO STREAM")),
    };
    match reported {
        _ if extent.last.is_none_or(|last| last <= of.last_delivered) => {
            Ok(Lag { value: 0, method: Method::Recounted, exact: true })
        }
        Some(value) if extent.intact => Ok(Lag { value, method: Method::Reported, exact: true }),
        Some(value) => {
            let counted = recount(session, stream, of.last_delivered, CHECK_LIMIT).await?;
            Ok(if counted.exact { counted } else { Lag { value: value.max(counted.value), ..counted } })
        }
        None => recount(session, stream, of.last_delivered, RECOUNT_LIMIT).await,
    }
}

/// A lag that can be true: Redis 7 reports negative numbers or more than the stream holds after some deletions.
fn plausible(reported: Option<i64>, length: u64) -> Option<u64> {
    reported.and_then(|lag| u64::try_from(lag).ok()).filter(|lag| *lag <= length)
}

/// What `XINFO STREAM` says of the entries.
#[derive(Debug, PartialEq, Eq)]
struct Extent {
    /// The newest entry that is left.
    last: Option<EntryId>,
    /// Nothing was ever deleted or trimmed.
    intact: bool,
}

impl Extent {
    fn parse(info: &Value) -> Self {
        let number = |name| value::field(info, name).and_then(value::int);
        let last = value::field(info, "last-entry").and_then(value::items).and_then(<[Value]>::first);
        Self {
            last: last.and_then(value::text).and_then(|id| id.parse().ok()),
            intact: number("entries-added").is_some_and(|added| number("length") == Some(added)),
        }
    }
}

async fn recount(session: &Session, stream: &str, after: EntryId, limit: u64) -> Result<Lag, Error> {
    let (mut value, mut after, begin) = (0_u64, after, Instant::now());
    loop {
        let entries = super::group::range(session, stream, &format!("({after}"), PAGE).await?;
        value += entries.len() as u64;
        match entries.last() {
            Some(last) if entries.len() == PAGE && value < limit && begin.elapsed() < RECOUNT_WITHIN => {
                after = last.id;
            }
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
    fn what_was_deleted_shows_in_the_counts() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let info = |length, added, last| {
            Value::Array(vec![
                bulk("length"),
                Value::Int(length),
                bulk("entries-added"),
                Value::Int(added),
                bulk("last-entry"),
                last,
            ])
        };
        let last = Value::Array(vec![bulk("5-0"), Value::Array(vec![bulk("f"), bulk("v")])]);
        let extent = Extent::parse(&info(5, 5, last.clone()));
        assert_eq!(extent, Extent { last: "5-0".parse().ok(), intact: true });
        assert!(!Extent::parse(&info(4, 5, last)).intact);
        assert_eq!(Extent::parse(&info(0, 5, Value::Nil)), Extent { last: None, intact: false });
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
