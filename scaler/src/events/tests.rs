use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn rang(bell: &Notify) -> bool {
    pin!(bell.notified()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn every_bell_of_the_stream_rings_and_no_other() {
    let (events, bells) = (Events::default(), [(); 3].map(|()| Arc::new(Notify::new())));
    let listening: Vec<_> =
        ["a", "a", "b"].iter().zip(&bells).map(|(stream, bell)| events.listen(stream, Arc::clone(bell))).collect();
    assert_eq!(events.streams(), ["a", "b"].map(str::to_owned).into());
    events.ring("a");
    events.ring("a");
    assert_eq!([0, 1, 2].map(|bell: usize| rang(&bells[bell])), [true, true, false]);
    assert!(!rang(&bells[0]), "several entries ring once");
    drop(listening);
    events.ring("b");
    assert!(!rang(&bells[2]) && events.streams().is_empty());
}

#[tokio::test]
async fn a_listener_is_waited_for() {
    let events = Events::default();
    let mut waiting = pin!(events.somebody_listens());
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
    let _listening = events.listen("a", Arc::default());
    timeout(Duration::from_secs(10), waiting).await.unwrap();
}
