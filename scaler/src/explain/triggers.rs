//! What is odd about a trigger, and what the scaler makes of it (pure).

use std::collections::{BTreeSet, HashMap};

use redis_stream::endpoint::HostPort;

use super::finding::Findings;
use super::keda::{MetricType, Strategy};
use super::keys::{self, AUTHENTICATION, CREDENTIALS};
use super::manifest::{Kind, Object, POLLING_INTERVAL, Spec};
use super::pause;
use crate::trigger::{Own, Trigger};

/// KEDA's own trigger that this scaler takes the place of.
const BUILT_IN: &str = "redis-sentinel-streams";

/// Whose trigger it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This scaler's.
    Ours { push: bool },
    /// KEDA's own, which could be ours.
    BuiltIn,
    /// Somebody else's.
    Other,
}

/// By type, address and keys: an external trigger is ours if its address says so, or one of its keys is ours alone.
pub(super) fn whose(spec: &Spec) -> Whose {
    let push = match spec.kind.as_str() {
        BUILT_IN => return Whose::BuiltIn,
        "external" => false,
        "external-push" => true,
        _ => return Whose::Other,
    };
    let address = spec.metadata.get("scalerAddress").map_or("", |address| address.trim());
    let ours =
        address.is_empty() || address.contains("stream-scaler") || spec.metadata.keys().any(|key| keys::is_ours(key));
    if ours { Whose::Ours { push } } else { Whose::Other }
}

/// Looks at one of our triggers; `None` when the scaler would refuse it, which is noted.
pub(super) fn ours(object: &Object, spec: &Spec, own: &Own, findings: &mut Findings) -> Option<Trigger> {
    let Whose::Ours { push } = whose(spec) else { return None };
    unknown(spec, findings);
    connection(spec, findings);
    kind(object, spec, push, findings);
    elsewhere(spec, findings);
    match Trigger::parse(&readable(spec.metadata.clone()), own) {
        Ok(trigger) => {
            strategy(object, spec, &trigger, findings);
            Some(trigger)
        }
        Err(bad) => {
            for problem in bad.problems {
                findings.error(spec.key(&problem.key), problem.problem);
            }
            None
        }
    }
}

/// Keys that are refused without another one.
const HALVES: [(&str, &str); 5] = [
    ("hosts", "ports"),
    ("ports", "hosts"),
    ("host", "port"),
    ("port", "host"),
    ("pendingPoisonAfter", "pendingOrphanedAfter"),
];

/// The metadata without what KEDA takes out of the environment of the scaled pods, and without what is of no use alone:
/// in a file, only the names of variables stand there.
pub(super) fn readable(mut metadata: HashMap<String, String>) -> HashMap<String, String> {
    for (half, _) in halves(&metadata) {
        metadata.remove(half);
    }
    metadata.retain(|key, _| !is_elsewhere(key));
    metadata
}

/// Keys that stand here, each with the one that comes out of a variable.
fn halves(metadata: &HashMap<String, String>) -> Vec<(&'static str, &'static str)> {
    let has = |key: &str| metadata.get(key).is_some_and(|value| !value.trim().is_empty());
    let half = |(key, other): &(&str, &str)| has(key) && !has(other) && has(&format!("{other}FromEnv"));
    HALVES.into_iter().filter(half).collect()
}

fn is_elsewhere(key: &str) -> bool {
    keys::plain(key) != key
}

fn elsewhere(spec: &Spec, findings: &mut Findings) {
    let mut keys: Vec<&String> = spec.metadata.keys().filter(|key| is_elsewhere(key) && keys::is_known(key)).collect();
    keys.sort();
    for key in keys {
        let text = "comes out of a variable of the scaled pods, which is not known here; the default is taken";
        findings.note(spec.key(key), text);
    }
    for (key, other) in halves(&spec.metadata) {
        findings.note(spec.key(key), format!("is left out here, since {other} is not known; the default is taken"));
    }
}

/// The scaler's settings where it is not known which they are: triggers may name any Sentinel.
pub(super) fn lenient(own: &Own, spec: &Spec) -> Own {
    let mut own = own.clone();
    let value = |names: [&str; 2]| names.into_iter().find_map(|name| spec.value(name)).unwrap_or_default();
    let (hosts, ports) = (value(["hosts", "host"]), value(["ports", "port"]));
    let pairs = hosts.split(',').zip(ports.split(',')).map(|(host, port)| join(host.trim(), port.trim()));
    let listed = value(["addresses", "address"]).split(',').map(str::to_owned);
    own.allowed.extend(listed.chain(pairs).filter_map(|address| address.parse::<HostPort>().ok()));
    own
}

