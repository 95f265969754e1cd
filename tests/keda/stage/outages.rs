//! Redis goes, and comes back; the master changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::answers::{Mood, Row, cell};
use crate::client::Reading;
use crate::desk::{Desk, GROUP, PATIENCE};

/// All of it is unread or pending, whatever happens.
const STREAM: &str = "outage";
const BACKLOG: i32 = 5;
/// Two calls of KEDA's, each tried twice.
const WITHIN_MS: u64 = 6_000;
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
    let mut rows = vec![once(desk, "before (3 unread, 2 pending)", Due::Backlog)?];
    let old = desk.trio.failover().await?;
    rows.push(during(desk, "planned failover, during")?);
    desk.trio.wait_for_new_master(&old, PATIENCE).await?;
    rows.push(once(desk, "planned failover, after", Due::Backlog)?);
    desk.trio.wait_for_replicas(2, PATIENCE).await?;
    let old = desk.trio.kill_master().await?;
    rows.push(during(desk, "master killed, during")?);
    desk.trio.wait_for_new_master(&old, PATIENCE).await?;
    rows.push(once(desk, "master killed, after", Due::Backlog)?);
    desk.trio.stop_all_redis().await?;
    // A number that was just read is still told for a moment.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rows.push(once(desk, "Redis down", Due::Error)?);
    desk.trio.start_all_redis().await?;
    Ok(rows)
}

/// What this scaler has to tell KEDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Backlog,
    /// One that counts for the fallback.
    Error,
    /// Either, while the master changes.
    BacklogOrError,
}

impl Due {
    fn is_kept(self, reading: &Reading) -> bool {
        let right = (reading.value - f64::from(BACKLOG)).abs() < 0.5 && reading.active;
        let allowed = match self {
            Self::Backlog => reading.is_known(),
            Self::Error => !reading.is_known(),
            Self::BacklogOrError => true,
        };
        allowed && (right || !reading.is_known()) && !reading.unbuilt && reading.millis < WITHIN_MS
    }
}

fn once(desk: &mut Desk, what: &str, due: Due) -> Result<Row> {
    let readings = desk.ask_all(STREAM, |asked| asked < 1)?;
    let newest: Vec<&Reading> = readings.iter().filter_map(|readings| readings.last()).collect();
    let cells = newest.iter().map(|reading| {
        let (text, mood) = cell(reading, BACKLOG.into());
        (format!("{text}, {} ms", reading.millis), mood)
    });
    let ours = newest.first().context("no answer of ours")?;
    Ok(Row { what: what.into(), cells: cells.collect(), ours_is_wrong: !due.is_kept(ours) })
}

/// Asked one after the other for a while.
fn during(desk: &mut Desk, what: &str) -> Result<Row> {
    let begin = Instant::now();
    let readings = desk.ask_all(STREAM, |_| begin.elapsed() < DURING)?;
    let ours = readings.first().context("no answers of ours")?;
    let kept = ours.iter().all(|reading| Due::BacklogOrError.is_kept(reading));
    let ours_is_wrong = !kept || !ours.iter().any(Reading::is_known);
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
