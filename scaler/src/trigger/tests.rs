use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn own() -> Own {
    Own {
        stream: "incident:events".to_owned(),
        group: "dispatch-group".to_owned(),
        locator: Locator::Sentinel { sentinels: vec![at("s1:26379"), at("s2:26379")], master: "mymaster".to_owned() },
        db: 4,
        allowed: BTreeSet::from([at("other:26379")]),
    }
}

fn at(address: &str) -> HostPort {
    address.parse().unwrap()
}

fn parse(metadata: &[(&str, &str)]) -> Result<Trigger, BadMetadata> {
    parse_with(metadata, &own())
}

fn parse_with(metadata: &[(&str, &str)], own: &Own) -> Result<Trigger, BadMetadata> {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Trigger::parse(&metadata, own)
}

fn good(metadata: &[(&str, &str)]) -> Trigger {
    parse(metadata).unwrap()
}

fn bad_keys(metadata: &[(&str, &str)]) -> Vec<String> {
    parse(metadata).unwrap_err().problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn no_metadata_means_the_scalers_own_settings() {
    let trigger = good(&[]);
    let source = Source { redis: Redis::Own, db: 4, stream: "incident:events".into(), group: "dispatch-group".into() };
    let (metric, target, activation, orphans, starts_jobs) = (Metric::Backlog, 10.0, 0.0, None, false);
    assert_eq!(trigger, Trigger { source, metric, target, activation, orphans, starts_jobs });
    assert!(good(&[("jobScalingStrategy", "default")]).starts_jobs);
    assert_eq!(trigger.metric_name(), "incident-events-dispatch-group-backlog");
}

#[test]
fn everything_given() {
    let trigger = good(&[
        ("stream", "a/b.c:d%(e)"),
        ("consumerGroup", "g"),
        ("databaseIndex", "0"),
        ("metric", "Lag"),
        ("target", "2.5"),
        ("activationTarget", "3"),
    ]);
    assert_eq!((trigger.source.db, trigger.metric, trigger.target, trigger.activation), (0, Metric::Lag, 2.5, 3.0));
    assert_eq!(trigger.metric_name(), "a-b-c-d--e--g-lag");
}

#[test]
fn kedas_keys_select_their_meaning() {
    type Case<'a> = (&'a [(&'a str, &'a str)], Metric, f64);
    let cases: &[Case<'_>] = &[
        (&[("pendingEntriesCount", "5")], Metric::Pending, 5.0),
        (&[("lagCount", "12")], Metric::Lag, 12.0),
        (&[("streamLength", "7")], Metric::Length, 7.0),
        (&[("streamLength", "7"), ("consumerGroup", "g")], Metric::Length, 7.0),
        (&[("streamLength", "7"), ("lagCount", "12"), ("pendingEntriesCount", "5")], Metric::Length, 7.0),
        (&[("lagCount", "12"), ("pendingEntriesCount", "5")], Metric::Lag, 12.0),
        (&[("consumerGroup", "g"), ("streamLength", "7"), ("pendingEntriesCount", "5")], Metric::Pending, 5.0),
        (&[("consumerGroup", "g"), ("streamLength", "7"), ("lagCount", "12")], Metric::Lag, 12.0),
        (&[("consumerGroup", "g"), ("lagCount", "0"), ("pendingEntriesCount", "5")], Metric::Pending, 5.0),
        (&[("lagCount", "0")], Metric::Backlog, 10.0),
        (&[("metric", "backlog"), ("lagCount", "12")], Metric::Backlog, 12.0),
        (&[("metric", "pending"), ("lagCount", "12"), ("pendingEntriesCount", "5")], Metric::Pending, 5.0),
        (&[("metric", "age"), ("target", "90")], Metric::Age, 90.0),
        (&[("metric", "age"), ("lagCount", "12"), ("pendingEntriesCount", "5")], Metric::Age, 10.0),
        (&[("lagCount", "12"), ("target", "3")], Metric::Lag, 3.0),
        (&[("lagCountFromEnv", "12")], Metric::Lag, 12.0),
    ];
    for (metadata, metric, target) in cases {
        let trigger = good(metadata);
        assert_eq!((trigger.metric, trigger.target), (*metric, *target), "{metadata:?}");
    }
}

