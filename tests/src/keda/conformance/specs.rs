//! `GetMetricSpec`.

use std::collections::BTreeSet;

use super::{Desk, Outcome, Outcomes, brief, judge};
use crate::keda::workload::is_metric_name;
use crate::keda::{MetricSpec, Version, answer};

/// Calls that are compared.
const TIMES: usize = 10;

pub(super) async fn run(desk: &Desk<'_>) -> Outcomes {
    let first = match desk.keda.metric_specs(&desk.object).await {
        Ok(specs) => specs,
        Err(status) => return vec![("spec-given", Outcome::Fail(brief(&status)))],
    };
    if first.is_empty() {
        return vec![("spec-given", Outcome::Fail("an empty list".into()))];
    }
    let names: BTreeSet<&str> = first.iter().map(|spec| spec.metric_name.as_str()).collect();
    vec![
        ("spec-given", Outcome::Pass(format!("{} spec(s)", first.len()))),
        ("spec-constant", constant(desk, &first).await),
        ("spec-target", targets(&first)),
        ("spec-numbers", all(&first, agree)),
        ("spec-name", all(&first, |spec| is_metric_name(&spec.metric_name))),
        ("spec-distinct", judge(names.len() == first.len(), format!("{} of {} names", names.len(), first.len()))),
        ("spec-single", judge(first.len() == 1, format!("{} spec(s)", first.len()))),
    ]
}

async fn constant(desk: &Desk<'_>, first: &[MetricSpec]) -> Outcome {
    for _ in 1..TIMES {
        match desk.keda.metric_specs(&desk.object).await {
            Ok(specs) if specs == first => {}
            Ok(specs) => return Outcome::Fail(format!("{} then {}", shown(first), shown(&specs))),
            Err(status) => return Outcome::Fail(brief(&status)),
        }
    }
    Outcome::Pass(format!("{TIMES} times {}", shown(first)))
}

/// Each version reads a target that the API server takes.
fn targets(specs: &[MetricSpec]) -> Outcome {
    let above = |spec: &MetricSpec| Version::ALL.iter().all(|version| answer::target(*version, spec) > 0.0);
    all(specs, above)
}

fn agree(spec: &MetricSpec) -> bool {
    let rounded = spec.target_size_float.ceil() - answer::float(spec.target_size);
    spec.target_size_float > 0.0 && rounded.abs() < 0.5
}

fn all(specs: &[MetricSpec], good: impl Fn(&MetricSpec) -> bool) -> Outcome {
    judge(specs.iter().all(good), shown(specs))
}

fn shown(specs: &[MetricSpec]) -> String {
    let one = |spec: &MetricSpec| format!("{:?} {} / {}", spec.metric_name, spec.target_size, spec.target_size_float);
    specs.iter().map(one).collect::<Vec<_>>().join(", ")
}
