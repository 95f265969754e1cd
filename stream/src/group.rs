//! Commands of the consumer group, on raw values.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::connection::Session;
use crate::entry::Entry;
use crate::error::Error;
use crate::id::EntryId;
use crate::reader::Group;
use crate::value;

/// Creates the group where it is missing, at `0`: everything that is retained is delivered, and
/// what was finished before is recognised by its record. `true` if it was created now.
pub async fn ensure(session: &Session, of: &Group) -> Result<bool, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XGROUP").arg("CREATE").arg(&of.stream).arg(&of.group).arg("0").arg("MKSTREAM");
    match session.run(&cmd).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
        Err(error) => Err(error.while_doing("XGROUP CREATE")),
    }
}

/// One page of XAUTOCLAIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Where the next page starts; [`EntryId::ZERO`] after the last one.
    pub next: EntryId,
    /// Entries that are ours now.
    pub entries: Vec<Entry>,
    /// Pending ids whose entries had been deleted; Redis has dropped them.
    pub deleted: Vec<EntryId>,
}

/// Claims entries that have been idle for at least `lease`, from `cursor` on. An empty page is not
/// the end: deleted ids count too. (<https://redis.io/docs/latest/commands/xautoclaim/>)
pub async fn claim_idle(
    session: &Session,
    of: &Group,
    lease: Duration,
    cursor: EntryId,
    count: usize,
) -> Result<Claimed, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XAUTOCLAIM").arg(&of.stream).arg(&of.group).arg(&of.consumer);
    cmd.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)).arg(cursor.to_string()).arg("COUNT").arg(count);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XAUTOCLAIM"))?;
    parse_claimed(&reply).ok_or_else(|| Error::unexpected("XAUTOCLAIM", &reply))
}

fn parse_claimed(reply: &Value) -> Option<Claimed> {
    let (next, entries, deleted) = match value::items(reply)? {
        [next, entries, deleted] => (next, entries, value::items(deleted)?),
        [next, entries] => (next, entries, [].as_slice()),
        _ => return None,
    };
    Some(Claimed {
        next: value::text(next)?.parse().ok()?,
        entries: Entry::parse_list(entries),
        deleted: deleted.iter().filter_map(|id| value::text(id)?.parse().ok()).collect(),
    })
}

/// One pending entry (XPENDING, extended form).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The entry's id.
    pub id: EntryId,
    /// Who holds it.
    pub consumer: String,
    /// Milliseconds since it was delivered, claimed or renewed.
    pub idle_ms: i64,
    /// How often it was delivered.
    pub deliveries: i64,
}

/// Up to `count` pending entries of all consumers from `start` on.
pub async fn pending(session: &Session, of: &Group, start: EntryId, count: usize) -> Result<Vec<Pending>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XPENDING").arg(&of.stream).arg(&of.group).arg(start.to_string()).arg("+").arg(count);
    read_pending(session, &cmd).await
}

/// Up to `count` entries that are pending in our own name, from `start` on.
pub async fn own_pending(session: &Session, of: &Group, start: EntryId, count: usize) -> Result<Vec<Pending>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XPENDING").arg(&of.stream).arg(&of.group).arg(start.to_string()).arg("+").arg(count).arg(&of.consumer);
    read_pending(session, &cmd).await
}

/// The entry of a row that was just seen in our name; its idle time is zero then, and the delivery is not counted.
/// `None` if it is not pending any more, or was claimed by somebody in between.
/// (<https://redis.io/docs/latest/commands/xclaim/>)
pub async fn claim_own(session: &Session, of: &Group, row: &Pending) -> Result<Option<Entry>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XCLAIM").arg(&of.stream).arg(&of.group).arg(&of.consumer);
    cmd.arg(row.idle_ms.max(0)).arg(row.id.to_string()).arg("RETRYCOUNT").arg(row.deliveries);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XCLAIM"))?;
    Ok(Entry::parse_list(&reply).into_iter().next())
}