fn join(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Triggers that measure the same, and what several of them mean.
pub(super) fn together(triggers: &[(usize, &Trigger)], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (index, trigger) in triggers {
        if !seen.insert((trigger.metric_name(), format!("{:?}", trigger.source))) {
            let text =
                "another trigger has the same metric of the same stream: the larger number counts, leave one out";
            findings.warning(format!("spec.triggers[{index}]"), text);
        }
    }
}

fn unknown(spec: &Spec, findings: &mut Findings) {
    let mut unknown: Vec<&String> = spec.metadata.keys().filter(|key| !keys::is_known(key)).collect();
    unknown.sort();
    for key in unknown {
        let text = if CREDENTIALS.contains(&keys::plain(key)) {
            "is not read, and goes over the network with each call: the scaler has its own settings (REDIS_*). Take it \
             out"
            .to_owned()
        } else if AUTHENTICATION.contains(&key.as_str()) {
            "KEDA reads it in a TriggerAuthentication only".to_owned()
        } else if key == "tlsCertFile" {
            "KEDA has not read it since 2.17: use caCert in a TriggerAuthentication".to_owned()
        } else if let Some(meant) = keys::meant(key) {
            format!("is not known, and has no effect; {meant} is")
        } else {
            "is not known, and has no effect".to_owned()
        };
        findings.warning(spec.key(key), text);
    }
}

/// What KEDA itself reads: where the scaler is, and TLS.
fn connection(spec: &Spec, findings: &mut Findings) {
    let field = spec.key("scalerAddress");
    match spec.value("scalerAddress") {
        None => findings.error(field, "is missing: HOST:PORT of the scaler, such as stream-scaler.NAMESPACE:6000"),
        Some(address) if address.contains("://") => findings.error(field, "expected HOST:PORT, without http://"),
        Some(address) if address.parse::<HostPort>().is_err() => findings.error(field, "expected HOST:PORT"),
        // Without a namespace the name is looked for in KEDA's.
        Some(address) if !address.contains(['.', '$']) && !address.starts_with('[') => {
            let text = "has no namespace in it: KEDA looks for the name in its own. Say stream-scaler.NAMESPACE:6000";
            findings.warning(field, text);
        }
        Some(_) => {}
    }
    let mut flag = |key: &str| {
        let flag = pause::boolean(spec.value(key)?);
        if flag.is_none() {
            findings.error(spec.key(key), "KEDA expects true or false");
        }
        flag
    };
    let (tls, unchecked) = (flag("enableTLS") == Some(true), flag("unsafeSsl") == Some(true));
    if unchecked {
        let text = "KEDA takes any certificate, whoever shows it: give it caCert in a TriggerAuthentication";
        findings.warning(spec.key("unsafeSsl"), text);
    } else if tls && !spec.authentication {
        let text = "KEDA then trusts the authorities of its own system only; another one is caCert in a \
                    TriggerAuthentication (authenticationRef). The scaler needs SCALER_TLS_CERT_FILE";
        findings.note(spec.key("enableTLS"), text);
    }
}

fn kind(object: &Object, spec: &Spec, push: bool, findings: &mut Findings) {
    if object.kind.is_job() && push {
        let text = "KEDA passes over what is pushed for a ScaledJob, and says so in its log: say external";
        findings.warning(spec.field("type"), text);
    }
    if !object.kind.is_job() && !push && object.min == 0 {
        let text = format!("from zero, work is seen at the next poll, in up to {} s; external-push says it at once", {
            object.polling
        });
        findings.note(spec.field("type"), text);
    }
    if spec.cached {
        let text = format!("the autoscaler sees the number of the last poll, up to {} s old", object.polling);
        if object.polling > POLLING_INTERVAL {
            findings.warning(spec.field("useCachedMetrics"), text);
        } else {
            findings.note(spec.field("useCachedMetrics"), text);
        }
    }
    if spec.metric_type == MetricType::Value && !object.kind.is_job() {
        let text = "Value means the target for all replicas together, not for each: the number grows as long as the \
                    value is above it";
        findings.note(spec.field("metricType"), text);
    }
}

/// Whether running jobs are counted once: by the number or by the strategy.
pub(super) fn strategy(object: &Object, spec: &Spec, trigger: &Trigger, findings: &mut Findings) {
    let field = spec.key("jobScalingStrategy");
    let Kind::ScaledJob(strategy, _) = object.kind else {
        if spec.value("jobScalingStrategy").is_some() {
            let text = "is for a ScaledJob: with accurate or eager, running work is not counted. Take it out";
            findings.warning(field, text);
        }
        return;
    };
    let (word, leaves_out) = match strategy {
        Strategy::Default => ("default", false),
        Strategy::Custom { .. } => ("custom", false),
        Strategy::Accurate => ("accurate", true),
        Strategy::Eager => ("eager", true),
    };
    let metric = trigger.metric.as_str();
    if leaves_out && metric != "lag" {
        let text = format!(
            "spec.scalingStrategy.strategy is {word}, which expects unread entries only; {metric} also counts what jobs \
             are at work on, so too many are created. Say jobScalingStrategy: {word}"
        );
        findings.warning(field, text);
    } else if !leaves_out && metric == "lag" {
        let text = format!(
            "spec.scalingStrategy.strategy is {word}, which takes the running jobs off; {metric} does not count what \
             they are at work on, so too few are created. Say metric: backlog, without jobScalingStrategy"
        );
        findings.warning(field, text);
    }
}
