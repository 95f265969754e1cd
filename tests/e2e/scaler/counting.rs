//! The numbers, in every state that a stream can be in.

use anyhow::{Result, ensure};
use line_tests::eventually_ok;

use super::{ANSWER_WITHIN, Desk, PATIENCE, figure, object, timed, value};

/// `S` stands for the stream, `G` for the group; a state is made by the commands in order.
struct State {
    what: &'static str,
    made_by: &'static [&'static str],
    length: i64,
    pending: i64,
    lag: i64,
    backlog: i64,
}

const fn state(
    what: &'static str,
    made_by: &'static [&'static str],
    [length, pending, lag, backlog]: [i64; 4],
) -> State {
    State { what, made_by, length, pending, lag, backlog }
}

const FIVE: &str = "EVAL for\u{a0}i=1,5\u{a0}do\u{a0}redis.call('XADD',KEYS[1],i..'-0','f','v')\u{a0}end 1 S";
const GROUP: &str = "XGROUP CREATE S G 0 MKSTREAM";
const READ_1: &str = "XREADGROUP GROUP G c COUNT 1 STREAMS S >";
const READ_ALL: &str = "XREADGROUP GROUP G c STREAMS S >";
const DONE_ALL: &str = "XACK S G 1-0 2-0 3-0 4-0 5-0";

const STATES: &[State] = &[
    state("no stream", &[], [0, 0, 0, 0]),
    state("an empty stream with a group", &[GROUP], [0, 0, 0, 0]),
    state("no group: everything is unread", &[FIVE], [5, 0, 5, 5]),
    state("only another group", &[FIVE, "XGROUP CREATE S other $"], [5, 0, 5, 5]),
    state("unread only", &[FIVE, GROUP], [5, 0, 5, 5]),
    state("pending only", &[FIVE, GROUP, READ_ALL], [5, 5, 0, 5]),
    state("both", &[FIVE, GROUP, READ_1, READ_1], [5, 2, 3, 5]),
    state("everything acknowledged", &[FIVE, GROUP, READ_ALL, DONE_ALL], [5, 0, 0, 0]),
    state("a group that starts at the end", &[FIVE, "XGROUP CREATE S G $"], [5, 0, 0, 0]),
    state("a group set back", &[FIVE, GROUP, READ_ALL, DONE_ALL, "XGROUP SETID S G 0"], [5, 0, 5, 5]),
    state("a group set to the middle", &[FIVE, GROUP, "XGROUP SETID S G 3-0"], [5, 0, 2, 2]),
    state("an unread entry deleted", &[FIVE, GROUP, READ_1, "XDEL S 3-0"], [4, 1, 3, 4]),
    state("all unread entries deleted", &[FIVE, GROUP, READ_1, "XDEL S 2-0 3-0 4-0 5-0"], [1, 1, 0, 1]),
    state("a pending entry deleted: its id is still pending", &[FIVE, GROUP, READ_1, "XDEL S 1-0"], [4, 1, 4, 5]),
    state("the next entry deleted, then one read", &[FIVE, GROUP, READ_1, "XDEL S 2-0", READ_1], [4, 2, 2, 4]),
    state(
        "the next entry deleted, the rest done",
        &[FIVE, GROUP, READ_1, "XDEL S 2-0", READ_ALL, DONE_ALL],
        [4, 0, 0, 0],
    ),
    state("trimmed past the group, then one read", &[FIVE, GROUP, READ_1, "XTRIM S MINID 4-0", READ_1], [2, 2, 1, 3]),
    state(
        "trimmed past the group, the rest done",
        &[FIVE, GROUP, READ_1, "XTRIM S MINID 4-0", READ_ALL, DONE_ALL],
        [2, 0, 0, 0],
    ),
    state(
        "the last delivered entry deleted while more are unread",
        &[FIVE, GROUP, READ_1, READ_1, "XDEL S 2-0"],
        [4, 2, 3, 5],
    ),
    state("a group that begins in the middle", &[FIVE, "XGROUP CREATE S G 3-0"], [5, 0, 2, 2]),
    state(
        "the same, and Redis was told how much is read",
        &[FIVE, "XGROUP CREATE S G 3-0 ENTRIESREAD 3"],
        [5, 0, 2, 2],
    ),
    state("the same, and told too much", &[FIVE, "XGROUP CREATE S G 3-0 ENTRIESREAD 5"], [5, 0, 2, 2]),
    state("the same, and told far too much", &[FIVE, "XGROUP CREATE S G 3-0 ENTRIESREAD 95"], [5, 0, 2, 2]),
    state("the same, and told too little", &[FIVE, "XGROUP CREATE S G 3-0 ENTRIESREAD 0"], [5, 0, 2, 2]),
    state(
        "set back, with a lag of zero",
        &[FIVE, GROUP, READ_ALL, DONE_ALL, "XGROUP SETID S G 2-0 ENTRIESREAD 5"],
        [5, 0, 3, 3],
    ),
    state("set ahead of the stream", &[FIVE, "XGROUP CREATE S G 9-0"], [5, 0, 0, 0]),
    state(
        "set ahead, and overtaken",
        &[FIVE, "XGROUP CREATE S G 7-0", "XADD S 6-0 f v", "XADD S 7-0 f v", "XADD S 8-0 f v"],
        [8, 0, 1, 1],
    ),
    state("the stream is gone with its group", &[FIVE, GROUP, READ_1, "DEL S"], [0, 0, 0, 0]),
    state("the group is gone", &[FIVE, GROUP, READ_ALL, DONE_ALL, "XGROUP DESTROY S G"], [5, 0, 5, 5]),
    state("emptied by trimming", &[FIVE, GROUP, READ_1, "XTRIM S MAXLEN 0", DONE_ALL], [0, 0, 0, 0]),
    state(
        "an entry waits for its agent",
        &[
            FIVE,
            GROUP,
            READ_ALL,
            DONE_ALL,
            "SADD S:waiting S:waiting:n:a",
            "XADD S:waiting:n:a * f v",
            "XADD S:waiting:n:a * f v",
        ],
        [5, 0, 0, 1],
    ),
    state(
        "nothing waits any more",
        &["SADD S:waiting S:waiting:n:a", "XGROUP CREATE S:waiting:n:a G 0 MKSTREAM"],
        [0, 0, 0, 0],
    ),
    state(
        "waiting entries do not add up",
        &[FIVE, "SADD S:waiting S:waiting:n:a", "XADD S:waiting:n:a * f v"],
        [5, 0, 5, 5],
    ),
];

