//! The states of a stream.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::answers::{Row, cell};
use crate::client::{Client, Reading};
use crate::desk::{Desk, GROUP, WAYS, Way};

/// `S` is the stream, `G` the group; made by the commands in order.
struct State {
    what: &'static str,
    made_by: &'static [&'static str],
    /// Unread, pending.
    truth: (i64, i64),
}

const FIVE: [&str; 5] = ["XADD S 1-0 f v", "XADD S 2-0 f v", "XADD S 3-0 f v", "XADD S 4-0 f v", "XADD S 5-0 f v"];
const GROUP_AT_0: &str = "XGROUP CREATE S G 0 MKSTREAM";
const READ_1: &str = "XREADGROUP GROUP G c COUNT 1 STREAMS S >";
const READ_ALL: &str = "XREADGROUP GROUP G c STREAMS S >";
const DONE_ALL: &str = "XACK S G 1-0 2-0 3-0 4-0 5-0";

const STATES: &[State] = &[
    State { what: "no stream", made_by: &[], truth: (0, 0) },
    State { what: "5 entries, no group", made_by: &[], truth: (5, 0) },
    State { what: "unread and pending", made_by: &[GROUP_AT_0, READ_1, READ_1], truth: (3, 2) },
    State { what: "only pending", made_by: &[GROUP_AT_0, READ_ALL], truth: (0, 5) },
    State { what: "everything done", made_by: &[GROUP_AT_0, READ_ALL, DONE_ALL], truth: (0, 0) },
    State { what: "nil lag: an unread entry deleted", made_by: &[GROUP_AT_0, "XDEL S 3-0"], truth: (4, 0) },
    State {
        what: "nil lag: the group set to the middle",
        made_by: &[GROUP_AT_0, "XGROUP SETID S G 3-0"],
        truth: (2, 0),
    },
    State {
        what: "phantom lag: trimmed past the group, the rest done",
        made_by: &[GROUP_AT_0, READ_1, "XTRIM S MINID 4-0", READ_ALL, DONE_ALL],
        truth: (0, 0),
    },
    State {
        what: "phantom lag: the next entry deleted, the rest done",
        made_by: &[GROUP_AT_0, READ_1, "XDEL S 2-0", READ_ALL, DONE_ALL],
        truth: (0, 0),
    },
];

/// All of them.
pub(crate) async fn all(desk: &mut Desk) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, state) in STATES.iter().enumerate() {
        let stream = format!("state-{number}");
        let mut redis = desk.redis().await?;
        let entries: &[&str] = if number == 0 { &[] } else { &FIVE };
        for command in entries.iter().chain(state.made_by) {
            let words: Vec<&str> = command
                .split(' ')
                .map(|word| match word {
                    "S" => stream.as_str(),
                    "G" => GROUP,
                    word => word,
                })
                .collect();
            redis.cmd(&words).await.with_context(|| state.what)?;
        }
        desk.make_all(&stream)?;
        let readings = desk.ask_all(&stream, |asked| asked < 1)?;
        rows.push(row(state, &readings)?);
    }
    Ok(rows)
}

fn row(state: &State, readings: &[Vec<Reading>]) -> Result<Row> {
    let newest: Vec<&Reading> = readings.iter().filter_map(|readings| readings.last()).collect();
    ensure!(newest.len() == WAYS.len(), "a column without an answer");
    let (unread, pending) = state.truth;
    let backlog = unread + pending;
    let judged = newest.iter().map(|reading| cell(reading, backlog)).collect();
    let ours = newest.first().context("no answer of ours")?;
    let right = ours.is_known()
        && (ours.value - number(backlog)).abs() < 0.5
        && ours.values == 1
        && (ours.target - 10.0).abs() < 1e-9
        && ours.active == (backlog > 0);
    let what = format!("{} ({unread} unread, {pending} pending)", state.what);
    Ok(Row { what, cells: judged, ours_is_wrong: !right })
}

#[expect(clippy::cast_precision_loss, reason = "a handful of entries")]
fn number(count: i64) -> f64 {
    count as f64
}

/// KEDA's push client: what it is told at once, and how soon it hears of the first entry.
pub(crate) async fn push(desk: &mut Desk) -> Result<String> {
    let mut client: Client = desk.client()?;
    let metadata = [("stream", "push"), ("consumerGroup", GROUP), ("scalerAddress", desk.scaler.grpc.as_str())];
    client.make("push", "external-push", &metadata)?;
    let mut redis = desk.redis().await?;
    let adding = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        redis.cmd(&["XADD", "push", "*", "f", "v"]).await
    });
    let told = tokio::task::block_in_place(|| client.listen("push", 4000))?;
    adding.await??;
    let words: Vec<String> = told.iter().map(|word| format!("{} after {} ms", word.active, word.millis)).collect();
    let first_true = told.iter().find(|word| word.active).context("KEDA was not told of the entry")?;
    ensure!(first_true.millis < 4000 && told.first().is_some_and(|first| !first.active), "{words:?}");
    Ok(format!("an entry is added after 2000 ms; KEDA hears: {}\n", words.join(", ")))
}

/// One trigger, by its way.
pub(crate) fn one(desk: &Desk, way: Way, name: &str, stream: &str) -> Result<Client> {
    let mut client = desk.client()?;
    desk.make(&mut client, way, name, stream)?;
    Ok(client)
}
