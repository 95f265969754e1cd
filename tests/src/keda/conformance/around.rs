//! Times, metadata, versions, and what is served besides.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::{Code, Status};

use super::values::name;
use super::{Desk, Outcome, Outcomes, brief, judge, timed};
use crate::keda::workload::Seen;
use crate::keda::{Trigger, Version};

/// A value of so many letters stands in no complaint by chance.
const TELLING: usize = 8;
/// Polls at once.
const BURST: usize = 200;
/// What KEDA's own keys for a trigger look like, and one that means nothing to anybody.
const STRANGERS: [(&str, &str); 4] =
    [("scalerAddress", "scaler:6000"), ("enableTLS", "false"), ("unsafeSsl", "false"), ("no-such-key-6f1d", "1")];

pub(super) async fn run(desk: &Desk<'_>) -> Outcomes {
    let mut outcomes = vec![("unknown-keys", strangers(desk).await)];
    if let Some(name) = name(desk).await {
        outcomes.push(("in-time", in_time(desk, &name).await));
        outcomes.push(("burst", burst(desk, &name).await));
        outcomes.push(("every-version", versions(desk).await));
    }
    outcomes.extend(bad(desk).await);
    outcomes.push(("health", health(desk).await));
    outcomes.push(("reflection", reflection(desk).await));
    outcomes
}

async fn in_time(desk: &Desk<'_>, name: &str) -> Outcome {
    let limit = desk.subject.within;
    let mut times = vec![
        ("GetMetricSpec", timed(desk.keda.metric_specs(&desk.object)).await.1),
        ("GetMetrics", timed(desk.keda.metrics(&desk.object, name)).await.1),
        ("IsActive", timed(desk.keda.is_active(&desk.object)).await.1),
    ];
    if !desk.subject.unreadable.is_empty() {
        let object = desk.subject.object(&desk.subject.unreadable);
        // Its metric may have another name, and one that is not its own is refused at once.
        let specs = desk.keda.metric_specs(&object).await.unwrap_or_default();
        let name = specs.first().map_or(name, |spec| spec.metric_name.as_str());
        times.push(("GetMetrics of what cannot be read", timed(desk.keda.metrics(&object, name)).await.1));
        times.push(("IsActive of what cannot be read", timed(desk.keda.is_active(&object)).await.1));
    }
    let longest = times.into_iter().max_by_key(|(_, time)| *time);
    let (call, time) = longest.unwrap_or(("nothing", Duration::ZERO));
    judge(time <= limit, format!("{call} took {} ms of {} ms", time.as_millis(), limit.as_millis()))
}

async fn burst(desk: &Desk<'_>, name: &str) -> Outcome {
    let polls = (0..BURST).map(|_| async {
        let (values, first) = timed(desk.keda.metrics(&desk.object, name)).await;
        let (active, second) = timed(desk.keda.is_active(&desk.object)).await;
        (values.is_ok() && active.is_ok(), first.max(second))
    });
    let polls = join_all(polls).await;
    let failed = polls.iter().filter(|(good, _)| !good).count();
    let longest = polls.iter().map(|(_, time)| *time).max().unwrap_or_default();
    let seen = format!("{failed} of {BURST} failed, the longest took {} ms", longest.as_millis());
    // They queue at the asker too.
    judge(failed == 0 && longest <= desk.subject.within * 2, seen)
}

async fn strangers(desk: &Desk<'_>) -> Outcome {
    let strangers: Vec<_> = STRANGERS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let object = desk.subject.object(&strangers);
    let known = desk.keda.metric_specs(&desk.object).await;
    match (desk.keda.metric_specs(&object).await, known) {
        (Ok(specs), Ok(known)) => judge(specs == known, format!("{} more keys", STRANGERS.len())),
        (Err(status), _) | (_, Err(status)) => Outcome::Fail(brief(&status)),
    }
}

/// A whole round of each version: a target above zero and a value.
async fn versions(desk: &Desk<'_>) -> Outcome {
    let mut read = Vec::new();
    for version in Version::ALL {
        let trigger = Trigger::of(&desk.keda, desk.object.clone(), version);
        match trigger.round().await {
            Seen::Metrics(metrics) => {
                for metric in metrics {
                    let total = metric.read.and_then(|read| read.total);
                    match total {
                        Some(total) if metric.target > 0.0 && total >= 0.0 => {
                            read.push(format!("{version}: {total} of {}", metric.target));
                        }
                        _ => return Outcome::Fail(format!("{version}: {metric:?}")),
                    }
                }
            }
            other => return Outcome::Fail(format!("{version}: {other:?}")),
        }
    }
    Outcome::Pass(read.join(", "))
}

async fn bad(desk: &Desk<'_>) -> Outcomes {
    let bad = &desk.subject.bad;
    if bad.is_empty() {
        let skip = || Outcome::Skip("needs --bad key=value".into());
        return vec![("bad-metadata", skip()), ("bad-values", skip())];
    }
    let Err(status) = desk.keda.metric_specs(&desk.subject.object(bad)).await else {
        return vec![("bad-metadata", Outcome::Fail("it was taken".into()))];
    };
    let named = bad.iter().all(|(key, _)| status.message().contains(key.as_str()));
    let good = status.code() == Code::InvalidArgument && named;
    vec![("bad-metadata", judge(good, brief(&status))), ("bad-values", repeats(bad, &status))]
}

/// Whether a complaint repeats a value.
fn repeats(bad: &[(String, String)], status: &Status) -> Outcome {
    let mut telling = bad.iter().map(|(_, value)| value).filter(|value| value.len() >= TELLING).peekable();
    if telling.peek().is_none() {
        return Outcome::Skip(format!(
            "needs --bad with a value of {TELLING} letters: a shorter one may be a word's part"
        ));
    }
    let repeated = telling.any(|value| status.message().contains(value.as_str()));
    judge(!repeated, brief(status))
}

async fn health(desk: &Desk<'_>) -> Outcome {
    match desk.keda.is_serving("").await {
        Ok(serving) => judge(serving, if serving { "SERVING" } else { "not SERVING" }),
        Err(status) => Outcome::Fail(brief(&status)),
    }
}

async fn reflection(desk: &Desk<'_>) -> Outcome {
    let mut last = Outcome::Skip("not asked".into());
    for version in ["v1", "v1alpha"] {
        last = match desk.keda.services(version).await {
            Ok(services) if services.iter().any(|service| service == "externalscaler.ExternalScaler") => {
                return Outcome::Pass(version.into());
            }
            Ok(services) => Outcome::Fail(format!("{version} lists {services:?}")),
            Err(status) => Outcome::Fail(format!("{version}: {}", brief(&status))),
        };
    }
    last
}