/// Metadata, the metric's name, its target, its value.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, f64, i64);

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_right_in_every_state() -> Result<()> {
    let mut desk = Desk::open().await?;
    for (number, state) in STATES.iter().enumerate() {
        let stream = format!("stream-{number}");
        for command in state.made_by {
            let words: Vec<String> = command
                .split(' ')
                .map(|word| match word {
                    "G" => "workers".to_owned(),
                    word => match word.strip_prefix('S').filter(|rest| rest.is_empty() || rest.starts_with(':')) {
                        Some(rest) => format!("{stream}{rest}"),
                        None => word.replace('\u{a0}', " "),
                    },
                })
                .collect();
            desk.client.cmd(&words).await?;
        }
        let State { length, pending, lag, backlog, .. } = *state;
        for (metric, expected) in [("length", length), ("pending", pending), ("lag", lag), ("backlog", backlog)] {
            let asked = object(&[("stream", &stream), ("consumerGroup", "workers"), ("metric", metric)]);
            let found = value(&desk.keda, &asked).await?;
            ensure!(found == expected, "{}: {metric} is {found} instead of {expected}", state.what);
            let active = desk.keda.is_active(&asked).await?;
            let judged = if metric == "length" { length } else { backlog };
            ensure!(active == (judged > 0), "{}: active by {metric} is {active}", state.what);
        }
    }
    Ok(())
}

