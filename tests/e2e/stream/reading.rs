//! The blocking read: not cut, ended from outside without an orphan, and no entry spoils another.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{DATABASE, GROUP, STREAM};
use line_tests::{Client, Redis, RedisOptions, eventually};
use redis_stream::error::Class;
use redis_stream::group;

use super::{Linked, PATIENCE, cmd, reader};

struct Desk {
    _redis: Redis,
    client: Client,
    linked: Linked,
}

async fn desk() -> Result<Desk> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let client = redis.database(DATABASE).await?;
    let linked = Linked::direct(&redis.address())?;
    Ok(Desk { _redis: redis, client, linked })
}

async fn pending(client: &mut Client) -> Result<usize> {
    let summary = client.cmd(&["XPENDING", STREAM, GROUP]).await?;
    Ok(usize::try_from(summary.items()?.first().context("no count")?.int()?)?)
}

/// Waits until a client of ours is blocked.
async fn blocked(client: &mut Client) -> Result<()> {
    eventually("a blocked client", PATIENCE, async || {
        let info = client.cmd(&["INFO", "clients"]).await.ok()?;
        info.text().ok()?.contains("blocked_clients:1").then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_waits_its_whole_time() -> Result<()> {
    let mut desk = desk().await?;
    let (mut reader, of) = reader(&desk.linked.session().await?).await?;
    let (begin, block) = (Instant::now(), Duration::from_millis(1300));
    let entries = reader.read(&of, 10, block).await?;
    let took = begin.elapsed();
    ensure!(entries.is_empty() && took >= block && took < block + Duration::from_millis(500), "{took:?}");

    let begin = Instant::now();
    let late = async {
        eventually("a second", PATIENCE, async || (begin.elapsed() > Duration::from_secs(1)).then_some(())).await?;
        desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]).await
    };
    let (entries, added) = tokio::join!(reader.read(&of, 10, Duration::from_secs(5)), late);
    let (entries, added) = (entries?, added?);
    ensure!(entries.len() == 1 && begin.elapsed() < Duration::from_secs(2), "{entries:?}");
    ensure!(entries.first().map(|entry| entry.id.to_string()).as_deref() == Some(added.text()?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_unblocked_leaves_nothing_behind() -> Result<()> {
    let mut desk = desk().await?;
    let (mut reader, of) = reader(&desk.linked.session().await?).await?;
    let unblock = reader.handle();
    let begin = Instant::now();
    let end = async {
        blocked(&mut desk.client).await?;
        anyhow::Ok(unblock.unblock().await?)
    };
    let (entries, ended) = tokio::join!(reader.read(&of, 10, Duration::from_secs(10)), end);
    ended?;
    ensure!(entries?.is_empty() && begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]).await?;
    ensure!(pending(&mut desk.client).await? == 0, "delivered to a read that had ended");

    // An entry and the end at the same moment: whoever wins, what is pending was returned.
    let mut returned = reader.read(&of, 10, Duration::from_secs(1)).await?.len();
    for _ in 0..50 {
        let end = async {
            blocked(&mut desk.client).await?;
            let added = desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]);
            let (added, ended) = tokio::join!(added, unblock.unblock());
            added?;
            anyhow::Ok(ended?)
        };
        let (entries, ended) = tokio::join!(reader.read(&of, 10, Duration::from_secs(10)), end);
        ended?;
        returned += entries?.len();
        let pending = pending(&mut desk.client).await?;
        ensure!(pending == returned, "{pending} are pending, {returned} were returned");
        // What the end was faster than.
        let length = usize::try_from(desk.client.cmd(&["XLEN", STREAM]).await?.int()?)?;
        if returned < length {
            returned += reader.read(&of, 10, Duration::from_secs(1)).await?.len();
        }
        ensure!(returned == length, "{returned} of {length}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_on_a_session_that_ends_ends_too() -> Result<()> {
    let mut desk = desk().await?;
    let session = desk.linked.session().await?;
    let (mut reader, of) = reader(&session).await?;
    let end = async {
        blocked(&mut desk.client).await?;
        session.close("the test says so");
        anyhow::Ok(())
    };
    let begin = Instant::now();
    let (read, ended) = tokio::join!(reader.read(&of, 10, Duration::from_secs(10)), end);
    ended?;
    let error = read.err().context("read")?;
    ensure!(error.class() == Class::Reconnect && begin.elapsed() < Duration::from_secs(2), "{error}");
    drop(reader);
    // The server learns of it, so that it delivers nothing to nobody.
    eventually("no blocked client", PATIENCE, async || {
        let info = desk.client.cmd(&["INFO", "clients"]).await.ok()?;
        info.text().ok()?.contains("blocked_clients:0").then_some(())
    })
    .await?;
    desk.client.cmd(&["XADD", STREAM, "*", "f", "v"]).await?;
    ensure!(pending(&mut desk.client).await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_vanishes_under_a_read() -> Result<()> {
    let mut desk = desk().await?;
    let session = desk.linked.session().await?;
    let (mut reader, of) = reader(&session).await?;
    let end = async {
        blocked(&mut desk.client).await?;
        desk.client.cmd(&["XGROUP", "DESTROY", STREAM, GROUP]).await
    };
    let (read, ended) = tokio::join!(reader.read(&of, 10, Duration::from_secs(5)), end);
    ended?;
    let error = read.err().context("read")?;
    ensure!(error.class() == Class::NoGroup && session.is_open(), "{error}");
    ensure!(group::ensure(&session, &of).await? && !group::ensure(&session, &of).await?);
    ensure!(reader.read(&of, 10, Duration::from_millis(50)).await?.is_empty());
    Ok(())
}

/// Names and values are bytes, in their order, repeated names included; nothing keeps a neighbour away.
#[tokio::test(flavor = "multi_thread")]
async fn odd_entries_come_as_they_are() -> Result<()> {
    let mut desk = desk().await?;
    let session = desk.linked.session().await?;
    let (mut reader, of) = reader(&session).await?;
    let large = vec![b'x'; 2_000_000];
    let odd: Vec<Vec<(&[u8], &[u8])>> = vec![
        vec![(b"workflow_id", b"plain")],
        vec![(b"\xff\xfe", b"\x00\x01\xff")],
        vec![(b"", b"")],
        vec![(b"same", b"1"), (b"same", b"2"), (b"other", b"3"), (b"same", b"4")],
        vec![(b"text", &large)],
        vec![(b"line\r\nbreak", b"$-1\r\n")],
        vec![(b"workflow_id", b"plain again")],
    ];
    for fields in &odd {
        let mut words: Vec<&[u8]> = vec![b"XADD", STREAM.as_bytes(), b"*"];
        words.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        desk.client.cmd(&words).await?;
    }
    let entries = reader.read(&of, 100, Duration::from_secs(1)).await?;
    ensure!(entries.len() == odd.len() && pending(&mut desk.client).await? == odd.len(), "{} entries", entries.len());
    for (entry, fields) in entries.iter().zip(&odd) {
        let same = entry.fields.len() == fields.len()
            && entry.fields.iter().zip(fields).all(|(got, sent)| got.0 == sent.0 && got.1 == sent.1);
        ensure!(same, "{:?} is not {fields:?}", entry.fields);
    }

    // One deleted while it is pending: claiming names it instead of handing out an empty entry.
    let gone = entries.get(1).context("no second entry")?.id;
    session.run(&cmd(&format!("XDEL {STREAM} {gone}"))).await?;
    let other = redis_stream::reader::Group { consumer: "two".into(), ..of };
    let page = group::claim_idle(&session, &other, Duration::ZERO, redis_stream::id::EntryId::ZERO, 100).await?;
    ensure!(page.deleted == [gone] && page.entries.len() == odd.len() - 1, "{:?}", page.deleted);
    Ok(())
}
