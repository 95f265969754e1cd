//! `trim`: whatever happened to the stream, nothing goes that a group has yet to read or to acknowledge.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::Client;
use line_tests::line::STREAM;
use redis_stream::id::EntryId;
use stream_dispatcher::keeper::trim;

use super::desk::Desk;

const KEEP: Duration = Duration::from_secs(60);
const GROUPS: [&str; 3] = ["one", "two", "three"];

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << shift } else { self.0 >> shift };
        }
        self.0 % limit
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let number = usize::try_from(self.below(words.len() as u64)).unwrap_or(0);
        words.get(number).copied().unwrap_or_default()
    }
}

/// A desk whose stream gives up every entry by itself.
async fn desk() -> Result<(Desk, Client)> {
    let desk = Desk::open().await?;
    let mut client = desk.client().await?;
    client.cmd(&["CONFIG", "SET", "stream-node-max-entries", "1"]).await?;
    client.cmd(&["DEL", STREAM]).await?;
    Ok((desk, client))
}

async fn trimmed(desk: &Desk, most: u32) -> Result<(u64, String)> {
    Ok(trim::trimmed(&desk.session.invoke(&trim::trim(&desk.a, KEEP, most)).await?)?)
}

async fn ids(client: &mut Client) -> Result<BTreeSet<EntryId>> {
    let entries = client.cmd(&["XRANGE", STREAM, "-", "+"]).await?;
    entries.items()?.iter().map(|entry| Ok(entry.items()?.first().context("no id")?.text()?.parse()?)).collect()
}

async fn pending(client: &mut Client, group: &str) -> Result<Vec<EntryId>> {
    let rows = client.cmd(&["XPENDING", STREAM, group, "-", "+", "10000"]).await?;
    rows.items()?.iter().map(|row| Ok(row.items()?.first().context("no id")?.text()?.parse()?)).collect()
}

/// What no trim may take: the younger ones, and what is unread or pending in any group.
async fn needed(client: &mut Client, now_ms: u64) -> Result<BTreeSet<EntryId>> {
    let all = ids(client).await?;
    let keep = u64::try_from(KEEP.as_millis())?;
    let mut needed: BTreeSet<_> = all.iter().filter(|id| id.ms + keep > now_ms).copied().collect();
    let groups = client.raw(&["XINFO", "GROUPS", STREAM]).await?;
    let Ok(groups) = groups.items() else { return Ok(needed) };
    if groups.is_empty() {
        return Ok(all);
    }
    for group in groups {
        let fields = group.fields()?;
        let text = |name: &str| fields.get(name).context("no such field")?.text();
        let last: EntryId = text("last-delivered-id")?.parse()?;
        needed.extend(all.iter().filter(|id| **id > last));
        let pending = pending(client, text("name")?).await?;
        needed.extend(pending.into_iter().filter(|id| all.contains(id)));
    }
    Ok(needed)
}

/// One thing that can happen to a stream.
async fn happens(client: &mut Client, dice: &mut Dice, next: &mut EntryId) -> Result<()> {
    let (group, consumer) = (dice.of(&GROUPS), dice.of(&["a", "b"]));
    let some: Vec<_> = ids(client).await?.into_iter().collect();
    let any = some.get(usize::try_from(dice.below(some.len().max(1) as u64))?).map(ToString::to_string);
    let count = (1 + dice.below(8)).to_string();
    match dice.below(12) {
        0..4 => {
            next.ms += dice.below(2) * dice.below(1_500);
            next.seq += 1;
            client.raw(&["XADD", STREAM, &next.to_string(), "workflow_id", "x"]).await?;
        }
        4..7 => {
            client.raw(&["XREADGROUP", "GROUP", group, consumer, "COUNT", &count, "STREAMS", STREAM, ">"]).await?;
        }
        7..9 => {
            for id in pending(client, group).await.unwrap_or_default() {
                if dice.below(3) > 0 {
                    client.raw(&["XACK", STREAM, group, &id.to_string()]).await?;
                }
            }
        }
        9 => drop(client.raw(&["XGROUP", "CREATE", STREAM, group, dice.of(&["0", "$"])]).await?),
        10 => {
            let to = any.as_deref().unwrap_or("0");
            client.raw(&["XGROUP", "SETID", STREAM, group, to]).await?;
        }
        _ => match (dice.below(4), any) {
            (0, _) => drop(client.raw(&["XGROUP", "DESTROY", STREAM, group]).await?),
            (_, Some(id)) => drop(client.raw(&["XDEL", STREAM, &id]).await?),
            _ => {}
        },
    }
    Ok(())
}

