use super::*;

const NAME: &str = "s0-m";

fn limits(min: u32, max: u32) -> Limits {
    let (cooldown, stabilization) = (Duration::from_secs(10), Duration::ZERO);
    Limits { min, max, idle: None, cooldown, stabilization, fallback: None }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn read(value: f64, active: bool) -> Vec<Seen> {
    metric(10.0, Some(Read { total: Some(value), active }))
}

fn metric(target: f64, read: Option<Read>) -> Vec<Seen> {
    vec![Seen::Metrics(vec![Metric { name: NAME.into(), target, read }])]
}

fn failed() -> Vec<Seen> {
    metric(10.0, None)
}

fn workload(version: Version, limits: Limits, replicas: u32) -> Workload {
    let mut workload = Workload::new(version, limits, replicas);
    workload.reconcile(&read(0.0, false));
    assert!(workload.is_autoscaled());
    workload
}

#[test]
fn activity_takes_it_from_zero_and_the_autoscaler_further() {
    let mut work = workload(Version::V2_20, limits(0, 4), 0);
    work.sync(seconds(0), &read(111.0, true));
    assert_eq!(work.replicas(), 0, "an autoscaler does nothing at zero");
    work.poll(seconds(1), &read(111.0, true));
    assert_eq!(work.replicas(), 1);
    work.sync(seconds(2), &read(31.0, true));
    assert_eq!(work.replicas(), 4);
    work.sync(seconds(3), &read(1000.0, true));
    assert_eq!(work.replicas(), 4);
}

#[test]
fn it_rests_a_cooldown_after_it_was_last_active() {
    let mut work = workload(Version::V2_20, limits(0, 4), 0);
    work.poll(seconds(1), &read(5.0, true));
    work.poll(seconds(10), &read(0.0, false));
    assert_eq!(work.replicas(), 1);
    work.poll(seconds(11), &read(0.0, false));
    assert_eq!(work.replicas(), 0);
}

#[test]
fn a_pushed_true_prolongs_the_cooldown() {
    let mut work = workload(Version::V2_20, limits(0, 4), 0);
    work.pushed(seconds(1), true);
    work.pushed(seconds(8), true);
    work.poll(seconds(17), &read(0.0, false));
    assert_eq!(work.replicas(), 1);
    work.poll(seconds(18), &read(0.0, false));
    assert_eq!(work.replicas(), 0);
}

#[test]
fn a_minimum_is_kept_and_an_idle_count_goes_below_it() {
    let mut work = workload(Version::V2_20, limits(1, 4), 0);
    work.poll(seconds(1), &read(0.0, false));
    assert_eq!(work.replicas(), 1);
    let mut idle = workload(Version::V2_20, Limits { idle: Some(0), ..limits(2, 4) }, 2);
    idle.poll(seconds(1), &read(0.0, false));
    assert_eq!(idle.replicas(), 0);
    idle.poll(seconds(2), &read(1.0, true));
    assert_eq!(idle.replicas(), 2);
}

#[test]
fn close_to_the_target_nothing_happens() {
    let mut work = workload(Version::V2_20, limits(1, 10), 2);
    work.sync(seconds(1), &read(21.9, true));
    assert_eq!(work.replicas(), 2);
    work.sync(seconds(2), &read(22.1, true));
    assert_eq!(work.replicas(), 3);
}

#[test]
fn less_is_wanted_for_the_whole_window_before_it_is_done() {
    let mut work = workload(Version::V2_20, Limits { stabilization: seconds(15), ..limits(1, 4) }, 1);
    work.sync(seconds(1), &read(40.0, true));
    work.sync(seconds(10), &read(1.0, true));
    assert_eq!(work.replicas(), 4);
    work.sync(seconds(17), &read(1.0, true));
    assert_eq!(work.replicas(), 1);
}

#[test]
fn an_error_holds_what_is_there() {
    let mut work = workload(Version::V2_20, limits(0, 4), 3);
    for now in 1..100 {
        work.poll(seconds(now), &failed());
        work.sync(seconds(now), &failed());
    }
    assert_eq!((work.replicas(), work.failures(NAME)), (3, 0));
}

#[test]
fn a_fallback_counts_failed_metrics_and_never_failed_specs() {
    let fallback = Fallback { threshold: 4, replicas: 2, behavior: Behavior::CurrentIfHigher };
    let with = Limits { fallback: Some(fallback), ..limits(0, 10) };
    let mut work = workload(Version::V2_20, with.clone(), 0);
    for now in 1..100 {
        work.poll(seconds(now), &[Seen::Failed]);
    }
    assert_eq!((work.replicas(), work.failures(NAME)), (0, 0));
    for now in 100..104 {
        work.poll(seconds(now), &failed());
    }
    assert_eq!(work.replicas(), 0);
    work.poll(seconds(104), &failed());
    assert_eq!(work.replicas(), 1, "from 2.19 the fallback is activity");
    work.sync(seconds(105), &failed());
    assert_eq!(work.replicas(), 2);
    let mut old = workload(Version::V2_18, with.clone(), 0);
    (0..10).for_each(|now| old.poll(seconds(now), &failed()));
    assert_eq!(old.replicas(), 0);
    let mut busy = workload(Version::V2_20, with, 7);
    (0..10).for_each(|now| busy.sync(seconds(now), &failed()));
    assert_eq!(busy.replicas(), 7);
}

#[test]
fn one_good_reading_ends_the_count() {
    let fallback = Fallback { threshold: 1, replicas: 9, behavior: Behavior::Static };
    let mut work = workload(Version::V2_20, Limits { fallback: Some(fallback), ..limits(1, 10) }, 1);
    work.poll(seconds(1), &failed());
    assert_eq!(work.failures(NAME), 1);
    work.sync(seconds(2), &read(10.0, true));
    work.sync(seconds(3), &failed());
    assert_eq!((work.failures(NAME), work.replicas()), (1, 1));
    work.sync(seconds(4), &failed());
    assert_eq!(work.replicas(), 9);
}

#[test]
fn a_fallback_of_zero_lets_a_failing_trigger_rest() {
    let fallback = Fallback { threshold: 3, replicas: 0, behavior: Behavior::Static };
    let mut work = workload(Version::V2_18, Limits { fallback: Some(fallback), ..limits(0, 4) }, 2);
    work.poll(seconds(1), &failed());
    assert_eq!(work.replicas(), 0);
}

#[test]
fn no_value_is_no_failure_and_no_number() {
    let fallback = Fallback { threshold: 0, replicas: 9, behavior: Behavior::Static };
    let mut work = workload(Version::V2_20, Limits { fallback: Some(fallback), ..limits(1, 10) }, 3);
    work.sync(seconds(1), &metric(10.0, Some(Read { total: None, active: true })));
    assert_eq!((work.replicas(), work.failures(NAME)), (3, 0));
}

#[test]
fn false_matters_before_2_18_only() {
    for (version, left) in [(Version::V2_16, 0), (Version::V2_18, 3), (Version::V2_20, 3), (Version::V2_21, 3)] {
        let mut work = workload(version, limits(0, 4), 3);
        work.poll(seconds(1), &read(30.0, true));
        work.pushed(seconds(2), false);
        assert_eq!(work.replicas(), left, "{version}");
    }
}

#[test]
fn true_is_dropped_until_the_name_is_known() {
    let mut work = Workload::new(Version::V2_20, limits(0, 4), 0);
    work.pushed(seconds(1), true);
    assert_eq!(work.replicas(), 0);
    work.reconcile(&read(0.0, false));
    work.pushed(seconds(2), true);
    assert_eq!(work.replicas(), 1);
    let mut old = Workload::new(Version::V2_18, limits(0, 4), 0);
    old.pushed(seconds(1), true);
    assert_eq!(old.replicas(), 1);
}

#[test]
fn a_bad_spec_is_no_autoscaler() {
    let two = |name: &str| {
        let one = |name: &str| Metric { name: name.into(), target: 1.0, read: None };
        vec![Seen::Metrics(vec![one(NAME), one(name)])]
    };
    for bad in [metric(0.0, None), metric(-1.0, None), two(NAME), two("a/b"), two("a%b"), vec![Seen::Empty]] {
        let mut work = Workload::new(Version::V2_20, limits(0, 4), 0);
        work.reconcile(&bad);
        assert!(!work.is_autoscaled(), "{bad:?}");
        work.reconcile(&read(0.0, false));
        assert!(work.is_autoscaled(), "it is tried again after {bad:?}");
    }
    let mut old = Workload::new(Version::V2_18, limits(0, 4), 1);
    old.reconcile(&[Seen::Empty]);
    old.reconcile(&read(0.0, false));
    assert!(!old.is_autoscaled(), "before 2.20 it is never repaired");
}

#[test]
fn one_blind_metric_only_forbids_less() {
    let both = |value: f64| {
        let mut seen = read(value, true);
        let (name, target) = ("s1-n".to_owned(), 10.0);
        seen.push(Seen::Metrics(vec![Metric { name, target, read: None }]));
        seen
    };
    let mut work = Workload::new(Version::V2_20, limits(1, 9), 3);
    work.reconcile(&both(0.0));
    work.sync(seconds(1), &both(10.0));
    assert_eq!(work.replicas(), 3);
    work.sync(seconds(2), &both(60.0));
    assert_eq!(work.replicas(), 6);
}
