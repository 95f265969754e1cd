//! A trigger of KEDA's own, as one of this scaler (pure).

use std::collections::HashMap;

use super::keda::Strategy;
use super::keys::{self, CREDENTIALS};
use super::manifest::{Kind, Spec};

/// KEDA's defaults.
const TARGET: &str = "5";
const DATABASE: &str = "0";

/// What KEDA counts now, by the keys that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Length,
    Lag,
    Pending,
}

/// The trigger as it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Migrated {
    /// `type`
    pub(super) kind: &'static str,
    /// Keys and values, in the order in which they are written.
    pub(super) metadata: Vec<(String, String)>,
    /// What will be different.
    pub(super) differences: Vec<String>,
}

impl Migrated {
    pub(super) fn map(&self) -> HashMap<String, String> {
        self.metadata.iter().cloned().collect()
    }
}

/// Keys that keep their name and their meaning.
const KEPT: [&str; 9] =
    ["addresses", "address", "hosts", "host", "ports", "port", "sentinelMaster", "stream", "consumerGroup"];

/// Rewrites a trigger of an object of this kind for a scaler at `address`.
pub(super) fn migrate(kind: Kind, spec: &Spec, address: &str) -> Migrated {
    let has = |key: &str| given(spec, key).is_some();
    let zero = spec.value("lagCount").is_some_and(|lag| lag.parse() == Ok(0.0));
    let (mode, target) = match (has("consumerGroup"), has("lagCount") && !zero) {
        (false, _) => (Mode::Length, "streamLength"),
        (true, true) => (Mode::Lag, "lagCount"),
        (true, false) => (Mode::Pending, "pendingEntriesCount"),
    };
    let unread_only = unread_only(kind).filter(|_| mode != Mode::Length);
    let mut metadata = vec![("scalerAddress".to_owned(), address.to_owned())];
    let mut put = |key: &str, value: &str| metadata.push((key.to_owned(), value.to_owned()));
    match unread_only {
        Some(strategy) => put("jobScalingStrategy", strategy),
        None => put("metric", if mode == Mode::Length { "length" } else { "backlog" }),
    }
    let mut renamed = |old: &str, new: &str, default: Option<&str>| match given(spec, old) {
        Some((true, variable)) => put(&format!("{new}FromEnv"), variable),
        Some((false, value)) => put(new, value),
        None => default.into_iter().for_each(|default| put(new, default)),
    };
    renamed(target, "target", Some(TARGET));
    renamed("activationLagCount", "activationTarget", None);
    renamed("databaseIndex", "databaseIndex", Some(DATABASE));
    let mut all: Vec<(&String, &String)> = spec.metadata.iter().collect();
    all.sort();
    for key in KEPT {
        for (name, value) in all.iter().filter(|(name, _)| keys::plain(name) == key) {
            put(name, value);
        }
    }
    // Nothing is pushed to a ScaledJob.
    let new = if kind.is_job() { "external" } else { "external-push" };
    let mut differences = vec![counted(kind, mode).to_owned()];
    differences.extend(self::differences(spec, !has(target)));
    Migrated { kind: new, metadata, differences }
}

/// The strategy of a `ScaledJob` that expects unread entries only.
fn unread_only(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::ScaledJob(Strategy::Accurate, _) => Some("accurate"),
        Kind::ScaledJob(Strategy::Eager, _) => Some("eager"),
        Kind::ScaledJob(Strategy::Default | Strategy::Custom { .. }, _) | Kind::ScaledObject => None,
    }
}

/// What is counted by KEDA, and what will be.
fn counted(kind: Kind, mode: Mode) -> &'static str {
    match (mode, kind.is_job(), unread_only(kind).is_some()) {
        (Mode::Lag, false, _) => {
            "KEDA counts unread entries only, so pods at work are scaled away; the backlog counts both. With metric: \
             lag, running work keeps one pod"
        }
        (Mode::Lag, true, false) => {
            "KEDA counts unread entries only and takes the running jobs off, so too few are created; the backlog counts \
             both"
        }
        (Mode::Lag, true, true) => "KEDA and this scaler count unread entries only, as the strategy expects",
        (Mode::Pending, false, _) => {
            "KEDA counts what is being worked on only, so unread entries wake nobody; the backlog counts both"
        }
        (Mode::Pending, true, false) => {
            "KEDA counts what is being worked on only, so unread entries start no job; the backlog counts both"
        }
        (Mode::Pending, true, true) => {
            "KEDA counts what is being worked on only, so unread entries start no job; this scaler counts unread \
             entries only, as the strategy expects"
        }
        (Mode::Length, _, true) => {
            "KEDA and this scaler count every entry, finished ones too; with jobScalingStrategy instead of metric, unread \
             ones only"
        }
        (Mode::Length, _, false) => {
            "KEDA and this scaler count every entry, finished ones too; metric: backlog does not"
        }
    }
}

/// The value of a key, or the variable that has it.
fn given<'a>(spec: &'a Spec, key: &str) -> Option<(bool, &'a str)> {
    let variable = || spec.value(&format!("{key}FromEnv")).map(|variable| (true, variable));
    spec.value(key).map(|value| (false, value)).or_else(variable)
}