/// Redis 7.0 does not know the lag after some deletions; then the table above would prove nothing about recounting.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_the_lag_away_from_redis_not_from_the_scaler() -> Result<()> {
    let mut desk = Desk::open().await?;
    for command in ["XADD s 1-0 f v", "XADD s 2-0 f v", "XADD s 3-0 f v", "XGROUP CREATE s g 0", "XDEL s 2-0"] {
        desk.redis(command).await?;
    }
    let groups = desk.client.cmd(&["XINFO", "GROUPS", "s"]).await?;
    let lag = groups.items()?.first().map(line_tests::Reply::fields).transpose()?.and_then(|mut row| row.remove("lag"));
    let known = lag.is_some_and(|lag| !lag.is_nil());
    let found = value(&desk.keda, &object(&[("stream", "s"), ("consumerGroup", "g"), ("metric", "lag")])).await?;
    ensure!(found == 2, "{found}; Redis {}", if known { "knows" } else { "does not know" });
    let version = desk.client.cmd(&["INFO", "server"]).await?.text()?.contains("redis_version:7.0.");
    ensure!(!version || !known, "Redis 7.0 is expected not to know this lag");
    Ok(())
}

/// The count is cut off where it would take too long: at least so many is an answer, no answer is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_whose_lag_redis_does_not_know_is_answered_in_time() -> Result<()> {
    let mut desk = Desk::open().await?;
    let fill =
        "local text = string.rep('x', 4096) for i = 1, 20000 do redis.call('XADD', 's', i .. '-0', 'f', text) end";
    desk.at_length(&["EVAL", fill, "0"]).await?;
    desk.redis("XGROUP CREATE s dispatch-group 5-0").await?;
    desk.redis("XDEL s 10000-0").await?;
    let (found, took) = timed(value(&desk.keda, &object(&[("stream", "s")]))).await;
    ensure!(found.is_ok_and(|found| (50..=19_994).contains(&found)) && took < ANSWER_WITHIN, "{found:?} {took:?}");
    figure(&format!("20000 entries of 4 KiB without a lag: {found:?} after {took:?}"));
    Ok(())
}

/// Redis counts every deleted entry as unread, for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_phantom_of_a_hundred_thousand_is_not_believed() -> Result<()> {
    let mut desk = Desk::open().await?;
    let fill = "for i = 1, 100040 do redis.call('XADD', 's', i .. '-0', 'f', 'v') end";
    desk.at_length(&["EVAL", fill, "0"]).await?;
    desk.redis("XGROUP CREATE s dispatch-group 0").await?;
    desk.redis("XREADGROUP GROUP dispatch-group c COUNT 20 STREAMS s >").await?;
    let delete = "for i = 21, 100020 do redis.call('XDEL', 's', i .. '-0') end";
    desk.at_length(&["EVAL", delete, "0"]).await?;
    let lag = object(&[("stream", "s"), ("metric", "lag")]);
    ensure!(value(&desk.keda, &lag).await? == 20, "after deletions");
    desk.redis("XREADGROUP GROUP dispatch-group c COUNT 5 STREAMS s >").await?;
    eventually_ok("what was read to be subtracted", PATIENCE, async || {
        let found = value(&desk.keda, &lag).await?;
        ensure!(found == 15, "{found}");
        Ok(())
    })
    .await?;
    desk.redis("XREADGROUP GROUP dispatch-group c STREAMS s >").await?;
    eventually_ok("zero", PATIENCE, async || {
        let found = value(&desk.keda, &lag).await?;
        ensure!(found == 0, "{found}");
        Ok(())
    })
    .await
}

