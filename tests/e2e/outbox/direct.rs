//! Redis stays away: agents get what was accepted directly, and the runs outlive the hook.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use line_tests::alerts::{Alert, burst};
use line_tests::{AgentKind, eventually};

use super::scene::{PATIENCE, Scene};

async fn goes_directly_and_is_handed_over(kind: AgentKind) -> Result<()> {
    let mut scene = Scene::with(kind, |settings| settings.with("DIRECT_AFTER", "1s")).await?;
    scene.redis.kill9().await?;
    scene.post(&burst(1, 5, "echo")).await?;
    scene.post(&burst(11, 3, "slow 8")).await?;
    scene.ran(8).await?;
    // Killed between the agent's taking it and our noting that, a hook could not know.
    eventually("the hook to note the answers", PATIENCE, async || {
        (scene.hook.program.log().matches("dispatched directly").count() == 8).then_some(())
    })
    .await?;
    // Three runs go on while the hook is killed, and are followed by the next one.
    scene.kill_hook().await?;
    scene.redis.restart().await?;
    let _worker = scene.worker().await?;
    scene.closed().await?;
    let mut books = scene.books().await?;
    let ends = books.column("incident:outcomes", "state").await?;
    ensure!(ends == ["settled"; 8], "{ends:?}");
    books.is_drained().await?;
    scene.once()
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_runs_outlive_the_hook_at_an_agent_of_version_0_3() -> Result<()> {
    goes_directly_and_is_handed_over(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_runs_outlive_the_hook_at_an_agent_of_version_1_0() -> Result<()> {
    goes_directly_and_is_handed_over(AgentKind::V10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_alone_finishes_everything_without_any_redis() -> Result<()> {
    let mut scene = Scene::with(AgentKind::V10, |settings| settings.with("REDIS_URL", "")).await?;
    scene.agent.kill9().await?;
    let mut alerts = burst(1, 4, "echo");
    alerts.push(Alert::firing(9, "fail"));
    scene.post(&alerts).await?;
    scene.kill_hook().await?;
    scene.agent.restart().await?;
    scene.ran(5).await?;
    scene.closed().await?;
    let buried = scene.hook.metric("dispatch_outcomes_total", r#"reason="failed""#).await?;
    ensure!((buried - 1.0).abs() < 0.1, "{buried}");
    // It has ended, and the outbox knows.
    scene.post(&alerts).await?;
    scene.closed().await?;
    scene.once()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_without_an_answer_goes_directly_only_when_there_was_time_for_one() -> Result<()> {
    const UNCERTAIN: f64 = 8.0;
    let scene = Scene::with(AgentKind::V10, |settings| {
        settings.with("DIRECT_AFTER", "1s").with("DIRECT_AFTER_UNCERTAIN", format!("{UNCERTAIN}s"))
    })
    .await?;
    let mut books = scene.books().await?;
    // What is sent meanwhile is carried out when it ends, whoever sent it.
    books.0.cmd(&["CLIENT", "PAUSE", "60000", "WRITE"]).await?;
    let posted = Timestamp::now().as_duration().as_secs_f64();
    scene.post(&burst(1, 1, "echo")).await?;
    scene.ran(1).await?;
    let ran = scene.agent.executions_from_log()?;
    let run = ran.first().context("a run without a line")?;
    ensure!(run.t - posted >= UNCERTAIN, "given to the agent after {} s", run.t - posted);
    // A worker may yet send it, too.
    ensure!(run.metadata.get("duplicate_possible") == Some(&true.into()), "{run:?}");
    let counted = scene.hook.metric("dispatch_duplicate_possible_total", r#"cause="direct""#).await?;
    ensure!((counted - 1.0).abs() < 0.1, "{counted}");
    ensure!(scene.hook.program.log().contains("uncertain=true"), "{}", scene.hook.program.log());
    books.0.cmd(&["CLIENT", "UNPAUSE"]).await?;
    let _worker = scene.worker().await?;
    scene.closed().await?;
    scene.once()
}
