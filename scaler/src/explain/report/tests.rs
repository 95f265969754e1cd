use super::super::yaml;
use super::*;
use crate::fixture::own;

const GOOD: &str = include_str!("../../../../deploy/kustomize/base/scaledobject.yaml");

fn present(replicas: Option<u64>) -> Present {
    Present { replicas, pending_jobs: 0 }
}

/// All that is said with these numbers; the scaler's own settings are known.
pub(crate) fn report(text: &str, sample: &str, present: Present) -> Report {
    let documents = yaml::documents(text).unwrap();
    let own = own();
    let (examined, passed_over) = examine(&documents, &Known { own: &own, given: true }, present);
    let sample = Sample::parse(sample).unwrap();
    let samples = sources(&examined).into_iter().map(|source| (source, Ok(sample.clone()))).collect();
    complete(examined, passed_over, &samples, present)
}

/// Level and field of all that is said.
fn said(text: &str) -> Vec<String> {
    let report = report(text, "backlog=0", present(None));
    let findings = report.objects.iter().flat_map(|object| &object.findings);
    findings.map(|finding| format!("{} {}", finding.level.as_str(), finding.field)).collect()
}

fn with(from: &str, to: &str) -> String {
    let changed = GOOD.replacen(from, to, 1);
    assert_ne!(changed, GOOD, "{from}");
    changed
}

#[test]
fn the_manifest_of_the_repository_is_in_order() {
    assert_eq!(said(GOOD), Vec::<String>::new());
    let report = report(GOOD, "pending=12,lag=30", present(None));
    let outlook = report.objects[0].outlook.as_ref().unwrap();
    assert_eq!((outlook.active, outlook.result), (Some(true), Some(5)));
    assert!(outlook.now.starts_with("from 0 to 1 at once (pushed), then 5 replicas"), "{}", outlook.now);
    assert!(outlook.on_errors.contains("after 5 failures"), "{}", outlook.on_errors);
    assert!(!report.is_refused());
}

#[test]
fn what_is_refused() {
    let rows = [
        ("target: \"10\"", "target: 10", "error spec.triggers[0].metadata.target"),
        ("target: \"10\"", "target: ten", "error spec.triggers[0].metadata.target"),
        ("metric: backlog", "metric: backlogg", "error spec.triggers[0].metadata.metric"),
        ("metric: backlog", "databaseIndex: four", "error spec.triggers[0].metadata.databaseIndex"),
        ("metric: backlog", "addresses: elsewhere:26379", "error spec.triggers[0].metadata.addresses"),
        ("metric: backlog", "enableTLS: \"yes\"", "error spec.triggers[0].metadata.enableTLS"),
        ("scalerAddress", "scalerAdress", "error spec.triggers[0].metadata.scalerAddress"),
        (": stream-scaler.", ": http://stream-scaler.", "error spec.triggers[0].metadata.scalerAddress"),
        (
            "type: external-push",
            "type: external-push\n      metricType: Utilization",
            "error spec.triggers[0].metricType",
        ),
        ("minReplicaCount: 0", "minReplicaCount: 6", "error spec.minReplicaCount"),
        ("minReplicaCount: 0", "idleReplicaCount: 0", "error spec.idleReplicaCount"),
        ("maxReplicaCount: 5", "maxReplicaCount: many", "error spec.maxReplicaCount"),
        ("minReplicaCount: 0", "pollingInterval: 0", "error spec.pollingInterval"),
        ("failureThreshold: 4", "failureTreshold: 4", "error spec.fallback.failureThreshold"),
        ("behavior: currentReplicasIfHigher", "behavior: current", "error spec.fallback.behavior"),
        ("    name: stream-dispatcher-worker\n  min", "    nam: worker\n  min", "error spec.scaleTargetRef.name"),
        ("apiVersion: keda.sh/v1alpha1", "apiVersion: keda.sh/v1", "error apiVersion"),
        ("triggers:", "trigger:", "error spec.triggers"),
    ];
    for (from, to, expected) in rows {
        let said = said(&with(from, to));
        assert!(said.contains(&expected.to_owned()), "{from} -> {to}: {said:?}");
        assert!(report(&with(from, to), "lag=1", present(None)).is_refused());
    }
}

