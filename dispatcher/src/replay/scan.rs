//! All entries that a filter means, page by page: memory is bounded by a page, whatever the streams hold.

use std::collections::VecDeque;

use redis::{Cmd, Pipeline};
use redis_stream::connection::Session;
use redis_stream::entry::Entry;
use redis_stream::error::{Class, Error};
use redis_stream::group::{self, Pending};
use redis_stream::id::EntryId;
use redis_stream::value;

use super::filter::{Filter, Now};
use super::item::{Item, Place, Record, record_key_of};
use crate::dispatch::names::Names;

/// Rows of the pending list read at once; they are small.
const PENDING_PAGE: usize = 500;
/// Entries read at once; they can be long.
const PAGE: usize = 100;

/// A walk over everything that is meant: pending, waiting, parked, dead; oldest first in each.
#[derive(Debug)]
pub struct Scan {
    filter: Filter,
    now: Now,
    group: redis_stream::reader::Group,
    sources: VecDeque<Source>,
    ahead: VecDeque<Pending>,
}

#[derive(Debug)]
enum Source {
    /// From this id on.
    Pending(EntryId),
    /// After `after`, up to `last`: what is added during the walk does not make it longer.
    Stream { key: String, place: Place, after: String, last: String },
}

impl Scan {
    /// Begins a walk.
    pub async fn open(session: &Session, names: &Names, filter: Filter, now: Now) -> Result<Self, Error> {
        let mut sources = VecDeque::new();
        if filter.pending() {
            sources.push_back(Source::Pending(EntryId::ZERO));
        }
        for (key, place) in streams(session, names).await? {
            if filter.stream(&place)
                && let Some(last) = last_id(session, &key).await?
            {
                sources.push_back(Source::Stream { key, place, after: "-".to_owned(), last });
            }
        }
        Ok(Self { filter, now, group: names.group.clone(), sources, ahead: VecDeque::new() })
    }

    /// The stream itself from its beginning; what is pending on it is not told apart.
    pub(super) async fn of_stream(session: &Session, names: &Names, now: Now) -> Result<Self, Error> {
        let key = names.group.stream.clone();
        let last = last_id(session, &key).await?;
        let source = last.map(|last| Source::Stream { key, place: Place::Acknowledged, after: "-".to_owned(), last });
        Ok(Self {
            filter: Filter::everything(),
            now,
            group: names.group.clone(),
            sources: source.into_iter().collect(),
            ahead: VecDeque::new(),
        })
    }

    /// The next items, possibly none; `None` at the end. After an error the same page can be asked
    /// for again, on another session.
    pub async fn page(&mut self, session: &Session) -> Result<Option<Vec<Item>>, Error> {
        let found = match self.sources.front_mut() {
            None => return Ok(None),
            Some(Source::Pending(from)) => {
                if self.ahead.is_empty() {
                    let rows = pending_rows(session, &self.group, *from).await?;
                    let Some(last) = rows.last() else {
                        self.sources.pop_front();
                        return Ok(Some(Vec::new()));
                    };
                    *from = after(last.id);
                    let (filter, now) = (&self.filter, self.now);
                    let meant = rows.into_iter().filter(|row| filter.may_match(now, &place(row), row.id));
                    self.ahead.extend(meant);
                }
                let rows: Vec<_> = self.ahead.iter().take(PAGE).cloned().collect();
                let found = entries_of(session, &self.group.stream, &rows).await?;
                let found = items(session, &self.group.stream, found).await?;
                self.ahead.drain(..rows.len());
                found
            }
            Some(Source::Stream { key, place, after, last }) => {
                let entries = range(session, key, after, last).await?;
                let next = entries.last().map(|entry| format!("({}", entry.id));
                let found =
                    items(session, key, entries.into_iter().map(|entry| (place.clone(), entry)).collect()).await?;
                match next {
                    Some(next) => *after = next,
                    None => drop(self.sources.pop_front()),
                }
                found
            }
        };
        Ok(Some(found.into_iter().filter(|item| self.filter.matches(self.now, item)).collect()))
    }
}

/// The streams beside the stream itself.
pub(super) async fn streams(session: &Session, names: &Names) -> Result<Vec<(String, Place)>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("SMEMBERS").arg(names.waiting_set());
    let members = session.run(&cmd).await.map_err(|error| error.while_doing("SMEMBERS"))?;
    let members = value::items(&members).unwrap_or_default();
    let mut streams: Vec<_> =
        members.iter().filter_map(value::text).map(|key| (key.to_owned(), Place::Waiting)).collect();
    streams.sort_by(|a, b| a.0.cmp(&b.0));
    streams.push((names.parked.clone(), Place::Parked));
    streams.push((names.dead_letters.clone(), Place::Dead));
    Ok(streams)
}

