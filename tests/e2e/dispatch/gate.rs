//! The gate, which all workers of the group share: how many runs an agent has, and when it is tried.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use line_tests::line::{DEAD, Member};
use line_tests::{Agent, AgentKind, AgentOptions, eventually_ok};
use serde_json::json;

use super::case::SENDS;
use super::desk::{Desk, PATIENCE, record, token_file, waiting};
use super::words::replay;

/// An agent that is known to list, so that nothing of ours is taken for an earlier attempt.
const LOCKED: &str = "token_file = \"{token}\"\nrecovery = \"list\"";

/// Two workers of ten slots each.
async fn desk(sections: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<(Desk, Member)> {
    let agent = Arc::new(Agent::start(AgentKind::V10, AgentOptions::default()).await?);
    let sections = sections.iter().map(|(agent, lines)| ((*agent).to_owned(), (*lines).to_owned())).collect();
    let settings = [&[("DISPATCHER_WORKERS", "10")], settings].concat();
    let desk = Desk::open(&agent, &sections, &settings, async |_| Ok(())).await?;
    let colleague = desk.colleague().await?;
    Ok((desk, colleague))
}

async fn ended(desk: &Desk, id: &str, expected: (&str, &str)) -> Result<()> {
    let (state, reason) = desk.end(id).await?;
    ensure!((&*state, &*reason) == expected, "{id}: {state}, {reason}, rows of one worker: {:?}", desk.rows(id));
    Ok(())
}

/// When a run of `slow SECONDS` began.
fn begins(desk: &Desk) -> Result<Vec<(f64, String)>> {
    Ok(desk.agent.executions_from_log()?.into_iter().map(|execution| (execution.t, execution.message_id)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_never_has_more_runs_than_it_may_have() -> Result<()> {
    const LASTS: f64 = 1.5;
    let (desk, _colleague) = desk(&[("narrow", "max_runs = 2")], &[]).await?;
    let mut books = desk.books().await?;
    let ids: Vec<_> = (0..8).map(|number| format!("narrow-{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        books.order_of("narrow", id, &format!("slow {LASTS} x")).await?;
        // Each is let through, or sent away, before the next one comes.
        eventually_ok(format!("{id} to run or to wait"), PATIENCE, async || {
            let waits = books.column(&waiting("narrow"), "workflow_id").await?;
            ensure!(waits.contains(id) || desk.runs(id)? == 1, "{number}: {waits:?}");
            Ok(())
        })
        .await?;
    }
    // Those of other agents are not held up meanwhile.
    books.order_of("wide", "wide", "echo").await?;
    desk.end("wide").await?;
    ensure!(books.length(&waiting("narrow")).await? >= 1, "the narrow one has work left");
    for id in &ids {
        ensure!(desk.end(id).await?.0 == "settled", "{id}");
    }
    let mut runs: Vec<_> = begins(&desk)?.into_iter().filter(|(_, id)| id.starts_with("narrow")).collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    ensure!(runs.len() == ids.len(), "{runs:?}");
    for (began, id) in &runs {
        let going = runs.iter().filter(|(other, _)| *other <= *began && *began < other + LASTS).count();
        ensure!(going <= 2, "{going} runs when {id} began: {runs:?}");
    }
    // In the order in which it came; two that are brought back together may change places, and one that finds its place
    // taken waits anew, behind the others.
    let mut rest = ids.iter().map(|id| format!("{id}-investigation")).collect::<Vec<_>>();
    let mut late = 0;
    for (_, id) in &runs {
        let place = rest.iter().position(|known| known == id).context("an unknown one")?;
        late += usize::from(place > 1);
        rest.remove(place);
    }
    ensure!(late <= 1, "{late} ran before two that had come earlier: {runs:?}");
    books.is_drained().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_held_back_and_listed() -> Result<()> {
    let (desk, _colleague) = desk(&[("stormy", "max_runs_per_hour = 3")], &[]).await?;
    let mut books = desk.books().await?;
    for number in 0..5 {
        books.order_of("stormy", &format!("stormy-{number}"), "echo").await?;
    }
    eventually_ok("three runs, two waiting", PATIENCE, async || {
        ensure!(books.length(&waiting("stormy")).await? == 2 && begins(&desk)?.len() == 3);
        Ok(())
    })
    .await?;
    books.order_of("wide", "wide", "echo").await?;
    desk.end("wide").await?;
    let mut waits = books.column(&waiting("stormy"), "workflow_id").await?;
    let listed = replay(&desk, &["list", "--state", "waiting", "-o", "json"]).await?;
    ensure!(listed.lines().count() == 2 && waits.iter().all(|id| listed.contains(id.as_str())), "{listed}");
    waits.sort();
    ensure!(waits.len() == 2 && begins(&desk)?.len() == 4, "{waits:?}");
    for id in &waits {
        ensure!(books.field(&record(id), "attempts").await? == "0" && desk.runs(id)? == 0, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_pause_an_agent_until_they_are_right() -> Result<()> {
    let (desk, _colleague) = desk(&[("locked", LOCKED)], &[]).await?;
    let guard = json!([{"mode": "guard", "token": "new", "count": 10_000, "onlyAgent": "locked"}]);
    desk.agent.fault(guard).await?;
    let mut books = desk.books().await?;
    let ids: Vec<_> = (0..15).map(|number| format!("locked-{number}")).collect();
    for id in &ids {
        books.order_of("locked", id, "echo").await?;
    }
    eventually_ok("all to wait", PATIENCE, async || {
        let (waits, pending) = (books.length(&waiting("locked")).await?, books.pending().await?);
        ensure!(waits >= 14 && pending <= 1, "{waits} wait, {pending} are pending");
        Ok(())
    })
    .await?;
    ensure!(books.length(DEAD).await? == 0 && begins(&desk)?.is_empty());
    std::fs::write(token_file(&desk.folder, "locked"), "new")?;
    for id in &ids {
        ended(&desk, id, ("settled", "completed")).await?;
        let (runs, attempts) = (desk.runs(id)?, books.field(&record(id), "attempts").await?);
        ensure!(runs == 1 && attempts == "1", "{id}: {runs} runs, {attempts} attempts");
    }
    books.is_drained().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_agent_is_tried_by_one_at_a_time_and_ever_more_rarely() -> Result<()> {
    let (desk, _colleague) = desk(&[("down", "recovery = \"list\"")], &[]).await?;
    let down = json!([{"mode": "status", "status": 503, "count": 10_000, "onlyAgent": "down", "onlyRpc": SENDS}]);
    desk.agent.fault(down).await?;
    let mut books = desk.books().await?;
    let ids: Vec<_> = (0..10).map(|number| format!("down-{number}")).collect();
    for id in &ids {
        books.order_of("down", id, "echo").await?;
    }
    eventually_ok("the agent to be closed", PATIENCE, async || {
        ensure!(books.0.cmd(&["HEXISTS", "incident:events:agent:kagent:down", "open"]).await?.int()? == 1);
        Ok(())
    })
    .await?;
    // A send that was on its way then may arrive a little later; the first try is due half a second later at least.
    let closed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() + 0.3;
    let tries = eventually_ok("five tries", PATIENCE, async || {
        let requests = desk.agent.requests().await?;
        let sends = requests.iter().filter(|request| request["messageId"].is_string());
        let tries: Vec<_> = sends.filter_map(|send| send["t"].as_f64()).filter(|at| *at > closed).collect();
        ensure!(tries.len() >= 5, "{} tries", tries.len());
        Ok(tries)
    })
    .await?;
    ensure!(books.length(&waiting("down")).await? >= 9, "the others wait");
    let pauses: Vec<_> = tries.iter().zip(tries.iter().skip(1)).map(|(one, next)| next - one).collect();
    // Between a half and the whole of a second, of two, of four, of eight; and a second to notice.
    ensure!(pauses.iter().all(|pause| *pause > 0.45), "one at a time: {pauses:?}");
    ensure!(pauses.last() > pauses.first(), "ever more rarely: {pauses:?}");
    ensure!(books.length(DEAD).await? == 0 && begins(&desk)?.is_empty());
    desk.agent.clear_faults().await?;
    for id in &ids {
        ensure!(desk.end(id).await?.0 == "settled" && desk.runs(id)? == 1, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_tried_is_given_up_too() -> Result<()> {
    let (desk, _colleague) = desk(&[("gone", LOCKED)], &[("GIVE_UP_AFTER", "3s")]).await?;
    desk.agent.fault(json!([{"mode": "guard", "token": "never", "count": 10_000, "onlyAgent": "gone"}])).await?;
    let mut books = desk.books().await?;
    let ids: Vec<_> = (0..12).map(|number| format!("gone-{number}")).collect();
    let began = std::time::Instant::now();
    for id in &ids {
        books.order_of("gone", id, "echo").await?;
    }
    for id in &ids {
        ended(&desk, id, ("dead", "expired")).await?;
        let (runs, attempts) = (desk.runs(id)?, books.field(&record(id), "attempts").await?);
        ensure!(runs == 0 && attempts == "0", "{id}: {runs} runs, {attempts} attempts");
    }
    ensure!(began.elapsed() >= Duration::from_secs(3), "too soon: {:?}", began.elapsed());
    let errors = books.column(DEAD, "error").await?;
    ensure!(errors.len() == 12 && errors.iter().all(|error| error.contains("401")), "the trouble's words: {errors:?}");
    Ok(())
}
