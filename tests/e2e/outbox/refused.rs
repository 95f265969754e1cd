//! Redis answers and takes nothing.

use std::time::Instant;

use anyhow::{Result, ensure};
use line_tests::AgentKind;
use line_tests::alerts::burst;

use super::scene::Scene;

/// Incidents that wait, each of which calls for another try of all.
const WAITING: u64 = 60;
/// Tries in a second: one in 100 ms by the loop of what waits, one by that of what was offered before.
const TRIES_A_SECOND: f64 = 11.0;

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_refuses_is_said_once_and_tried_at_a_bounded_rate() -> Result<()> {
    let scene = Scene::with(AgentKind::V10, |settings| settings.with("DIRECT_AFTER", "1h")).await?;
    let mut books = scene.books().await?;
    books.0.cmd(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    let begin = Instant::now();
    for alert in burst(1, WAITING, "echo") {
        scene.post(&[alert]).await?;
    }
    let errors = scene.hook.metric("redis_errors_total", "").await?;
    let tries = begin.elapsed().as_secs_f64() * TRIES_A_SECOND + 2.0;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let most = tries * WAITING as f64;
    ensure!(errors >= 1.0 && errors <= most, "{errors} refusals, at most {most} are right");
    let log = scene.hook.program.log();
    ensure!(log.matches("not published").count() == 1 && log.contains("OOM"), "{log}");
    books.0.cmd(&["CONFIG", "SET", "maxmemory", "0"]).await?;
    let _worker = scene.worker().await?;
    scene.ran(usize::try_from(WAITING)?).await?;
    scene.closed().await
}
