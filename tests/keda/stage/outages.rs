//! Redis goes, and comes back; the master changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::answers::{Mood, Row, cell};
use crate::client::Reading;
use crate::desk::{Desk, GROUP, PATIENCE};

/// All of it is unread or pending, whatever happens.
const STREAM: &str = "outage";
const BACKLOG: i64 = 5;
/// How long is asked during a failover.
const DURING: Duration = Duration::from_secs(8);

pub(crate) async fn all(desk: &mut Desk) -> Result<Vec<Row>> {
    let mut redis = desk.redis().await?;
    redis.cmd(&["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
    for _ in 0..BACKLOG {
        redis.cmd(&["XADD", STREAM, "*", "f", "v"]).await?;
    }
    redis.cmd(&["XREADGROUP", "GROUP", GROUP, "c", "COUNT", "2", "STREAMS", STREAM, ">"]).await?;
    redis.cmd(&["WAIT", "2", "3000"]).await?;
    desk.make_all(STREAM)?;
    let mut rows = vec![once(desk, "before (3 unread, 2 pending)")?];
    let old = desk.trio.failover().await?;
    rows.push(during(desk, "planned failover, during")?);
    desk.trio.wait_for_new_master(&old, PATIENCE).await?;
    rows.push(once(desk, "planned failover, after")?);
    desk.trio.wait_for_replicas(2, PATIENCE).await?;
    let old = desk.trio.kill_master().await?;
    rows.push(during(desk, "master killed, during")?);
    desk.trio.wait_for_new_master(&old, PATIENCE).await?;
    rows.push(once(desk, "master killed, after")?);
    desk.trio.stop_all_redis().await?;
    // A number that was just read is still told for a moment.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rows.push(once(desk, "Redis down")?);
    desk.trio.start_all_redis().await?;
    Ok(rows)
}

fn once(desk: &mut Desk, what: &str) -> Result<Row> {
    let readings = desk.ask_all(STREAM, |asked| asked < 1)?;
    let newest: Vec<&Reading> = readings.iter().filter_map(|readings| readings.last()).collect();
    let cells = newest.iter().map(|reading| {
        let (text, mood) = cell(reading, BACKLOG);
        (format!("{text}, {} ms", reading.millis), mood)
    });
    let ours = newest.first().context("no answer of ours")?;
    Ok(Row { what: what.into(), cells: cells.collect(), ours_is_wrong: is_false_zero(ours) })
}

/// Asked one after the other for a while.
fn during(desk: &mut Desk, what: &str) -> Result<Row> {
    let begin = Instant::now();
    let readings = desk.ask_all(STREAM, |_| begin.elapsed() < DURING)?;
    let ours = readings.first().context("no answers of ours")?;
    let ours_is_wrong = ours.iter().any(is_false_zero);
    Ok(Row { what: what.into(), cells: readings.iter().map(|readings| summed_up(readings)).collect(), ours_is_wrong })
}

fn is_false_zero(reading: &Reading) -> bool {
    reading.is_known() && (reading.value < 0.5 || !reading.active)
}

fn summed_up(readings: &[Reading]) -> (String, Mood) {
    let failed = readings.iter().filter(|reading| !reading.is_known()).count();
    let unbuilt = readings.iter().filter(|reading| reading.unbuilt).count();
    let zeros = readings.iter().filter(|reading| is_false_zero(reading)).count();
    let longest = readings.iter().map(|reading| reading.millis).max().unwrap_or_default();
    let mood = match (failed, zeros) {
        (_, 1..) => Mood::Bad,
        (0, 0) => Mood::Good,
        _ => Mood::Odd,
    };
    let text = format!(
        "{} asked, {failed} errors ({unbuilt} not counted), {zeros} false zeros, longest {longest} ms",
        readings.len()
    );
    (text, mood)
}
