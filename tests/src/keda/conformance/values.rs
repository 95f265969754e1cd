//! `GetMetrics` and `IsActive`.

use super::{Desk, Outcome, Outcomes, brief, judge};
use crate::keda::{MetricValue, ScaledObject, answer};

/// A name that no scaler has a metric of.
const NOBODY: &str = "no-such-metric-6f1d";

pub(super) async fn run(desk: &Desk<'_>) -> Outcomes {
    let name = match desk.keda.metric_specs(&desk.object).await {
        Ok(specs) => specs.into_iter().next().map(|spec| spec.metric_name),
        Err(status) => return vec![("spec-constant", Outcome::Fail(brief(&status)))],
    };
    let Some(name) = name else { return Vec::new() };
    let mut outcomes = match desk.keda.metrics(&desk.object, &name).await {
        Ok(values) => {
            let one = values.len() == 1 && values.iter().all(|value| value.metric_name == name);
            vec![("value-one", judge(one, shown(&values))), ("value-numbers", numbers(&values))]
        }
        Err(status) => vec![("value-one", Outcome::Fail(brief(&status)))],
    };
    outcomes.push(("value-unknown", unknown(desk).await));
    outcomes.push(("work-seen", work(desk, &name).await));
    outcomes.extend(blind(desk, &name).await);
    outcomes
}

/// The first spec's name.
pub(super) async fn name(desk: &Desk<'_>) -> Option<String> {
    let specs = desk.keda.metric_specs(&desk.object).await.ok()?;
    Some(specs.into_iter().next()?.metric_name)
}

/// An integer reader and a float reader see the same, up to rounding.
fn numbers(values: &[MetricValue]) -> Outcome {
    let good = |value: &MetricValue| {
        let apart = value.metric_value_float - answer::float(value.metric_value);
        value.metric_value_float >= 0.0 && value.metric_value >= 0 && apart.abs() < 1.0
    };
    judge(!values.is_empty() && values.iter().all(good), shown(values))
}

async fn unknown(desk: &Desk<'_>) -> Outcome {
    match desk.keda.metrics(&desk.object, NOBODY).await {
        Ok(values) => Outcome::Fail(shown(&values)),
        Err(status) => Outcome::Pass(brief(&status)),
    }
}

async fn work(desk: &Desk<'_>, name: &str) -> Outcome {
    if !desk.subject.work {
        return Outcome::Skip("needs work to do, and --work".into());
    }
    let values = desk.keda.metrics(&desk.object, name).await;
    let active = desk.keda.is_active(&desk.object).await;
    match (values, active) {
        (Ok(values), Ok(active)) => {
            let seen = !values.is_empty() && values.iter().all(|value| value.metric_value > 0);
            judge(seen && active, format!("{}, active {active}", shown(&values)))
        }
        (Err(status), _) | (_, Err(status)) => Outcome::Fail(brief(&status)),
    }
}

async fn blind(desk: &Desk<'_>, name: &str) -> Outcomes {
    if desk.subject.unreadable.is_empty() {
        let skip = || Outcome::Skip("needs --unreadable key=value".into());
        return vec![("blind-error", skip()), ("blind-spec", skip())];
    }
    let object = desk.subject.object(&desk.subject.unreadable);
    let spec = match desk.keda.metric_specs(&object).await {
        Ok(specs) => judge(!specs.is_empty(), format!("{} spec(s)", specs.len())),
        Err(status) => Outcome::Fail(brief(&status)),
    };
    vec![("blind-error", errors(desk, &object, name).await), ("blind-spec", spec)]
}

async fn errors(desk: &Desk<'_>, object: &ScaledObject, name: &str) -> Outcome {
    // Its metric may have another name.
    let specs = desk.keda.metric_specs(object).await.unwrap_or_default();
    let name = specs.first().map_or(name, |spec| spec.metric_name.as_str());
    let values = desk.keda.metrics(object, name).await;
    let active = desk.keda.is_active(object).await;
    match (values, active) {
        (Err(status), Err(_)) => Outcome::Pass(brief(&status)),
        (Ok(values), _) => Outcome::Fail(format!("GetMetrics gave {}", shown(&values))),
        (_, Ok(active)) => Outcome::Fail(format!("IsActive gave {active}")),
    }
}

fn shown(values: &[MetricValue]) -> String {
    if values.is_empty() {
        return "no value".into();
    }
    let one = |value: &MetricValue| {
        let MetricValue { metric_name, metric_value, metric_value_float } = value;
        format!("{metric_name:?} {metric_value} / {metric_value_float}")
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}
