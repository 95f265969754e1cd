use tokio::time::{advance, timeout};

use super::*;
use crate::fixture::{Fake, counts, trigger};
use crate::reading::Trouble;

/// With the clock paused this passes as soon as nothing else can happen.
const LONG: Duration = Duration::from_millis(200);

/// A blind stream has not ended by then.
const NOT_YET: Duration = Duration::from_secs(9);

fn start(fake: &Fake) -> (Push, CancellationToken) {
    let stop = CancellationToken::new();
    (Push::new(fake.view(), trigger(&[]), stop.clone()), stop)
}

async fn told(push: &mut Push) -> Option<bool> {
    timeout(Duration::from_millis(1), push.next()).await.ok().flatten()
}

async fn silent(push: &mut Push) -> bool {
    timeout(LONG, push.next()).await.is_err()
}

/// Lets time pass while the sampler goes on reading the same.
async fn keep(push: &mut Push, fake: &Fake, pending: u64, time: Duration) -> Vec<bool> {
    let (end, mut heard) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        fake.read(counts(pending, 0));
        if let Ok(Some(active)) = timeout(LONG, push.next()).await {
            heard.push(active);
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn the_first_known_state_is_told_at_once() {
    for (pending, active) in [(0, false), (1, true)] {
        let fake = Fake::new();
        let (mut push, _stop) = start(&fake);
        assert!(silent(&mut push).await);
        fake.read(counts(pending, 0));
        assert_eq!(told(&mut push).await, Some(active));
    }
}

#[tokio::test(start_paused = true)]
async fn true_is_repeated_and_false_is_not() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    assert_eq!(keep(&mut push, &fake, 1, Duration::from_secs(25)).await, [true, true, true]);
    assert_eq!(keep(&mut push, &fake, 0, Duration::from_secs(60)).await, [false]);
    assert_eq!(keep(&mut push, &fake, 1, Duration::from_secs(5)).await, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_flickering_state_does_not_flood() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    let (begin, mut trues) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(10) {
        for pending in [1, 0] {
            fake.read(counts(pending, 0));
            if let Ok(Some(true)) = timeout(LONG, push.next()).await {
                trues += 1;
            }
        }
    }
    assert!((2..=10 + AT_ONCE).contains(&trues), "{trues}");
}

#[tokio::test(start_paused = true)]
async fn an_edge_is_told_at_once_after_a_false() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    let begin = Instant::now();
    for _ in 0..AT_ONCE {
        for pending in [1, 0] {
            fake.read(counts(pending, 0));
            assert_eq!(told(&mut push).await, Some(pending == 1));
        }
    }
    fake.read(counts(1, 0));
    assert_eq!(told(&mut push).await, None, "now the gap holds");
    assert_eq!(timeout(LONG * 6, push.next()).await, Ok(Some(true)));
    assert!(begin.elapsed() >= GAP, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_not_told() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    fake.read(counts(1, 0));
    assert_eq!(told(&mut push).await, Some(true));
    fake.fail(Trouble::Configuration("WRONGTYPE".to_owned()));
    assert!(timeout(NOT_YET, push.next()).await.is_err());
    advance(REPEAT).await;
    fake.read(counts(1, 0));
    assert_eq!(told(&mut push).await, Some(true));
    fake.fail(Trouble::Unavailable("away".to_owned()));
    assert!(timeout(NOT_YET, push.next()).await.is_err());
    fake.read(counts(0, 0));
    assert_eq!(told(&mut push).await, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_blind_stream_ends_and_one_that_is_opened_blind_ends_as_late() {
    let fake = Fake::new();
    let (mut first, _stop) = start(&fake);
    fake.read(counts(1, 0));
    assert_eq!(told(&mut first).await, Some(true));
    fake.connection.lose();
    fake.fail(Trouble::Unavailable("away".to_owned()));
    let (mut second, _stop) = start(&fake);
    let begin = Instant::now();
    assert_eq!(tokio::join!(first.next(), second.next()), (None, None));
    assert_eq!(begin.elapsed().as_secs(), BLIND_FOR.as_secs());
    let (mut again, _stop) = start(&fake);
    assert!(timeout(NOT_YET, again.next()).await.is_err(), "whoever comes back does not spin");
}

#[tokio::test(start_paused = true)]
async fn a_stream_stays_where_another_would_be_refused_as_well() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    fake.fail(Trouble::Configuration("NOPERM".to_owned()));
    assert!(timeout(REFUSED_FOR / 2, push.next()).await.is_err());
    fake.read(counts(1, 0));
    assert_eq!(told(&mut push).await, Some(true), "the repair is told at once");
    fake.fail(Trouble::Configuration("NOPERM".to_owned()));
    let begin = Instant::now();
    assert_eq!(push.next().await, None);
    assert_eq!(begin.elapsed().as_secs(), REFUSED_FOR.as_secs());
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_asked_and_when_it_is_old() {
    let fake = Fake::new();
    let (mut push, stop) = start(&fake);
    stop.cancel();
    assert_eq!(timeout(LONG, push.next()).await, Ok(None));

    let (mut push, _stop) = start(&fake);
    let begin = Instant::now();
    let mut reading = tokio::time::interval(Duration::from_secs(1));
    let last = loop {
        tokio::select! {
            told = push.next() => match told {
                Some(active) => assert!(!active),
                None => break begin.elapsed(),
            },
            _ = reading.tick() => fake.read(counts(0, 0)),
        }
    };
    assert_eq!(last.as_secs(), LONGEST.as_secs());
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_sampler() {
    let fake = Fake::new();
    let (mut push, _stop) = start(&fake);
    drop(fake);
    assert_eq!(timeout(LONG, push.next()).await, Ok(None));
}
