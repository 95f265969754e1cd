use super::*;
use crate::fixture::{counts, trigger};

const MINUTE: u64 = 60_000;

fn held(age_ms: u64, idle_ms: u64, deliveries: u64) -> Held {
    Held { age_ms, idle_ms, deliveries }
}

/// Seven pending: live, orphaned, poison, delivered often but in somebody's hands, and three that were not looked at.
fn mixed() -> Counts {
    let held = [
        held(90 * MINUTE, 30 * MINUTE, 12),
        held(60 * MINUTE, 30 * MINUTE, 1),
        held(50 * MINUTE, 10 * MINUTE - 1, 1),
        held(40 * MINUTE, 0, 50),
    ];
    Counts { held: Arc::new(held), next_age_ms: Some(5 * MINUTE), ..counts(7, 2) }
}

#[test]
fn activity_is_strict_and_judged_on_the_backlog() {
    let unread_only = counts(0, 3);
    for metric in ["backlog", "pending", "lag", "age"] {
        assert!(unread_only.active(&trigger(&[("metric", metric), ("activationTarget", "2")])), "{metric}");
        assert!(!unread_only.active(&trigger(&[("metric", metric), ("activationTarget", "3")])), "{metric}");
    }
    assert!(counts(0, 0).active(&trigger(&[("metric", "length"), ("activationTarget", "99")])));
    assert!(!counts(0, 500).active(&trigger(&[("metric", "length"), ("activationTarget", "100")])));
    assert!(!counts(0, 0).active(&trigger(&[])));
}

#[test]
fn each_metric_is_its_own_number() {
    let counts = Counts { length: 1, pending: 2, lag: 3, backlog: 4, next_age_ms: Some(5_250), ..Counts::default() };
    for (metric, expected) in [("length", 1.0), ("pending", 2.0), ("lag", 3.0), ("backlog", 4.0), ("age", 5.25)] {
        let found = counts.value(&trigger(&[("metric", metric)]));
        assert!((found - expected).abs() < f64::EPSILON, "{metric}: {found}");
    }
}

#[test]
fn all_pending_entries_count_unless_a_trigger_says_otherwise() {
    let sorted = mixed().sorted(None);
    assert_eq!(sorted, Sorted { live: 7, orphaned: 0, poison: 0, oldest_ms: Some(90 * MINUTE) });
    assert_eq!(mixed().backlog_of(&trigger(&[])), 9);
}

#[test]
fn what_is_left_behind_is_told_apart_and_live_work_always_counts() {
    let orphans = trigger(&[("pendingOrphanedAfter", "10m")]);
    let sorted = mixed().sorted(orphans.orphans);
    assert_eq!(sorted, Sorted { live: 5, orphaned: 2, poison: 0, oldest_ms: Some(50 * MINUTE) });
    assert_eq!(mixed().backlog_of(&orphans), 7);
    let poison = trigger(&[("pendingOrphanedAfter", "10m"), ("pendingPoisonAfter", "10"), ("metric", "pending")]);
    let sorted = mixed().sorted(poison.orphans);
    assert_eq!((sorted.live, sorted.orphaned, sorted.poison), (5, 1, 1));
    assert!((mixed().value(&poison) - 5.0).abs() < f64::EPSILON);
}

#[test]
fn an_orphan_keeps_one_worker_and_poison_none() {
    let both = [("pendingOrphanedAfter", "10m"), ("pendingPoisonAfter", "10")];
    let left = |deliveries| {
        let rows: Vec<_> = (0..3).map(|_| held(90 * MINUTE, 30 * MINUTE, deliveries)).collect();
        Counts { held: rows.into(), ..counts(3, 0) }
    };
    assert_eq!(left(1).backlog_of(&trigger(&both)), 1);
    assert!(left(1).active(&trigger(&both)) && !left(1).active(&trigger(&[("activationTarget", "3")])));
    assert_eq!(left(10).backlog_of(&trigger(&both)), 0);
    assert_eq!(left(10).backlog_of(&trigger(&both[..1])), 1);
    assert_eq!(Counts { waiting: true, ..left(10) }.backlog_of(&trigger(&both)), 1);
    let aged = trigger(&[both[0], ("metric", "age")]);
    assert!(left(1).value(&aged).abs() < f64::EPSILON, "more workers are of no use to what one has to claim");
}

#[test]
fn the_oldest_may_be_pending_or_unread_or_out_of_sight() {
    let age = trigger(&[("metric", "age"), ("pendingOrphanedAfter", "10m")]);
    let seconds = |counts: &Counts| counts.value(&age);
    assert!((seconds(&mixed()) - 3000.0).abs() < f64::EPSILON);
    let set_back = Counts { next_age_ms: Some(55 * MINUTE), ..mixed() };
    assert!((seconds(&set_back) - 3300.0).abs() < f64::EPSILON);
    let out_of_sight = Counts { held: Arc::new([held(90_000, 30 * MINUTE, 1)]), ..counts(2, 0) };
    assert!((seconds(&out_of_sight) - 90.0).abs() < f64::EPSILON);
    assert!(seconds(&Counts { waiting: true, backlog: 1, ..counts(0, 0) }).abs() < f64::EPSILON);
}

#[test]
fn an_id_that_is_no_time_has_no_age() {
    let now = 1_800_000_000_000;
    let at = |ms| age_ms(EntryId { ms, seq: 1 }, now);
    assert_eq!(at(1_799_999_999_000), 1_000);
    assert_eq!(at(1_800_000_000_500), 0, "ids can run ahead of the clock");
    assert_eq!([at(1), at(u64::MAX), at(1_900_000_000_000)], [0; 3]);
}

#[test]
fn ages_make_no_difference_and_idle_times_do_now_and_then() {
    let with =
        |idle_ms, next_age_ms| Counts { held: Arc::new([held(90_000, idle_ms, 1)]), next_age_ms, ..counts(1, 1) };
    assert!(with(100, Some(1)).is_like(&with(4_999, Some(9))));
    assert!(!with(4_999, None).is_like(&with(5_000, None)));
    assert!(!counts(1, 1).is_like(&counts(2, 0)));
    let held_up = Counts { least: Arc::new([Arc::new(counts(1, 1))]), ..counts(1, 1) };
    assert!(!counts(1, 1).is_like(&held_up));
}

#[test]
fn no_jobs_are_started_for_what_was_there_before_a_failover() {
    let counts = Counts { least: Arc::new([Arc::new(counts(0, 10))]), ..counts(0, 0) };
    for (metadata, value) in [(&[][..], 10.0), (&[("jobScalingStrategy", "accurate")], 0.0)] {
        let trigger = trigger(metadata);
        assert!((counts.value(&trigger) - value).abs() < f64::EPSILON, "{metadata:?}");
        assert!(counts.active(&trigger), "{metadata:?}");
    }
}
