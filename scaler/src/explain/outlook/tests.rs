use super::super::finding::Findings;
use super::super::{manifest, yaml};
use super::*;
use crate::fixture;

fn object(spec: &str) -> Object {
    let text = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: o}}\nspec:\n  scaleTargetRef: {{name: w}}\n  \
         triggers: [{{type: external}}]\n{spec}"
    );
    manifest::read(&yaml::documents(&text).unwrap()[0], &mut Findings::default()).unwrap()
}

fn told(object: &Object, metadata: &[(&str, &str)], sample: &str, replicas: Option<u64>) -> (Judged, Outlook) {
    let look = Look {
        index: 0,
        push: false,
        metric_type: MetricType::AverageValue,
        trigger: fixture::trigger(metadata),
        sample: Sample::parse(sample).unwrap(),
    };
    let present = Present { replicas, pending_jobs: 0 };
    let judged = judge(object, &look, present);
    let outlook = outlook(object, &[look], std::slice::from_ref(&judged), &[], present);
    (judged, outlook)
}

fn result(object: &Object, metadata: &[(&str, &str)], sample: &str, replicas: Option<u64>) -> Option<u64> {
    told(object, metadata, sample, replicas).1.result
}

#[test]
fn as_keda_s_own_tests_have_it() {
    let object = self::object("  maxReplicaCount: 4\n");
    let lag = [("metric", "lag"), ("target", "12"), ("activationTarget", "10")];
    for (count, expected) in [(0, 0), (10, 0), (11, 1), (111, 4)] {
        assert_eq!(result(&object, &lag, &format!("lag={count}"), None), Some(expected), "{count}");
    }
    let one = self::object("  minReplicaCount: 1\n  maxReplicaCount: 4\n");
    let pending = [("metric", "pending"), ("target", "10")];
    assert_eq!(result(&one, &pending, "pending=100", None), Some(4));
    assert_eq!(result(&one, &pending, "pending=0", None), Some(1));
    assert_eq!(result(&one, &[("metric", "length")], "length=100", None), Some(4));
}

#[test]
fn activity_is_judged_on_the_backlog_and_decides_first() {
    let object = self::object("  maxReplicaCount: 4\n");
    let (judged, outlook) = told(&object, &[("metric", "pending")], "lag=3", None);
    assert!(judged.active && judged.value == Some(0.0));
    assert_eq!(outlook.result, Some(1), "unread entries wake one");
    let (judged, outlook) = told(&object, &[("activationTarget", "100")], "lag=40", Some(3));
    assert!(!judged.active);
    assert_eq!(outlook.result, Some(0));
    assert!(outlook.now.contains("until then") && outlook.now.contains("which means 4"), "{}", outlook.now);
}

#[test]
fn with_replicas_the_tolerance_counts() {
    let object = self::object("  maxReplicaCount: 40\n");
    assert_eq!(result(&object, &[], "lag=105", Some(10)), Some(10));
    assert_eq!(result(&object, &[], "lag=111", Some(10)), Some(12));
    assert_eq!(result(&object, &[], "lag=105", None), Some(11));
    assert_eq!(result(&object, &[], "lag=105", Some(0)), Some(11));
}

#[test]
fn what_is_said_of_the_tolerance() {
    let wanted = |sample, replicas| {
        let lines = told(&object(""), &[], sample, replicas).0.lines;
        lines.into_iter().find(|(name, _)| *name == "wanted").unwrap().1
    };
    assert_eq!(wanted("lag=15", Some(2)), "2 = 15 / 10, rounded up");
    assert_eq!(wanted("lag=19", Some(2)), "2: 19 / 10 is within a tenth of the 2 that there are");
    assert_eq!(wanted("lag=15", None), "2 = 15 / 10, rounded up");
}

#[test]
fn idle_and_least_replicas() {
    let idle = self::object("  idleReplicaCount: 0\n  minReplicaCount: 2\n");
    assert_eq!(result(&idle, &[], "lag=0", Some(2)), Some(0));
    let (_, outlook) = told(&idle, &[], "lag=1", Some(0));
    assert_eq!(outlook.result, Some(2));
    assert!(outlook.now.starts_with("from 0 to 2 at the next poll, in up to 30 s"), "{}", outlook.now);
    let least = self::object("  minReplicaCount: 2\n");
    assert_eq!(told(&least, &[], "lag=0", None).1.idle, "never: minReplicaCount is 2");
    let (_, outlook) = told(&least, &[], "lag=30", None);
    assert_eq!((outlook.result, outlook.now.as_str()), (Some(3), "3 replicas; the autoscaler stays within 2 and 100"));
    assert_eq!(outlook.on_errors, "the replicas stay as they are");
}

#[test]
fn an_unknown_age_leaves_the_number_open() {
    let (judged, _) = told(&object(""), &[("metric", "age")], "lag=3", None);
    assert_eq!((judged.value, judged.wanted, judged.active), (None, None, true));
    assert_eq!(many(None), "as many as follow from how many there are");
}

#[test]
fn errors_by_the_fallback() {
    let rows = [
        ("", None, "stay as they are"),
        ("  fallback: {failureThreshold: 4, replicas: 1}\n", Some(5), "1 replica (now 1)"),
        (
            "  fallback: {failureThreshold: 4, replicas: 1, behavior: currentReplicasIfHigher}\n",
            Some(5),
            "at least 1 (now 5)",
        ),
        ("  fallback: {failureThreshold: 4, replicas: 0}\n", Some(5), "to zero after the cooldown; after 5"),
        (
            "  fallback: {failureThreshold: 4, replicas: 0, behavior: currentReplicas}\n",
            Some(5),
            "to zero after the cooldown",
        ),
        ("  minReplicaCount: 2\n  fallback: {failureThreshold: 4, replicas: 0}\n", Some(5), "0 replicas (now 2)"),
        ("  minReplicaCount: 2\n  fallback: {failureThreshold: 2, replicas: 1}\n", None, "(about 30 s): 1 replica"),
        (
            "  fallback: {failureThreshold: 2, replicas: 1}\n",
            None,
            "after 3 failures in a row (about 30 s, 90 s at zero)",
        ),
    ];
    for (spec, replicas, words) in rows {
        let said = told(&object(spec), &[], "lag=1", replicas).1.on_errors;
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_paused_object_stays_where_it_is_held() {
    let mut object = object("");
    object.pause.all = Some(Held::AsItIs);
    let (_, outlook) = told(&object, &[], "lag=100", None);
    assert_eq!((outlook.result, outlook.idle.as_str()), (None, "not while it is paused"));
    assert!(outlook.now.starts_with("nothing"), "{}", outlook.now);
    object.pause.all = Some(Held::At(3));
    let (_, outlook) = told(&object, &[], "lag=0", Some(1));
    assert_eq!(outlook.result, Some(3));
    assert!(outlook.now.starts_with("3 replicas"), "{}", outlook.now);
}

#[test]
fn an_object_paused_in_one_direction() {
    let mut object = object("");
    object.pause.scale_in = true;
    let (_, outlook) = told(&object, &[], "lag=0", Some(3));
    assert_eq!((outlook.result, outlook.idle.as_str()), (Some(3), "not while paused-scale-in is there"));
    assert!(outlook.now.contains("none is taken away"), "{}", outlook.now);
    object.pause = Pause { scale_out: true, ..Pause::default() };
    let (_, outlook) = told(&object, &[], "lag=100", Some(0));
    assert_eq!(outlook.result, Some(0));
    assert!(outlook.now.contains("none is added"), "{}", outlook.now);
}