/// What has not changed is not read again.
#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_stream_is_counted_once() -> Result<()> {
    let mut desk = Desk::open().await?;
    let fill = "for i = 1, 6000 do redis.call('XADD', 's', i .. '-0', 'f', 'v') end";
    desk.at_length(&["EVAL", fill, "0"]).await?;
    desk.redis("XGROUP CREATE s dispatch-group 1000-0").await?;
    let lag = object(&[("stream", "s"), ("metric", "lag")]);
    // A busy machine may need more than one reading for it.
    eventually_ok("the whole count", PATIENCE, async || {
        let found = value(&desk.keda, &lag).await?;
        ensure!(found == 5000, "{found}");
        Ok(())
    })
    .await?;
    let calls = async |client: &mut line_tests::Client, command: &str| -> Result<i64> {
        let stats = client.cmd(&["INFO", "commandstats"]).await?;
        let begin = format!("cmdstat_{command}:calls=");
        let line = stats.text()?.lines().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned);
        Ok(line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0))
    };
    let (readings, pages) = (calls(&mut desk.client, "xinfo|groups").await?, calls(&mut desk.client, "xrange").await?);
    eventually_ok("more readings", PATIENCE, async || {
        let now = calls(&mut desk.client, "xinfo|groups").await?;
        ensure!(now >= readings + 5, "{now}");
        Ok(())
    })
    .await?;
    let now = calls(&mut desk.client, "xrange").await?;
    ensure!(pages > 0 && now == pages, "{pages} pages were read, then {now}");
    let carried = desk.scaler.metric("scaler_lag_method_total", "by=\"carried\",certainty=\"exact\"").await?;
    ensure!(carried > 3.5, "{carried}");
    let shown = desk.scaler.metric("scaler_entries", "kind=\"lag\"").await?;
    ensure!((shown - 5000.0).abs() < 0.1, "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_line_is_inactive_and_more_than_the_activation_wakes_it() -> Result<()> {
    let mut desk = Desk::open().await?;
    for _ in 0..3 {
        desk.redis("XADD incident:events * workflow_id w").await?;
    }
    let cases: [(&[(&str, &str)], bool); 7] = [
        (&[], true),
        (&[("activationTarget", "2")], true),
        (&[("activationTarget", "2.9")], true),
        (&[("activationTarget", "3")], false),
        (&[("activationLagCount", "3")], false),
        (&[("activationLagCount", "2"), ("lagCount", "100"), ("pendingEntriesCount", "1")], true),
        (&[("metric", "pending"), ("activationTarget", "2")], true),
    ];
    for (metadata, expected) in cases {
        let active = desk.keda.is_active(&object(metadata)).await?;
        ensure!(active == expected, "{metadata:?}: {active}");
    }
    ensure!(!desk.keda.is_active(&object(&[("databaseIndex", "5")])).await?, "another database is another stream");
    Ok(())
}

/// The keys of KEDA's own trigger mean what they mean there.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_kedas_own_trigger_is_understood() -> Result<()> {
    let mut desk = Desk::open().await?;
    for command in ["XADD s 1-0 f v", "XADD s 2-0 f v", "XADD s 3-0 f v", "XGROUP CREATE s g 0", "XACK s g 1-0"] {
        desk.redis(command).await?;
    }
    desk.redis("XREADGROUP GROUP g c COUNT 2 STREAMS s >").await?;
    desk.redis("XACK s g 1-0").await?;
    desk.redis("XADD s 4-0 f v").await?;
    let cases: [Case<'_>; 9] = [
        (&[("consumerGroup", "g")], "s-g-backlog", 10.0, 3),
        (&[("consumerGroup", "g"), ("target", "2.5")], "s-g-backlog", 2.5, 3),
        (&[("consumerGroup", "g"), ("pendingEntriesCount", "7")], "s-g-pending", 7.0, 1),
        (&[("consumerGroup", "g"), ("lagCount", "8")], "s-g-lag", 8.0, 2),
        (&[("streamLength", "9")], "s-dispatch-group-length", 9.0, 4),
        (&[("consumerGroup", "g"), ("lagCount", "8"), ("pendingEntriesCount", "7")], "s-g-lag", 8.0, 2),
        (&[("consumerGroup", "g"), ("streamLength", "9"), ("pendingEntriesCount", "7")], "s-g-pending", 7.0, 1),
        (&[("consumerGroup", "g"), ("metric", "backlog"), ("lagCount", "8")], "s-g-backlog", 8.0, 3),
        (&[("consumerGroup", "g"), ("jobScalingStrategy", "accurate")], "s-g-lag", 10.0, 2),
    ];
    for (metadata, name, target, expected) in cases {
        let mut metadata = metadata.to_vec();
        // What KEDA sends along of its own.
        metadata.extend([("stream", "s"), ("scalerAddress", "stream-scaler.line:6000"), ("enableTLS", "false")]);
        let asked = object(&metadata);
        let specs = desk.keda.metric_specs(&asked).await?;
        let [spec] = specs.as_slice() else { anyhow::bail!("{metadata:?}: {specs:?}") };
        ensure!(spec.metric_name == name, "{metadata:?}: {spec:?}");
        ensure!((spec.target_size_float - target).abs() < 1e-9 && spec.target_size > 0, "{metadata:?}: {spec:?}");
        let found = value(&desk.keda, &asked).await?;
        ensure!(found == expected, "{metadata:?}: {found}");
    }
    Ok(())
}
