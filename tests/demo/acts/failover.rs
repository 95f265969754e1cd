//! The master changes while alerts keep coming.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use line_tests::line::STREAM;
use line_tests::{Execution, Prober, eventually_ok};

use super::Demo;
use crate::ledger::{Phase, caused_by};
use crate::load::{Load, Posted};
use line_tests::screen::heading;

/// Runs before the failover, so that it falls into the middle.
const BEFORE: usize = 40;
/// How long alerts keep coming on the new master, seconds.
const AFTER: f64 = 1.5;
/// The promise: from the new master's first write to the first dispatch of an incident that came in after it.
const WITHIN: Duration = Duration::from_secs(1);

pub(super) async fn play(demo: &mut Demo<'_>) -> Result<()> {
    heading("2. The master fails over in the middle of a burst")?;
    let ran_before = demo.executions()?.len();
    let prober = Prober::start(&demo.stage.trio);
    let load = Load::start(&demo.stage.hook.http, demo.ledger.next_number(), demo.patience);
    demo.screen.say("alerts come one by one, 40 each second")?;
    until(demo, "the burst to run", |executions| executions.len() > ran_before + BEFORE).await?;

    let since = Instant::now();
    let old = demo.stage.trio.failover().await?;
    demo.screen.say(&format!("SENTINEL FAILOVER: the master {old} is to step down; alerts keep coming"))?;
    let turn = prober.first_write_off(&old, since, demo.patience).await?;
    let after = turn.at.duration_since(since).as_millis();
    demo.screen.say(&format!("the new master {} takes its first write, {after} ms after the command", turn.address))?;
    let whole = unix(turn.at) + AFTER;
    until(demo, "incidents on the new master", |executions| executions.iter().any(|run| run.t > whole)).await?;
    let posted = load.stop().await?;
    let on_stream = demo.books().await?.column(STREAM, "workflow_id").await?.into_iter().collect();
    let gap = first_new_dispatch(&posted, &demo.executions()?, &on_stream, turn.at);
    note(demo, posted)?;

    let gap = gap?;
    demo.gap = Some(gap);
    demo.screen.say(&format!("a new incident was dispatched {} ms after that write", gap.as_millis()))?;
    ensure!(gap < WITHIN, "it took {} ms until a new incident was dispatched", gap.as_millis());
    demo.repeat(Phase::Failover).await?;
    demo.stage.all_running()?;
    demo.screen.good("every incident has run, and no program was restarted")?;
    // Sentinel watches a former master for eight seconds before it makes it a replica.
    demo.screen.say("waiting until Sentinel has made the old master a replica (that takes it some eight seconds)")?;
    demo.stage.trio.wait_for_replicas(2, demo.patience).await?;
    demo.screen.say("both replicas follow the new master")
}

async fn until(demo: &Demo<'_>, what: &str, enough: impl Fn(&[Execution]) -> bool) -> Result<()> {
    eventually_ok(what, demo.patience, async || {
        let executions = demo.executions()?;
        ensure!(enough(&executions), "the agent has run {} incidents", executions.len());
        Ok(())
    })
    .await
}

/// Into the ledger; an alert that the hook did not take is an error.
fn note(demo: &mut Demo<'_>, posted: Vec<Posted>) -> Result<()> {
    let (mut direct, mut slowest, mut refused) = (0, Duration::ZERO, None);
    let all = posted.len();
    for (alert, answered) in posted {
        demo.ledger.add(Phase::Failover, [alert], answered.is_ok());
        match answered {
            Ok(answered) => {
                direct += answered.counts.direct;
                slowest = slowest.max(answered.took);
            }
            Err(error) => refused = Some(error),
        }
    }
    demo.ledger.add_direct(Phase::Failover, direct);
    if let Some(error) = refused {
        return Err(error);
    }
    demo.screen.say(&format!(
        "all {all} alerts are answered 200, the slowest after {} ms; {direct} went to the agent directly",
        slowest.as_millis(),
    ))
}

/// From `turn` to the first run of an incident that came in after it and is on the new master's stream.
fn first_new_dispatch(
    posted: &[Posted],
    executions: &[Execution],
    on_stream: &BTreeSet<String>,
    turn: Instant,
) -> Result<Duration> {
    let new = posted.iter().filter(|(_, answered)| answered.as_ref().is_ok_and(|answered| answered.at >= turn));
    let runs = new.filter_map(|(alert, _)| executions.iter().find(|execution| caused_by(execution, alert)));
    let runs = runs.filter(|execution| {
        execution.message_id.strip_suffix("-investigation").is_some_and(|incident| on_stream.contains(incident))
    });
    let first = runs.map(|execution| execution.t).reduce(f64::min);
    let gap = first.context("nothing ran that came in after the failover")? - unix(turn);
    Ok(Duration::from_secs_f64(gap.max(0.0)))
}

/// Unix seconds of an instant.
fn unix(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    now - at.elapsed().as_secs_f64()
}