/// What a row of the pending list says.
pub(super) fn place(row: &Pending) -> Place {
    Place::Pending { consumer: row.consumer.clone(), idle_ms: row.idle_ms, deliveries: row.deliveries }
}

/// Adds the records.
pub(super) async fn items(session: &Session, stream: &str, found: Vec<(Place, Entry)>) -> Result<Vec<Item>, Error> {
    let mut pipeline = Pipeline::new();
    for key in found.iter().filter_map(|(_, entry)| record_key_of(entry)) {
        pipeline.cmd("HGETALL").arg(key);
    }
    let mut records = ask(session, &pipeline).await?.into_iter();
    let mut items = Vec::with_capacity(found.len());
    for (place, entry) in found {
        let record = match record_key_of(&entry).and_then(|_| records.next()) {
            // A key of another type is no record.
            Some(reply) => reply.ok().as_ref().and_then(record),
            None => None,
        };
        items.push(Item { stream: stream.to_owned(), place, entry, record });
    }
    Ok(items)
}

/// Reads HGETALL; a missing hash is no record.
pub(super) fn record(reply: &redis::Value) -> Option<Record> {
    let lossy = |value| value::bytes(value).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let fields = value::pairs(reply).into_iter().filter_map(|(name, value)| Some((lossy(name)?, lossy(value)?)));
    let record = Record(fields.collect());
    (!record.0.is_empty()).then_some(record)
}

/// One entry, if it is there.
pub(super) async fn entry(session: &Session, stream: &str, id: EntryId) -> Result<Option<Entry>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XRANGE").arg(stream).arg(id.to_string()).arg(id.to_string());
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XRANGE"))?;
    Ok(Entry::parse_list(&reply).into_iter().next())
}

async fn pending_rows(
    session: &Session,
    of: &redis_stream::reader::Group,
    from: EntryId,
) -> Result<Vec<Pending>, Error> {
    match group::pending(session, of, from, PENDING_PAGE).await {
        // Nobody has read yet.
        Err(error) if error.class() == Class::NoGroup => Ok(Vec::new()),
        rows => rows,
    }
}

/// The entries of pending rows; without fields where they were deleted.
async fn entries_of(session: &Session, stream: &str, rows: &[Pending]) -> Result<Vec<(Place, Entry)>, Error> {
    let mut pipeline = Pipeline::new();
    for row in rows {
        pipeline.cmd("XRANGE").arg(stream).arg(row.id.to_string()).arg(row.id.to_string());
    }
    let mut found = Vec::with_capacity(rows.len());
    for (row, reply) in rows.iter().zip(ask(session, &pipeline).await?) {
        let entry = Entry::parse_list(&reply?).into_iter().next();
        found.push((place(row), entry.unwrap_or(Entry { id: row.id, fields: Vec::new() })));
    }
    Ok(found)
}

async fn range(session: &Session, key: &str, from: &str, to: &str) -> Result<Vec<Entry>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XRANGE").arg(key).arg(from).arg(to).arg("COUNT").arg(PAGE);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XRANGE"))?;
    Ok(Entry::parse_list(&reply))
}

async fn last_id(session: &Session, key: &str) -> Result<Option<String>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(1);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing(key))?;
    Ok(Entry::parse_list(&reply).first().map(|entry| entry.id.to_string()))
}

/// An empty pipeline has no answers.
pub(super) async fn ask(session: &Session, pipeline: &Pipeline) -> Result<Vec<Result<redis::Value, Error>>, Error> {
    if pipeline.cmd_iter().next().is_none() {
        return Ok(Vec::new());
    }
    session.pipe(pipeline).await
}

fn after(id: EntryId) -> EntryId {
    match id.seq.checked_add(1) {
        Some(seq) => EntryId { seq, ..id },
        None => EntryId { ms: id.ms.saturating_add(1), seq: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_id() {
        assert_eq!(after(EntryId { ms: 1, seq: 2 }).to_string(), "1-3");
        assert_eq!(after(EntryId { ms: 1, seq: u64::MAX }).to_string(), "2-0");
    }
}
