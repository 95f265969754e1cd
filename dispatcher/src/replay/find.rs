//! Entries by what an operator calls them.

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::error::{Class, Error};
use redis_stream::group;
use redis_stream::id::EntryId;
use redis_stream::value;

use super::filter::{Filter, Now};
use super::id::Id;
use super::item::{Item, Place};
use super::scan::{self, Scan};
use crate::dispatch::names::Names;
use crate::incident::{STEP, record_key};

/// More entries than this under one id are not looked at.
const MOST: usize = 20;

/// What lies under one id.
#[derive(Debug, Clone)]
pub struct Found {
    /// The id that was asked for.
    pub id: Id,
    /// Live ones first: pending, waiting, then parked and dead. Empty: nothing is known.
    pub items: Vec<Item>,
}

/// Looks ids up: entry ids where they can be, then everything in one walk over all that is open.
pub async fn find(session: &Session, names: &Names, ids: &[Id], now: Now) -> Result<Vec<Found>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let items = match id {
            Id::Entry(id) => by_entry_id(session, names, *id).await?,
            Id::Workflow(_) => Vec::new(),
        };
        found.push(Found { id: id.clone(), items });
    }
    let mut open: Vec<&mut Found> = found.iter_mut().filter(|found| !found.is_somewhere()).collect();
    if !open.is_empty() {
        let scan = Scan::open(session, names, Filter::everything(), now).await?;
        walk(session, scan, &mut open).await?;
    }
    for found in found.iter_mut().filter(|found| found.items.is_empty()) {
        if let Id::Workflow(id) = &found.id {
            found.items = by_record(session, names, id).await?;
        }
    }
    let mut unknown: Vec<&mut Found> = found.iter_mut().filter(|found| found.items.is_empty()).collect();
    if !unknown.is_empty() {
        let scan = Scan::of_stream(session, names, now).await?;
        walk(session, scan, &mut unknown).await?;
        for item in unknown.iter_mut().flat_map(|found| &mut found.items) {
            item.place = place_on_stream(session, names, item.entry.id).await?;
        }
    }
    Ok(found)
}

impl Found {
    /// An entry that is only acknowledged may have left a copy elsewhere.
    fn is_somewhere(&self) -> bool {
        self.items.iter().any(|item| item.place != Place::Acknowledged)
    }

    fn take(&mut self, item: &Item) {
        if self.items.len() < MOST && self.id.names(item) {
            self.items.retain(|item| item.place != Place::Acknowledged);
            self.items.push(item.clone());
        }
    }
}

async fn walk(session: &Session, mut scan: Scan, open: &mut [&mut Found]) -> Result<(), Error> {
    while let Some(page) = scan.page(session).await? {
        for item in &page {
            for found in open.iter_mut() {
                found.take(item);
            }
        }
    }
    Ok(())
}

async fn by_entry_id(session: &Session, names: &Names, id: EntryId) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let stream = &names.group.stream;
    if let Some(entry) = scan::entry(session, stream, id).await? {
        let place = place_on_stream(session, names, id).await?;
        items.extend(scan::items(session, stream, vec![(place, entry)]).await?);
    }
    for (key, place) in scan::streams(session, names).await? {
        if let Some(entry) = scan::entry(session, &key, id).await? {
            items.extend(scan::items(session, &key, vec![(place, entry)]).await?);
        }
    }
    Ok(items)
}

/// The entry that the record of an incident with the usual step names, where it still is.
async fn by_record(session: &Session, names: &Names, workflow_id: &str) -> Result<Vec<Item>, Error> {
    let mut cmd = Cmd::new();
    cmd.arg("HMGET").arg(record_key(workflow_id, STEP)).arg("stream").arg("entry_id");
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("the record"))?;
    let entry = match value::items(&reply).unwrap_or_default() {
        [stream, id] => value::text(stream).zip(value::text(id).and_then(|id| id.parse().ok())),
        _ => None,
    };
    let Some((stream, id)) = entry.filter(|(stream, _)| *stream == names.group.stream) else { return Ok(Vec::new()) };
    let Some(entry) = scan::entry(session, stream, id).await? else { return Ok(Vec::new()) };
    let place = place_on_stream(session, names, id).await?;
    scan::items(session, stream, vec![(place, entry)]).await
}

/// Pending, unread or done with.
async fn place_on_stream(session: &Session, names: &Names, id: EntryId) -> Result<Place, Error> {
    let rows = match group::deliveries(session, &names.group, &[id]).await {
        Err(error) if error.class() == Class::NoGroup => return Ok(Place::Unread),
        rows => rows?,
    };
    if let Some(row) = rows.first() {
        return Ok(scan::place(row));
    }
    let mut cmd = Cmd::new();
    cmd.arg("XINFO").arg("GROUPS").arg(&names.group.stream);
    let groups = session.run(&cmd).await.map_err(|error| error.while_doing("XINFO GROUPS"))?;
    let last: Option<EntryId> = value::items(&groups)
        .unwrap_or_default()
        .iter()
        .find(|row| value::field(row, "name").and_then(value::bytes) == Some(names.group.group.as_bytes()))
        .and_then(|row| value::text(value::field(row, "last-delivered-id")?)?.parse().ok());
    Ok(if last.is_none_or(|last| id > last) { Place::Unread } else { Place::Acknowledged })
}
