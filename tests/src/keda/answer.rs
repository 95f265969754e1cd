//! How KEDA reads a scaler's answers (pure).

use super::{MetricSpec, MetricValue, Version};

/// The target per replica; what is not above zero is refused by the API server when the autoscaler is written.
pub fn target(version: Version, spec: &MetricSpec) -> f64 {
    if version.reads_floats() && spec.target_size_float > 0.0 {
        spec.target_size_float
    } else {
        float(spec.target_size)
    }
}

/// One value.
pub fn value(version: Version, value: &MetricValue) -> f64 {
    let number = if version.reads_floats() && value.metric_value_float > 0.0 {
        value.metric_value_float
    } else {
        float(value.metric_value)
    };
    let bad = number.is_nan() || number.is_infinite() || number < 0.0;
    if version.mends_values() && bad { 0.0 } else { number }
}

/// What the autoscaler is told: every value counts under the asked name, whatever name it came with. `None` without any.
pub fn total(version: Version, values: &[MetricValue]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().map(|one| value(version, one)).sum())
}

/// The autoscaler's name for a metric of the trigger with this index.
pub fn outer_name(index: usize, name: &str) -> String {
    format!("s{index}-{name}")
}

/// The name that the scaler is asked for: without the `sN-` in front.
pub fn inner_name(name: &str) -> &str {
    let bare = name.strip_prefix('s').and_then(|rest| {
        let (index, bare) = rest.split_once('-')?;
        (!index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit())).then_some(bare)
    });
    bare.unwrap_or(name)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and KEDA does the same")]
pub(super) fn float(number: i64) -> f64 {
    number as f64
}

/// The next whole number, none below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn ceiling(number: f64) -> u32 {
    number.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(whole: i64, float: f64) -> MetricSpec {
        MetricSpec { metric_name: "m".into(), target_size: whole, target_size_float: float }
    }

    fn one(whole: i64, float: f64) -> MetricValue {
        MetricValue { metric_name: "m".into(), metric_value: whole, metric_value_float: float }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn an_old_version_reads_integers_and_a_new_one_prefers_floats() {
        assert!(close(target(Version::V2_16, &spec(7, 6.111)), 7.0));
        assert!(close(target(Version::V2_18, &spec(7, 6.111)), 6.111));
        assert!(close(target(Version::V2_21, &spec(7, 0.0)), 7.0));
        assert!(close(target(Version::V2_16, &spec(0, 6.111)), 0.0));
        assert!(close(value(Version::V2_16, &one(23, 22.222)), 23.0));
        assert!(close(value(Version::V2_20, &one(23, 22.222)), 22.222));
    }

    #[test]
    fn a_float_of_zero_lets_a_stale_integer_through() {
        assert!(close(value(Version::V2_20, &one(5, 0.0)), 5.0));
        assert!(close(value(Version::V2_20, &one(5, -1.0)), 5.0));
    }

    #[test]
    fn negative_values_reach_only_old_autoscalers() {
        assert!(close(value(Version::V2_18, &one(-1, -1.0)), -1.0));
        assert!(close(value(Version::V2_20, &one(-1, -1.0)), 0.0));
        assert!(close(value(Version::V2_20, &one(0, f64::INFINITY)), 0.0));
    }

    #[test]
    fn all_values_are_summed() {
        assert_eq!(total(Version::V2_20, &[]), None);
        assert!(total(Version::V2_20, &[one(1, 1.0), one(2, 2.0)]).is_some_and(|sum| close(sum, 3.0)));
    }

    #[test]
    fn only_a_real_index_is_stripped() {
        assert_eq!(inner_name(&outer_name(12, "s-g-lag")), "s-g-lag");
        for kept in ["s-g-lag", "sx-lag", "lag", "s12", ""] {
            assert_eq!(inner_name(kept), kept);
        }
    }
}