#[test]
fn activation_has_kedas_name_too() {
    assert!((good(&[("activationLagCount", "4")]).activation - 4.0).abs() < f64::EPSILON);
    let both = good(&[("activationLagCount", "4"), ("activationTarget", "6")]);
    assert!((both.activation - 6.0).abs() < f64::EPSILON);
}

#[test]
fn jobs_that_subtract_nothing_count_lag_only() {
    for strategy in ["accurate", "eager"] {
        let trigger = good(&[("jobScalingStrategy", strategy), ("pendingEntriesCount", "5")]);
        assert_eq!((trigger.metric, trigger.target), (Metric::Lag, 5.0));
        for metric in ["length", "pending", "age"] {
            assert_eq!(bad_keys(&[("jobScalingStrategy", strategy), ("metric", metric)]), ["metric"]);
        }
    }
    assert_eq!(good(&[("jobScalingStrategy", "default")]).metric, Metric::Backlog);
}

#[test]
fn every_mistake_is_named_and_no_value_repeated() {
    let metadata = [
        ("databaseIndex", "four"),
        ("metric", "speed"),
        ("target", "0"),
        ("activationTarget", "-1"),
        ("lagCount", "NaN"),
        ("pendingEntriesCount", "inf"),
        ("streamLengthFromEnv", "s3cret"),
        ("jobScalingStrategy", "fast"),
        ("pendingOrphanedAfter", "59s"),
        ("pendingPoisonAfter", "1"),
        ("addresses", "s1"),
    ];
    let error = parse(&metadata).unwrap_err();
    let mut expected: Vec<_> = metadata.iter().map(|(key, _)| (*key).to_owned()).collect();
    expected.sort();
    let named: Vec<_> = error.problems.iter().map(|problem| problem.key.clone()).collect();
    assert_eq!(named, expected);
    let text = error.to_string();
    assert!(text.contains("metric: expected one of: backlog, pending, lag, length, age"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn pending_entries_that_nobody_works_on_are_left_out_on_demand() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let parsed = |metadata: &[(&str, &str)]| good(metadata).orphans;
    assert_eq!(parsed(&[("pendingOrphanedAfter", "10m")]), Some(Orphans { after: minutes(10), poison: None }));
    let both = [("pendingOrphanedAfter", "1h 30m"), ("pendingPoisonAfter", "10")];
    assert_eq!(parsed(&both), Some(Orphans { after: minutes(90), poison: Some(10) }));
    assert_eq!(parsed(&[("pendingOrphanedAfter", "off"), ("pendingPoisonAfter", "off")]), None);
    assert_eq!(bad_keys(&[("pendingPoisonAfter", "10")]), ["pendingPoisonAfter"]);
    for value in ["10", "59s", "0s", "never", "-1m"] {
        assert_eq!(bad_keys(&[("pendingOrphanedAfter", value)]), ["pendingOrphanedAfter"], "{value}");
    }
    for value in ["1", "0", "-3", "2.5", "many"] {
        let metadata = [("pendingOrphanedAfter", "10m"), ("pendingPoisonAfter", value)];
        assert_eq!(bad_keys(&metadata), ["pendingPoisonAfter"], "{value}");
    }
    let orphans = parsed(&both).unwrap();
    assert!(!orphans.is_orphaned(90 * 60_000 - 1) && orphans.is_orphaned(90 * 60_000));
    assert!(!orphans.is_poison(0, 50) && orphans.is_poison(90 * 60_000, 10) && !orphans.is_poison(90 * 60_000, 9));
}

#[test]
fn what_keda_adds_and_blanks_do_no_harm() {
    let metadata = [
        ("scalerAddress", "x:6000"),
        ("enableTLS", "true"),
        ("unsafeSsl", "false"),
        ("passwordFromEnv", "p"),
        ("stream", " "),
        ("target", ""),
    ];
    assert_eq!(good(&metadata), good(&[]));
}

#[test]
fn the_own_redis_in_other_words() {
    for metadata in [
        &[("addresses", "s2:26379, s1:26379")][..],
        &[("addressesFromEnv", "s1:26379")],
        &[("address", "s1:26379"), ("sentinelMaster", "mymaster")],
        &[("hosts", "s1, s2"), ("ports", "26379,26379")],
        &[("host", "s1"), ("port", "26379")],
        &[("sentinelMaster", "mymaster")],
    ] {
        assert_eq!(good(metadata).source.redis, Redis::Own, "{metadata:?}");
    }
}

#[test]
fn another_redis_must_be_allowed() {
    let other = |sentinels: &[&str], master: &str| Redis::Other {
        sentinels: sentinels.iter().map(|address| at(address)).collect(),
        master: master.to_owned(),
    };
    assert_eq!(good(&[("sentinelMaster", "second")]).source.redis, other(&["s1:26379", "s2:26379"], "second"));
    assert_eq!(good(&[("addresses", "other:26379,other:26379")]).source.redis, other(&["other:26379"], "mymaster"));
    let error = parse(&[("addresses", "s1:26379,stranger:1")]).unwrap_err().to_string();
    assert!(error.contains("addresses") && error.contains("stranger:1") && error.contains("SCALER_ALLOWED_SENTINELS"));
    assert!(!error.contains("s1:26379"), "{error}");
    let error = parse(&[("addressesFromEnv", "s1:26379,stranger:1")]).unwrap_err().to_string();
    assert!(error.contains("SCALER_ALLOWED_SENTINELS") && !error.contains("stranger"), "{error}");
    assert_eq!(bad_keys(&[("addresses", ":hunter2@redis:26379")]), ["addresses"]);
}

#[test]
fn hosts_and_ports_belong_together() {
    assert_eq!(bad_keys(&[("hosts", "s1,s2"), ("ports", "1")]), ["ports"]);
    assert_eq!(bad_keys(&[("hosts", "s1")]), ["hosts"]);
    assert_eq!(bad_keys(&[("ports", "1")]), ["ports"]);
    assert_eq!(bad_keys(&[("host", "s1"), ("port", "x")]), ["host"]);
}

#[test]
fn without_sentinel_a_masters_name_is_passed_over() {
    let direct = Own { locator: Locator::Direct(at("localhost:6379")), ..own() };
    let trigger = parse_with(&[("sentinelMaster", "mymaster")], &direct).unwrap();
    assert_eq!(trigger.source.redis, Redis::Own);
    assert!(parse_with(&[("addresses", "s1:26379")], &direct).is_err());
}

#[test]
fn every_key_of_the_list_means_something() {
    for key in KEYS {
        assert_ne!(parse(&[(key, "x")]), Ok(good(&[])), "{key}");
    }
}

fn metadata() -> impl Strategy<Value = HashMap<String, String>> {
    let value = prop_oneof![
        any::<String>(),
        "-?[0-9]{1,20}(\\.[0-9]{1,4})?",
        "(backlog|pending|lag|length|age|accurate|eager|off|[0-9]{1,4}[smh])",
        "(s1|other|\\[::1\\]):[0-9]{1,6}(,s2:26379)?",
    ];
    let keys: Vec<&str> = KEYS.into_iter().chain(["lagCountFromEnv", "something"]).collect();
    proptest::collection::hash_map(proptest::sample::select(keys).prop_map(str::to_owned), value, 0..8)
}

proptest! {
    #[test]
    fn any_metadata_gives_a_usable_trigger_or_named_mistakes(metadata in metadata()) {
        match Trigger::parse(&metadata, &own()) {
            Ok(trigger) => {
                prop_assert!(trigger.target >= 0.001 && trigger.target <= 1e12);
                prop_assert!(trigger.activation >= 0.0 && trigger.activation.is_finite());
                prop_assert!(!trigger.metric_name().contains(['/', '.', ':', '%', '(', ')']));
                prop_assert_eq!(Trigger::parse(&metadata, &own()), Ok(trigger));
            }
            Err(error) => {
                prop_assert!(!error.problems.is_empty());
                for problem in &error.problems {
                    prop_assert!(metadata.contains_key(&problem.key), "{}", problem.key);
                }
            }
        }
    }
}
