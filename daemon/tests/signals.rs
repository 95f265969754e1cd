//! SIGTERM and SIGINT as a process gets them. They are process-global, so this binary has one test.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use daemon::{Lifecycle, Verdict};
use rustix::process::{Signal, getpid, kill_process};

const LONG: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_first_signal_is_soft_and_the_second_is_hard() {
    let life = Lifecycle::new(LONG);
    let (soft, hard) = (life.soft().clone(), life.hard().clone());
    life.spawn("stubborn", async move {
        soft.cancelled().await;
        kill_process(getpid(), Signal::INT).expect("a process may signal itself");
        hard.cancelled().await;
    });
    let mut running = pin!(life.run_until_stopped());
    // The first poll installs the handlers; before it a signal would end this process.
    let waits = poll_fn(|context| Poll::Ready(running.as_mut().poll(context).is_pending())).await;
    assert!(waits, "nothing has asked it to stop yet");
    kill_process(getpid(), Signal::TERM).expect("a process may signal itself");
    let verdict = tokio::time::timeout(PATIENCE, running).await.expect("two signals end the process");
    assert_eq!(verdict, Verdict::Clean);
}