fn differences(spec: &Spec, default_target: bool) -> Vec<String> {
    let has = |key: &&str| spec.metadata.keys().any(|given| keys::plain(given) == *key);
    let mut differences = Vec::new();
    if default_target {
        differences.push("the target is written out: KEDA's default is 5, this scaler's 10".to_owned());
    }
    if !has(&"databaseIndex") {
        differences.push("databaseIndex is written out: KEDA's default is 0, this scaler's REDIS_DB (4)".to_owned());
    }
    if ["addresses", "address", "hosts", "host"].iter().any(has) {
        let text = "the addresses must be the scaler's own Sentinels (then leave them out) or stand in \
                    SCALER_ALLOWED_SENTINELS";
        differences.push(text.to_owned());
    }
    if spec.authentication || CREDENTIALS.iter().any(has) {
        let text = "credentials are settings of the scaler (REDIS_USERNAME, REDIS_PASSWORD_FILE, ...): take \
                    authenticationRef out too";
        differences.push(text.to_owned());
    }
    if ["enableTLS", "unsafeSsl"].iter().any(has) {
        let text =
            "TLS to Redis is a setting of the scaler (REDIS_TLS*); in the trigger it would mean TLS to the scaler";
        differences.push(text.to_owned());
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::super::keda::{Calculation, MetricType};
    use super::*;

    fn migrated(pairs: &[(&str, &str)]) -> (Vec<(String, String)>, String) {
        let Migrated { kind, metadata, differences } = migrated_for(Kind::ScaledObject, pairs);
        assert_eq!(kind, "external-push");
        (metadata, differences.join("\n"))
    }

    fn migrated_for(kind: Kind, pairs: &[(&str, &str)]) -> Migrated {
        let spec = Spec {
            index: 0,
            kind: "redis-sentinel-streams".to_owned(),
            metric_type: MetricType::AverageValue,
            cached: false,
            authentication: false,
            metadata: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        migrate(kind, &spec, "scaler:6000")
    }

    fn written(metadata: &[(String, String)]) -> Vec<String> {
        metadata.iter().skip(1).map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn by_what_is_counted_now() {
        let (metadata, said) = migrated(&[("stream", "s"), ("consumerGroup", "g"), ("lagCount", "12")]);
        assert_eq!(
            written(&metadata),
            ["metric=backlog", "target=12", "databaseIndex=0", "stream=s", "consumerGroup=g"]
        );
        assert!(said.contains("unread entries only") && said.contains("databaseIndex is written out"), "{said}");

        let keys = [("stream", "s"), ("consumerGroup", "g"), ("lagCount", "0"), ("databaseIndex", "3")];
        let (metadata, said) = migrated(&keys);
        assert_eq!(
            written(&metadata),
            ["metric=backlog", "target=5", "databaseIndex=3", "stream=s", "consumerGroup=g"]
        );
        assert!(said.contains("wake nobody") && said.contains("default is 5"), "{said}");

        let (metadata, _) = migrated(&[("stream", "s"), ("streamLength", "7"), ("lagCount", "3")]);
        assert_eq!(written(&metadata), ["metric=length", "target=7", "databaseIndex=0", "stream=s"]);
    }

    #[test]
    fn of_a_job_as_its_strategy_expects() {
        let lag = ("lagCount", "12");
        let pending = ("pendingEntriesCount", "12");
        for (strategy, target, first, words) in [
            (Strategy::Accurate, lag, "jobScalingStrategy=accurate", "as the strategy expects"),
            (Strategy::Eager, pending, "jobScalingStrategy=eager", "start no job; this scaler counts unread"),
            (Strategy::Default, lag, "metric=backlog", "too few are created"),
            (Strategy::Default, pending, "metric=backlog", "start no job; the backlog"),
        ] {
            let kind = Kind::ScaledJob(strategy, Calculation::Max);
            let migrated = migrated_for(kind, &[("stream", "s"), ("consumerGroup", "g"), target]);
            assert_eq!(migrated.kind, "external");
            assert_eq!(written(&migrated.metadata)[..2], [first, "target=12"], "{strategy:?}");
            assert!(migrated.differences[0].contains(words), "{:?}", migrated.differences);
            assert!(!migrated.differences[0].contains("pod"), "{:?}", migrated.differences);
        }
        let kind = Kind::ScaledJob(Strategy::Eager, Calculation::Max);
        let migrated = migrated_for(kind, &[("stream", "s")]);
        assert_eq!(written(&migrated.metadata)[0], "metric=length");
        assert!(migrated.differences[0].contains("jobScalingStrategy"), "{:?}", migrated.differences);
    }

    #[test]
    fn variables_keep_their_names() {
        let (metadata, said) = migrated(&[("consumerGroupFromEnv", "G"), ("lagCountFromEnv", "L")]);
        assert_eq!(
            written(&metadata),
            ["metric=backlog", "targetFromEnv=L", "databaseIndex=0", "consumerGroupFromEnv=G"]
        );
        assert!(!said.contains("default is 5"), "{said}");
    }

    #[test]
    fn credentials_and_tls_stay_behind() {
        let keys = [
            ("addressesFromEnv", "a:1"),
            ("consumerGroup", "g"),
            ("pendingEntriesCount", "4"),
            ("activationLagCount", "2"),
            ("passwordFromEnv", "hunter2"),
            ("enableTLS", "true"),
        ];
        let (metadata, said) = migrated(&keys);
        let expected = [
            "metric=backlog",
            "target=4",
            "activationTarget=2",
            "databaseIndex=0",
            "addressesFromEnv=a:1",
            "consumerGroup=g",
        ];
        assert_eq!(written(&metadata), expected);
        for words in ["SCALER_ALLOWED_SENTINELS", "REDIS_PASSWORD_FILE", "REDIS_TLS"] {
            assert!(said.contains(words), "{said}");
        }
        assert!(!said.contains("hunter2"));
    }
}