/// Whether any pending entry has been idle for at least `idle` (XPENDING with IDLE, Redis 6.2).
pub async fn any_idle(session: &Session, of: &Group, idle: Duration) -> Result<bool, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XPENDING").arg(&of.stream).arg(&of.group).arg("IDLE");
    cmd.arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)).arg("-").arg("+").arg(1);
    Ok(!read_pending(session, &cmd).await?.is_empty())
}

async fn read_pending(session: &Session, cmd: &Cmd) -> Result<Vec<Pending>, Error> {
    let reply = session.run(cmd).await.map_err(|error| error.while_doing("XPENDING"))?;
    Ok(value::items(&reply).unwrap_or_default().iter().filter_map(parse_pending).collect())
}

/// How often each of these entries was delivered; ids that are not pending are left out.
pub async fn deliveries(session: &Session, of: &Group, ids: &[EntryId]) -> Result<Vec<Pending>, Error> {
    let mut pipeline = redis::Pipeline::with_capacity(ids.len());
    for id in ids {
        pipeline.cmd("XPENDING").arg(&of.stream).arg(&of.group).arg(id.to_string()).arg(id.to_string()).arg(1);
    }
    let mut found = Vec::with_capacity(ids.len());
    for reply in session.pipe(&pipeline).await? {
        found.extend(value::items(&reply?).unwrap_or_default().iter().filter_map(parse_pending));
    }
    Ok(found)
}

fn parse_pending(row: &Value) -> Option<Pending> {
    let [id, consumer, idle, deliveries] = value::items(row)? else { return None };
    Some(Pending {
        id: value::text(id)?.parse().ok()?,
        consumer: String::from_utf8_lossy(value::bytes(consumer)?).into_owned(),
        idle_ms: value::int(idle)?,
        deliveries: value::int(deliveries)?,
    })
}

/// One consumer of the group (XINFO CONSUMERS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Entries that are pending in its name.
    pub pending: i64,
    /// Milliseconds since it last read or claimed something; from Redis 7.2 on, since it last tried to.
    pub idle_ms: i64,
}

/// The group's consumers; those whose names are not UTF-8 are left out.
/// (<https://redis.io/docs/latest/commands/xinfo-consumers/>)
pub async fn consumers(session: &Session, of: &Group) -> Result<Vec<Consumer>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XINFO").arg("CONSUMERS").arg(&of.stream).arg(&of.group);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XINFO CONSUMERS"))?;
    Ok(value::items(&reply).unwrap_or_default().iter().filter_map(parse_consumer).collect())
}

fn parse_consumer(row: &Value) -> Option<Consumer> {
    let number = |name| value::field(row, name).and_then(value::int);
    Some(Consumer {
        name: value::text(value::field(row, "name")?)?.to_owned(),
        pending: number("pending")?,
        idle_ms: number("idle")?,
    })
}

/// Up to `count` entries of a stream from `start` on (XRANGE).
pub async fn range(session: &Session, stream: &str, start: &str, count: usize) -> Result<Vec<Entry>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XRANGE").arg(stream).arg(start).arg("+").arg("COUNT").arg(count);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XRANGE"))?;
    Ok(Entry::parse_list(&reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_page_of_deleted_entries_is_not_the_end() {
        let reply = Value::Array(vec![bulk("9-0"), Value::Array(vec![]), Value::Array(vec![bulk("3-0"), bulk("4-0")])]);
        let claimed = parse_claimed(&reply);
        assert_eq!(claimed.as_ref().map(|c| c.next.to_string()).as_deref(), Some("9-0"));
        assert_eq!(claimed.map(|c| (c.entries.len(), c.deleted.len())), Some((0, 2)));
    }

    #[test]
    fn a_negative_idle_time_stays_negative() {
        let row = Value::Array(vec![bulk("1-0"), bulk(""), Value::Int(-1), Value::Int(3)]);
        assert_eq!(parse_pending(&row).map(|p| (p.idle_ms, p.deliveries)), Some((-1, 3)));
    }
}
