use std::time::Duration;

use tokio::time::advance;

use super::Readiness;

const AGE: Duration = Duration::from_secs(2);

#[test]
fn nothing_watched_is_ready() {
    assert_eq!(Readiness::new().verdict(), Ok(()));
}

#[test]
fn a_latch_must_be_set_and_can_be_taken_back() {
    let readiness = Readiness::new();
    let latch = readiness.latch("outbox");
    assert_eq!(readiness.verdict(), Err(vec!["outbox: not set yet".to_owned()]));
    latch.set(true, "");
    assert_eq!(readiness.verdict(), Ok(()));
    latch.set(false, "the disk is full");
    drop(latch);
    assert_eq!(readiness.verdict(), Err(vec!["outbox: the disk is full".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_loop_must_tick_and_go_on_ticking() {
    let readiness = Readiness::new();
    let heartbeat = readiness.heartbeat("reader", AGE);
    assert_eq!(readiness.verdict(), Err(vec!["reader: has not started yet".to_owned()]));
    heartbeat.tick();
    advance(AGE).await;
    assert_eq!(readiness.verdict(), Ok(()));
    advance(Duration::from_secs(1)).await;
    assert_eq!(readiness.verdict(), Err(vec!["reader: silent for 3 s, expected every 2s".to_owned()]));
    heartbeat.tick();
    assert_eq!(readiness.verdict(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn only_an_absurdly_old_heartbeat_is_death() {
    let readiness = Readiness::new();
    let quick = readiness.heartbeat("quick", AGE);
    let slow = readiness.heartbeat("slow", Duration::from_secs(60));
    quick.tick();
    advance(Duration::from_secs(60)).await;
    assert_eq!(readiness.alive(), Ok(()));
    advance(Duration::from_secs(1)).await;
    let dead = readiness.alive().expect_err("quick is silent for a minute");
    assert_eq!(dead, vec!["quick: silent for 61 s, expected every 2s"]);
    quick.tick();
    advance(Duration::from_secs(59)).await;
    assert_eq!(readiness.alive(), Ok(()), "ten minutes for the slow one");
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_heartbeat_is_forgotten() {
    let readiness = Readiness::new();
    let heartbeat = readiness.heartbeat("sampler", AGE);
    let clone = heartbeat.clone();
    drop(heartbeat);
    assert!(readiness.verdict().is_err());
    drop(clone);
    assert_eq!(readiness.verdict(), Ok(()));
}
