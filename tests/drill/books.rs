//! What Redis has of every incident.

use std::collections::HashMap;

use anyhow::{Context, Result};
use line_tests::line::{DEAD, STREAM};
use line_tests::{Client, Reply};

use crate::oracle::Book;

const PARKED: &str = "incident:events:parked";
const RECORD: &str = "incident:dispatch:";
const STEP: &str = "-investigation";
/// Keys of one SCAN.
const KEYS: &str = "1000";

/// All incidents by their id.
pub(crate) async fn read(client: &mut Client) -> Result<HashMap<String, Book>> {
    let mut books = HashMap::<String, Book>::new();
    for key in records(client).await? {
        let Some(incident) = key.strip_prefix(RECORD).and_then(|name| name.strip_suffix(STEP)) else { continue };
        let record = client.cmd(&["HMGET", &key, "state", "reason"]).await?;
        let mut fields = record.items()?.iter().map(|field| field.text().unwrap_or_default().to_owned());
        let book = books.entry(incident.to_owned()).or_default();
        book.state = fields.next().unwrap_or_default();
        book.reason = fields.next().unwrap_or_default();
    }
    count(client, STREAM, &mut books, |book| book.entries += 1).await?;
    for stream in [DEAD, PARKED] {
        count(client, stream, &mut books, |book| book.copies += 1).await?;
    }
    Ok(books)
}

async fn records(client: &mut Client) -> Result<Vec<String>> {
    let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let reply = client.cmd(&["SCAN", &cursor, "MATCH", &format!("{RECORD}*"), "COUNT", KEYS]).await?;
        let [next, found] = reply.items()? else { anyhow::bail!("an odd answer to SCAN") };
        keys.extend(found.texts()?);
        next.text()?.clone_into(&mut cursor);
        if cursor == "0" {
            // SCAN may name a key twice.
            keys.sort_unstable();
            keys.dedup();
            return Ok(keys);
        }
    }
}

/// Calls `note` for the incident of every entry of a stream.
async fn count(
    client: &mut Client,
    stream: &str,
    books: &mut HashMap<String, Book>,
    note: impl Fn(&mut Book),
) -> Result<()> {
    let mut from = "-".to_owned();
    loop {
        let reply = client.cmd(&["XRANGE", stream, &from, "+", "COUNT", KEYS]).await?;
        let entries = reply.items()?;
        for entry in entries {
            if let Some(incident) = incident_of(entry)? {
                note(books.entry(incident).or_default());
            }
        }
        let Some(last) = entries.last() else { return Ok(()) };
        let id = last.items()?.first().context("an entry without an id")?;
        from = format!("({}", id.text()?);
    }
}

fn incident_of(entry: &Reply) -> Result<Option<String>> {
    let fields = entry.items()?.get(1).context("an entry without fields")?.fields()?;
    Ok(fields.get("workflow_id").and_then(|id| id.text().ok()).map(str::to_owned))
}
