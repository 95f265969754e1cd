use super::*;
use crate::fixture::{Connection, counts, trigger};

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

#[test]
fn activity_is_strict_and_judged_on_the_backlog() {
    let unread_only = counts(0, 3);
    for metric in ["backlog", "pending", "lag"] {
        assert!(unread_only.active(&trigger(&[("metric", metric), ("activationTarget", "2")])), "{metric}");
        assert!(!unread_only.active(&trigger(&[("metric", metric), ("activationTarget", "3")])), "{metric}");
    }
    assert!(counts(0, 0).active(&trigger(&[("metric", "length"), ("activationTarget", "99")])));
    assert!(!counts(0, 500).active(&trigger(&[("metric", "length"), ("activationTarget", "100")])));
    assert!(!counts(0, 0).active(&trigger(&[])));
}

#[test]
fn each_metric_is_its_own_number() {
    let counts = Counts { length: 1, pending: 2, lag: 3, backlog: 4 };
    let metrics = [Metric::Length, Metric::Pending, Metric::Lag, Metric::Backlog];
    assert_eq!(metrics.map(|metric| counts.of(metric)), [1, 2, 3, 4]);
}