#[test]
fn what_is_odd() {
    let rows = [
        ("target: \"10\"", "Target: \"10\"", "warning spec.triggers[0].metadata.Target"),
        ("metric: backlog", "password: hunter2", "warning spec.triggers[0].metadata.password"),
        ("metric: backlog", "caCert: /ca.pem", "warning spec.triggers[0].metadata.caCert"),
        ("metric: backlog", "enableTLS: \"true\"", "note spec.triggers[0].metadata.enableTLS"),
        ("metric: backlog", "unsafeSsl: \"true\"", "warning spec.triggers[0].metadata.unsafeSsl"),
        ("metric: backlog", "jobScalingStrategy: eager", "warning spec.triggers[0].metadata.jobScalingStrategy"),
        ("stream-scaler.$(SCALER_NAMESPACE)", "stream-scaler", "warning spec.triggers[0].metadata.scalerAddress"),
        ("type: external-push", "type: external", "note spec.triggers[0].type"),
        ("type: external-push", "type: external-push\n      metricType: Value", "note spec.triggers[0].metricType"),
        (
            "type: external-push",
            "type: external-push\n      useCachedMetrics: true",
            "note spec.triggers[0].useCachedMetrics",
        ),
        ("minReplicaCount: 0", "pollingInterval: 90", "warning spec.pollingInterval"),
        ("minReplicaCount: 0", "minReplicaCount: 1", "note spec.minReplicaCount"),
        ("cooldownPeriod: 300", "cooldownPeriod: 5", "warning spec.cooldownPeriod"),
        ("fallback:", "fallbck:", "warning spec.fallback"),
        ("behavior: currentReplicasIfHigher", "behavior: static", "warning spec.fallback.behavior"),
        ("    behavior: currentReplicasIfHigher\n", "", "warning spec.fallback.behavior"),
        ("behavior: currentReplicasIfHigher", "behavior: currentReplicasIfLower", "warning spec.fallback.behavior"),
        ("replicas: 1\n    behavior: currentReplicasIfHigher", "replicas: 0", "warning spec.fallback.replicas"),
        ("replicas: 1\n", "replicas: 0\n", "warning spec.fallback.replicas"),
        (
            "replicas: 1\n    behavior: currentReplicasIfHigher",
            "replicas: 0\n    behavior: currentReplicas",
            "warning spec.fallback.replicas",
        ),
        ("replicas: 1", "replicas: 9", "warning spec.fallback.replicas"),
        ("failureThreshold: 4", "failureThreshold: 0", "note spec.fallback.failureThreshold"),
        (
            "  labels:",
            "  annotations:\n    autoscaling.keda.sh/paused: \"true\"\n  labels:",
            "warning metadata.annotations",
        ),
        ("    - type: external-push", "    - type: cron\n    - type: external-push", "note spec.triggers[0].type"),
    ];
    for (from, to, expected) in rows {
        let said = said(&with(from, to));
        assert!(said.contains(&expected.to_owned()), "{from} -> {to}: {said:?}");
        assert!(!report(&with(from, to), "lag=1", present(None)).is_refused(), "{to}");
    }
    let twice = "    - type: external\n      metadata: {scalerAddress: \"stream-scaler.s:6000\"}\n";
    assert!(said(&format!("{GOOD}{twice}")).contains(&"warning spec.triggers[1]".to_owned()));
}

#[test]
fn no_value_is_repeated() {
    let text = with("metric: backlog", "metric: hunter2\n        passwordFromEnv: hunter2\n        target1: hunter2");
    let report = report(&text, "lag=1", present(None));
    assert!(!format!("{:?}", report.objects[0].findings).contains("hunter2"));
}

const JOB: &str = "
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: job}
spec:
  jobTargetRef: {template: {}}
  maxReplicaCount: 10
  scalingStrategy: {strategy: STRATEGY}
  triggers:
    - type: external
      metadata: {scalerAddress: 'stream-scaler.s:6000', METADATA}
";

fn job(strategy: &str, metadata: &str) -> String {
    JOB.replace("STRATEGY", strategy).replace("METADATA", metadata)
}

#[test]
fn a_job_s_strategy_and_the_metric_fit_together() {
    let field = "warning spec.triggers[0].metadata.jobScalingStrategy";
    for (strategy, metadata, odd) in [
        ("default", "target: '1'", false),
        ("default", "jobScalingStrategy: accurate", true),
        ("custom", "metric: lag", true),
        ("accurate", "target: '1'", true),
        ("accurate", "jobScalingStrategy: accurate", false),
        ("eager", "metric: lag", false),
        ("eager", "metric: pending", true),
    ] {
        let said = said(&job(strategy, metadata));
        assert_eq!(said.contains(&field.to_owned()), odd, "{strategy} {metadata}: {said:?}");
    }
    let pushed = job("default", "target: '1'").replace("type: external", "type: external-push");
    assert!(said(&pushed).contains(&"warning spec.triggers[0].type".to_owned()));
}

