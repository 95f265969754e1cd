use super::*;
use crate::fixture::{Connection, counts};

fn reading(at: Instant, connection: &Arc<Connection>) -> Reading {
    Reading { at, origin: Arc::clone(connection) as Arc<dyn Origin>, counts: counts(1, 2) }
}

fn away() -> Trouble {
    Trouble::Unavailable("away".to_owned())
}

fn refused() -> Trouble {
    Trouble::Configuration("NOPERM".to_owned())
}

#[test]
fn a_reading_is_good_for_a_while() {
    let (now, connection, mut state) = (Instant::now(), Arc::default(), State::default());
    assert_eq!(state.verdict(now), Verdict::Unknown);
    state.record(Ok(reading(now, &connection)));
    assert_eq!(state.verdict(now + FRESH_FOR), Verdict::Known(counts(1, 2)));
    assert_eq!(state.verdict(now + FRESH_FOR + Duration::from_millis(1)), Verdict::Unknown);
}

#[test]
fn a_lost_connection_takes_its_reading_with_it() {
    let (now, connection, mut state) = (Instant::now(), Arc::default(), State::default());
    state.record(Ok(reading(now, &connection)));
    connection.lose();
    assert_eq!(state.verdict(now), Verdict::Unknown);
    state.record(Err(away()));
    assert_eq!(state.verdict(now), Verdict::Failed(away()));
}

#[test]
fn a_passing_failure_hides_behind_a_fresh_reading_and_a_refusal_does_not() {
    let (now, connection, mut state) = (Instant::now(), Arc::default(), State::default());
    state.record(Ok(reading(now, &connection)));
    state.record(Err(away()));
    assert_eq!(state.verdict(now), Verdict::Known(counts(1, 2)));
    assert_eq!(state.verdict(now + FRESH_FOR * 2), Verdict::Failed(away()));
    state.record(Err(refused()));
    assert_eq!(state.verdict(now), Verdict::Failed(refused()));
    state.record(Ok(reading(now, &connection)));
    assert_eq!(state.verdict(now), Verdict::Known(counts(1, 2)));
    assert_eq!(state.trouble(), None);
}
