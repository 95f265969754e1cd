use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Lifecycle, Verdict};
use crate::testing::within_patience;

const GRACE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_request_stops_all_tasks_cleanly() {
    let life = Lifecycle::new(GRACE);
    for name in ["one", "two"] {
        let soft = life.soft().clone();
        life.spawn(name, async move { soft.cancelled().await });
    }
    life.request_stop();
    life.request_stop();
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Clean);
}

#[tokio::test(start_paused = true)]
async fn the_hard_stop_comes_one_grace_after_the_soft_one() {
    let life = Lifecycle::new(GRACE);
    let (soft, hard) = (life.soft().clone(), life.hard().clone());
    let (report, told) = oneshot::channel();
    life.spawn("slow", async move {
        soft.cancelled().await;
        let asked = Instant::now();
        hard.cancelled().await;
        report.send(asked.elapsed()).ok();
    });
    life.request_stop();
    assert_eq!(life.run_until_stopped().await, Verdict::Clean);
    let waited = told.await.unwrap_or_default();
    assert!(waited >= GRACE && waited < GRACE + Duration::from_millis(100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn work_in_flight_is_finished_before_the_process_ends() {
    let life = Lifecycle::new(GRACE);
    let (report, mut told) = oneshot::channel();
    life.spawn_short("dispatch", async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        report.send(()).ok();
    });
    life.request_stop();
    assert_eq!(life.run_until_stopped().await, Verdict::Clean);
    assert_eq!(told.try_recv(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_second_interrupt_does_not_wait_for_the_grace() {
    let life = Lifecycle::new(GRACE);
    let hard = life.hard().clone();
    life.spawn("stubborn", async move { hard.cancelled().await });
    life.interrupt();
    assert!(life.soft().is_cancelled() && !life.hard().is_cancelled());
    life.interrupt();
    let asked = Instant::now();
    assert_eq!(life.run_until_stopped().await, Verdict::Clean);
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_the_hard_stop_is_dropped_and_fails_the_process() {
    let life = Lifecycle::new(GRACE);
    let (held, released) = oneshot::channel::<()>();
    life.spawn("deaf", async move {
        let _held = held;
        pending::<()>().await;
    });
    life.request_stop();
    let asked = Instant::now();
    assert_eq!(life.run_until_stopped().await, Verdict::Failed);
    assert!(asked.elapsed() < GRACE + Duration::from_millis(1900));
    assert!(released.await.is_err(), "what it held is free");
}

#[tokio::test]
async fn a_task_that_ends_by_itself_fails_the_process() {
    let life = Lifecycle::new(GRACE);
    life.spawn("short", async {});
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Failed);
}

#[tokio::test]
async fn a_task_that_fails_or_panics_fails_the_process() {
    let life = Lifecycle::new(GRACE);
    life.spawn_fallible("failing", async { Err(io::Error::other("the disk is gone")) });
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Failed);

    let life = Lifecycle::new(GRACE);
    life.spawn("panicking", async { assert!(pending_sum() > 2, "on purpose") });
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Failed);
}

#[tokio::test]
async fn an_error_while_stopping_still_fails_the_process() {
    let life = Lifecycle::new(GRACE);
    let soft = life.soft().clone();
    life.spawn_fallible("outbox", async move {
        soft.cancelled().await;
        Err(io::Error::other("the last write failed"))
    });
    life.request_stop();
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Failed);
}

#[tokio::test]
async fn a_panic_in_short_work_is_its_own_affair() {
    let life = Lifecycle::new(GRACE);
    let (report, told) = oneshot::channel::<()>();
    life.spawn_short("request", async move {
        let _gone_after_the_panic = report;
        assert!(pending_sum() > 2, "on purpose");
    });
    assert!(within_patience(told).await.is_err());
    assert!(!life.soft().is_cancelled());
    life.request_stop();
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Clean);
}

#[tokio::test]
async fn a_companion_outlives_the_tasks_and_then_ends() {
    let life = Lifecycle::new(GRACE);
    let (soft, finished) = (life.soft().clone(), life.finished().clone());
    let (release, released) = oneshot::channel::<()>();
    life.spawn("draining", async move {
        soft.cancelled().await;
        released.await.ok();
    });
    let soft = life.soft().clone();
    life.spawn_companion("admin", async move {
        soft.cancelled().await;
        let early = finished.is_cancelled();
        release.send(()).ok();
        finished.cancelled().await;
        if early { Err("the companion was told to end before the tasks") } else { Ok(()) }
    });
    life.request_stop();
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Clean);
}

#[tokio::test]
async fn a_companion_that_ends_early_fails_the_process() {
    let life = Lifecycle::new(GRACE);
    life.spawn_companion("admin", async { Ok::<(), String>(()) });
    assert_eq!(within_patience(life.run_until_stopped()).await, Verdict::Failed);
}

/// A number the compiler does not see through, so that an assertion on it is a panic at run time.
fn pending_sum() -> usize {
    std::hint::black_box(1) + std::hint::black_box(1)
}