#[test]
fn jobs_that_would_be_created() {
    for (strategy, metadata, replicas, expected) in [
        ("default", "target: '1'", None, 6),
        ("default", "target: '1'", Some(2), 4),
        ("accurate", "jobScalingStrategy: accurate, target: '1'", Some(2), 4),
        ("eager", "jobScalingStrategy: eager, target: '2'", Some(9), 1),
        ("default", "target: '1', activationTarget: '6'", None, 0),
    ] {
        let report = report(&job(strategy, metadata), "pending=2,lag=4", present(replicas));
        let outlook = report.objects[0].outlook.as_ref().unwrap();
        assert_eq!(outlook.result, Some(expected), "{strategy} {metadata}: {}", outlook.now);
    }
}

#[test]
fn custom_without_a_number_is_default() {
    let field = "warning spec.scalingStrategy.customScalingRunningJobPercentage";
    let with =
        |more: &str| job("custom", "target: '1'").replace("strategy: custom", &format!("strategy: custom{more}"));
    for (more, odd, expected) in [
        ("", true, 4),
        (", customScalingRunningJobPercentage: half", true, 4),
        (", customScalingRunningJobPercentage: '0.5'", false, 5),
    ] {
        let text = with(more);
        assert_eq!(said(&text).contains(&field.to_owned()), odd, "{more}");
        let report = report(&text, "lag=6", present(Some(2)));
        assert_eq!(report.objects[0].outlook.as_ref().unwrap().result, Some(expected), "{more}");
    }
}

#[test]
fn several_triggers_of_a_job() {
    let second =
        "    - {type: external, metadata: {scalerAddress: 'stream-scaler.s:6000', target: '2', metric: pending}}";
    // 9 unfinished, 3 for each job; 8 pending, 2 for each.
    let text = format!("{}{second}\n", job("default", "target: '3'").trim_start());
    let result = |word: &str| {
        let text = text.replace("strategy: default", &format!("strategy: default, multipleScalersCalculation: {word}"));
        report(&text, "pending=8,lag=1", present(None)).objects[0].outlook.as_ref().unwrap().result
    };
    let words = ["max", "min", "avg", "sum"];
    assert_eq!(words.map(result), [Some(3), Some(4), Some(4), Some(7)]);
    let wrong = text.replace("strategy: default", "multipleScalersCalculation: most");
    assert!(said(&wrong).contains(&"error spec.scalingStrategy.multipleScalersCalculation".to_owned()));
}

#[test]
fn what_keda_s_own_trigger_would_become() {
    let text = "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: old, namespace: n}
spec:
  scaleTargetRef: {name: worker}
  maxReplicaCount: 4
  triggers:
    - type: redis-sentinel-streams
      metadata: {addresses: 's:26379', sentinelMaster: m, stream: t, consumerGroup: g, lagCount: '12', activationLagCount: '10'}
";
    let report = report(text, "lag=111", present(None));
    let told = &report.objects[0].triggers[0];
    let migrated = told.migrated.as_ref().unwrap();
    assert!(migrated.metadata.contains(&("metric".to_owned(), "backlog".to_owned())), "{migrated:?}");
    assert!(told.judged.is_none(), "its Sentinel is not allowed, so there is nothing to read");
    assert_eq!(report.count(Level::Error), 0, "KEDA takes it as it is");

    let documents = yaml::documents(text).unwrap();
    let own = own();
    let known = Known { own: &own, given: false };
    for (lag, expected) in [(0, 0), (10, 0), (11, 1), (111, 4)] {
        let (examined, passed) = examine(&documents, &known, present(None));
        let sample = Sample::parse(&format!("lag={lag}")).unwrap();
        let samples = sources(&examined).into_iter().map(|source| (source, Ok(sample.clone()))).collect();
        let report = complete(examined, passed, &samples, present(None));
        assert_eq!(report.objects[0].outlook.as_ref().unwrap().result, Some(expected), "{lag}");
    }
}

