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
    assert_eq!(state.activity(&crate::fixture::trigger(&[]), now), Activity::Unknown);
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
    assert_eq!(state.activity(&crate::fixture::trigger(&[]), now), Activity::Refused);
    state.record(Ok(reading(now, &connection)));
    assert_eq!(state.verdict(now), Verdict::Known(counts(1, 2)));
    assert_eq!(state.trouble(), None);
}

#[test]
fn after_a_failover_no_number_falls_for_a_while() {
    let (now, mut state) = (Instant::now(), State::default());
    let read = |node: &str, at, counts| Reading { at, origin: Connection::to(node), counts };
    state.record(Ok(read("a", now, counts(4, 7))));
    state.record(Ok(read("a", now, counts(4, 6))));
    state.record(Err(away()));
    let (switched, length) = (now + Duration::from_secs(30), 100.0);
    state.record(Ok(read("b", switched, counts(6, 0))));
    state.record(Ok(read("b", switched + HOLD / 2, counts(6, 0))));
    let told = |state: &State, at, metric: &str| match state.verdict(at) {
        Verdict::Known(counts) => {
            let trigger = crate::fixture::trigger(&[("metric", metric), ("activationTarget", "8")]);
            let active = counts.active(&trigger);
            assert_eq!(state.activity(&trigger, at), Activity::Known(active));
            (counts.value(&trigger), active)
        }
        other => panic!("{other:?}"),
    };
    let then = switched + HOLD / 2;
    for (metric, value) in [("backlog", 10.0), ("pending", 6.0), ("lag", 6.0), ("length", length)] {
        assert_eq!(told(&state, then, metric), (value, true), "{metric}");
    }
    state.record(Ok(read("b", switched + HOLD, counts(6, 0))));
    assert_eq!(told(&state, switched + HOLD, "backlog"), (6.0, false));
    state.record(Ok(read("b", switched + HOLD, counts(0, 0))));
    assert_eq!(told(&state, switched + HOLD, "backlog"), (0.0, false));
}

#[test]
fn a_second_failover_does_not_end_the_hold_of_the_first() {
    let (now, mut state) = (Instant::now(), State::default());
    let read = |node: &str, at, counts| Reading { at, origin: Connection::to(node), counts };
    state.record(Ok(read("a", now, counts(4, 6))));
    let second = now + HOLD / 2;
    for (node, at) in [("b", now), ("c", second), ("a", second)] {
        state.record(Ok(read(node, at, counts(0, 0))));
    }
    let told = |state: &State, at| match state.verdict(at) {
        Verdict::Known(counts) => counts.value(&crate::fixture::trigger(&[])),
        other => panic!("{other:?}"),
    };
    assert!((told(&state, second) - 10.0).abs() < f64::EPSILON);
    state.record(Ok(read("a", now + HOLD, counts(0, 0))));
    assert!(told(&state, now + HOLD) < f64::EPSILON);
}

#[test]
fn a_link_that_flaps_keeps_no_more_and_no_more_than_bounded() {
    let (now, mut state) = (Instant::now(), State::default());
    for turn in 0..100 {
        let origin = Connection::to(if turn % 2 == 0 { "a" } else { "b" });
        state.record(Ok(Reading { at: now, origin, counts: counts(turn, 0) }));
    }
    let Verdict::Known(counts) = state.verdict(now) else { panic!("not known") };
    assert_eq!(counts.least.len(), MOST_HELD);
    assert!(counts.least.iter().all(|least| least.least.is_empty() && least.pending > 90));
}