#[tokio::test]
async fn nothing_unread_or_pending_ever_goes() -> Result<()> {
    let (desk, mut client) = desk().await?;
    let (mut removed, mut trims) = (0, 0);
    for seed in 1..=60 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        client.cmd(&["DEL", STREAM]).await?;
        // The entries are from a minute and a half ago to now: the age decides only in the end.
        let mut next = EntryId { ms: u64::try_from(desk.session.redis_now_ms())? - 90_000, seq: 0 };
        for _ in 0..80 {
            happens(&mut client, &mut dice, &mut next).await.with_context(|| format!("seed {seed}"))?;
            if dice.below(4) == 0 {
                let (before, now) = (ids(&mut client).await?, u64::try_from(desk.session.redis_now_ms())? + 50);
                let needed = needed(&mut client, now).await?;
                let most = 1 + u32::try_from(dice.below(20))?;
                let (count, _) = trimmed(&desk, most).await?;
                let after = ids(&mut client).await?;
                let lost: Vec<_> = needed.difference(&after).collect();
                ensure!(lost.is_empty(), "seed {seed}: {lost:?} of {needed:?}");
                ensure!(usize::try_from(count)? == before.len() - after.len() && count <= u64::from(most));
                removed += count;
                trims += 1;
            }
        }
    }
    ensure!(removed > 200, "the histories prove something: {removed} removed by {trims} trims");
    Ok(())
}

/// Old entries, numbered from 1.
async fn old_entries(client: &mut Client, numbers: std::ops::RangeInclusive<u32>) -> Result<()> {
    for number in numbers {
        client.cmd(&["XADD", STREAM, &format!("{number}-0"), "workflow_id", "x"]).await?;
    }
    Ok(())
}

async fn read_all(client: &mut Client, group: &str) -> Result<()> {
    client.cmd(&["XREADGROUP", "GROUP", group, "a", "COUNT", "1000", "STREAMS", STREAM, ">"]).await.map(drop)
}

#[tokio::test]
async fn what_every_group_has_finished_goes_as_far_as_the_slowest() -> Result<()> {
    let (desk, mut client) = desk().await?;
    ensure!(trimmed(&desk, 100).await? == (0, String::new()), "there is no stream");
    old_entries(&mut client, 1..=20).await?;
    ensure!(trimmed(&desk, 100).await? == (0, String::new()), "nobody has read it");
    for group in ["fast", "slow"] {
        client.cmd(&["XGROUP", "CREATE", STREAM, group, "0"]).await?;
    }
    read_all(&mut client, "fast").await?;
    ensure!(trimmed(&desk, 100).await? == (0, "slow".into()), "unread by one");
    read_all(&mut client, "slow").await?;
    for id in (1..=20).map(|number| format!("{number}-0")) {
        client.cmd(&["XACK", STREAM, "fast", &id]).await?;
        if id != "8-0" {
            client.cmd(&["XACK", STREAM, "slow", &id]).await?;
        }
    }
    ensure!(trimmed(&desk, 3).await? == (3, "slow".into()), "three at once");
    ensure!(trimmed(&desk, 100).await? == (4, "slow".into()), "up to the one that is pending");
    client.cmd(&["XACK", STREAM, "slow", "8-0"]).await?;
    let (removed, _) = trimmed(&desk, 100).await?;
    ensure!(removed == 12 && ids(&mut client).await?.len() == 1, "the last delivered one stays: {removed}");
    let lag = client.cmd(&["XINFO", "GROUPS", STREAM]).await?;
    ensure!(lag.items()?.iter().all(|group| group.fields().is_ok_and(|f| f["lag"].int().is_ok_and(|lag| lag == 0))));
    Ok(())
}

#[tokio::test]
async fn young_entries_and_other_types_are_left_alone() -> Result<()> {
    let (desk, mut client) = desk().await?;
    client.cmd(&["XGROUP", "CREATE", STREAM, "one", "0", "MKSTREAM"]).await?;
    client.cmd(&["XADD", STREAM, "*", "workflow_id", "x"]).await?;
    client.cmd(&["XADD", STREAM, "*", "workflow_id", "y"]).await?;
    client.cmd(&["XREADGROUP", "GROUP", "one", "a", "NOACK", "STREAMS", STREAM, ">"]).await?;
    ensure!(trimmed(&desk, 100).await? == (0, String::new()));
    ensure!(ids(&mut client).await?.len() == 2);
    client.cmd(&["DEL", STREAM]).await?;
    client.cmd(&["SET", STREAM, "no stream"]).await?;
    let refused = desk.session.invoke(&trim::trim(&desk.a, KEEP, 100)).await;
    ensure!(refused.err().and_then(|error| error.code().map(str::to_owned)).as_deref() == Some("WRONGTYPE"));
    Ok(())
}