#[test]
fn keda_s_own_trigger_of_a_job() {
    let text = |strategy, target: &str| {
        let keys = format!("sentinelMaster: mymaster, stream: t, {target}");
        job(strategy, &keys).replace("type: external", "type: redis-sentinel-streams")
    };
    let odd = "warning spec.triggers[0].metadata.jobScalingStrategy".to_owned();
    let lag = text("accurate", "consumerGroup: g, lagCount: '3'");
    assert_eq!(said(&lag), Vec::<String>::new());
    let report = report(&lag, "pending=3,lag=9", present(None));
    let told = &report.objects[0].triggers[0];
    assert_eq!(told.migrated.as_ref().unwrap().kind, "external");
    assert_eq!(told.judged.as_ref().unwrap().metric, "lag");
    assert_eq!(report.objects[0].outlook.as_ref().unwrap().result, Some(3));
    assert!(said(&text("accurate", "streamLength: '3'")).contains(&odd), "every entry is counted, finished ones too");
}

#[test]
fn what_stands_in_a_variable_is_not_known() {
    let text = with("target: \"10\"", "targetFromEnv: TARGET");
    assert_eq!(said(&text), ["note spec.triggers[0].metadata.targetFromEnv"]);
    assert_eq!(report(&text, "lag=30", present(None)).objects[0].outlook.as_ref().unwrap().result, Some(3));
}

#[test]
fn the_other_half_of_what_stands_in_a_variable() {
    for (pairs, note) in [
        ("hosts: a, portsFromEnv: P", "hosts"),
        ("ports: '1', hostsFromEnv: H", "ports"),
        ("host: a, portFromEnv: P", "host"),
        ("port: '1', hostFromEnv: H", "port"),
        ("pendingPoisonAfter: '3', pendingOrphanedAfterFromEnv: O", "pendingPoisonAfter"),
    ] {
        let said = said(&job("default", pairs));
        assert!(said.iter().all(|said| said.starts_with("note ")), "{pairs}: {said:?}");
        assert!(said.contains(&format!("note spec.triggers[0].metadata.{note}")), "{pairs}: {said:?}");
    }
    let refused = said(&job("default", "hosts: a, targetFromEnv: T"));
    assert!(refused.contains(&"error spec.triggers[0].metadata.hosts".to_owned()), "{refused:?}");
    let report =
        report(&job("default", "pendingOrphanedAfter: 2m, pendingPoisonAfterFromEnv: P"), "lag=1", present(None));
    assert!(
        report.objects[0].triggers[0].judged.as_ref().unwrap().lines.iter().any(|(_, text)| text.contains("orphaned"))
    );
}

#[test]
fn what_should_be_a_text_keeps_its_meaning() {
    let field = "spec.triggers[0].metadata.unsafeSsl";
    for (value, warned) in [("false", false), ("true", true)] {
        let said = said(&with("metric: backlog", &format!("unsafeSsl: {value}")));
        assert!(said.contains(&format!("error {field}")), "{said:?}");
        assert_eq!(said.contains(&format!("warning {field}")), warned, "{said:?}");
    }
    assert!(
        !said(&with("metric: backlog", "enableTLS: false"))
            .contains(&"note spec.triggers[0].metadata.enableTLS".to_owned())
    );
}

#[test]
fn a_trigger_that_is_not_judged_leaves_it_open() {
    let cron = with("    - type: external-push", "    - type: cron\n    - type: external-push");
    let outlook = |text: &str, sample| report(text, sample, present(Some(2))).objects[0].outlook.clone().unwrap();
    let quiet = outlook(&cron, "lag=0");
    assert_eq!((quiet.active, quiet.result), (None, None));
    assert!(quiet.now.starts_with("as here, unless trigger 0 is active: 0 replicas"), "{}", quiet.now);
    let busy = outlook(&cron, "lag=30");
    assert_eq!((busy.active, busy.result), (Some(true), Some(3)));
    let never_idle = outlook(&cron.replace("minReplicaCount: 0", "minReplicaCount: 1"), "lag=0");
    assert!(never_idle.now.starts_with("as here, unless trigger 0 asks for more: 1 replica"), "{}", never_idle.now);
    assert_eq!(outlook(GOOD, "lag=0").active, Some(false));
}

#[test]
fn lists_are_opened() {
    let item = format!("    {}\n", GOOD.trim_end().replace('\n', "\n    "));
    let text = format!("kind: List\nitems:\n  -\n{item}");
    assert_eq!(report(&text, "lag=1", present(None)).objects.len(), 1);
}

#[test]
fn other_documents_are_passed_over() {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\n---\n{GOOD}---\nkind: ScaledObject\napiVersion: x/v1\n"
    );
    let report = report(&text, "lag=1", present(None));
    assert_eq!(report.passed_over, ["Service s", "ScaledObject"]);
    assert_eq!(report.objects.len(), 1);
}
