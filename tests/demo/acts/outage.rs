//! No Redis at all: the hook gives alerts to the agent itself, and to the workers when Redis is back.

use anyhow::{Context, Result, ensure};
use line_tests::alerts::{Alert, burst};
use line_tests::eventually_ok;

use super::Demo;
use crate::alertmanager::{Answered, notify, repeat};
use crate::ledger::{Phase, caused_by};
use line_tests::screen::heading;

/// Over before Redis is back.
const SHORT: u64 = 6;
/// Still running when Redis is back.
const LONG: u64 = 6;
/// Alerts afterwards.
const AFTER: u64 = 10;

/// What the agent ran without Redis.
struct FirstRun {
    message_id: String,
    task_id: String,
}

pub(super) async fn play(demo: &mut Demo<'_>) -> Result<()> {
    heading("3. Redis is gone, and comes back")?;
    demo.stage.trio.stop_all_redis().await?;
    demo.screen.say("all Redis servers are killed; alerts keep coming")?;
    let runs = without_redis(demo).await?;

    demo.stage.trio.start_all_redis().await?;
    demo.screen.say("the Redis servers are started again")?;
    handed_over(demo, &runs).await?;
    let count = runs.len();
    demo.screen.say(&format!("all {count} runs are handed over and settled, each with the task that it ran as"))?;
    demo.repeat(Phase::Outage).await?;

    let answered = post(demo, Phase::Return, AFTER, "echo").await?;
    let on_stream = answered.counts.stream;
    demo.screen.say(&format!("{AFTER} new alerts: {on_stream} are on the stream again"))?;
    ensure!(on_stream == AFTER, "{answered:?}");
    demo.repeat(Phase::Return).await?;
    demo.stage.all_running()?;
    demo.screen.good("every incident has run, and no program was restarted")
}

async fn post(demo: &mut Demo<'_>, phase: Phase, count: u64, order: &str) -> Result<Answered> {
    let alerts = burst(demo.ledger.next_number(), count, order);
    let answered = notify(&demo.stage.hook.http, &alerts, demo.patience).await;
    demo.ledger.add(phase, alerts, answered.is_ok());
    let answered = answered?;
    demo.ledger.add_direct(phase, answered.counts.direct);
    Ok(answered)
}

/// Alerts while Redis is away; gives what the agent ran.
async fn without_redis(demo: &mut Demo<'_>) -> Result<Vec<FirstRun>> {
    for (count, order) in [(SHORT, "echo"), (LONG, "slow 3")] {
        let Answered { counts, took, .. } = post(demo, Phase::Outage, count, order).await?;
        demo.screen.say(&format!(
            "{count} alerts ({order:?}) are answered 200 after {} ms: direct={}",
            took.as_millis(),
            counts.direct,
        ))?;
        ensure!(counts.direct == count && counts.stream == 0, "they did not all go to the agent directly: {counts:?}");
    }
    demo.all_ran(Phase::Outage).await?;
    let alerts = demo.ledger.alerts(Phase::Outage);
    demo.screen.say(&format!("the agent's log has {} runs that no Redis knows of", alerts.len()))?;
    let counts = repeat(&demo.stage.hook.http, &alerts, demo.patience).await?;
    demo.screen.say(&format!("Alertmanager repeats them: duplicate={} direct={}", counts.duplicate, counts.direct))?;
    ensure!(counts.accepted == 0, "a repetition was taken as new: {counts:?}");
    first_runs(demo, &alerts)
}

/// The message and the task of each incident, from the agent's log.
fn first_runs(demo: &Demo<'_>, alerts: &[Alert]) -> Result<Vec<FirstRun>> {
    let executions = demo.executions()?;
    let run_of = |alert: &Alert| {
        let run = executions.iter().find(|run| caused_by(run, alert))?;
        Some(FirstRun { message_id: run.message_id.clone(), task_id: run.task_id.clone()? })
    };
    alerts.iter().map(run_of).collect::<Option<_>>().context("an incident is not in the log")
}

/// Waits until Redis has a settled record of every direct run, with the task that the agent ran then.
async fn handed_over(demo: &Demo<'_>, runs: &[FirstRun]) -> Result<()> {
    eventually_ok("the direct runs to be handed over and settled", demo.patience, async || {
        let mut books = demo.books().await?;
        for FirstRun { message_id, task_id } in runs {
            let key = format!("incident:dispatch:{message_id}");
            let (state, task) = (books.field(&key, "state").await?, books.field(&key, "task_id").await?);
            ensure!(state == "settled" && task == *task_id, "{message_id}: state {state:?}, task {task:?} ({task_id})");
        }
        Ok(())
    })
    .await
}
