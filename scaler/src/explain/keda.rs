//! KEDA's and the autoscaler's arithmetic (pure): from a value to a number of replicas or jobs.

/// The autoscaler leaves a ratio alone that is this close to 1 (its default).
const TOLERANCE: f64 = 0.1;

/// How a value becomes replicas (`metricType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    /// The target is meant per replica.
    AverageValue,
    /// The target is meant for all replicas together.
    Value,
}

/// Replicas that the autoscaler wants for one metric, before its bounds. `None`: that depends on how many there are.
///
/// Values and targets have three decimals, as KEDA hands them over.
pub(super) fn wanted(value: f64, target: f64, metric_type: MetricType, current: Option<u64>) -> Option<u64> {
    let (value, target) = (milli(value), milli(target).max(1.0));
    match metric_type {
        MetricType::AverageValue => {
            let current = current.filter(|current| *current > 0);
            match current {
                Some(current) if close(value / (target * float(current))) => Some(current),
                _ => Some(ceil(value / target)),
            }
        }
        MetricType::Value => {
            let current = current?;
            if current == 0 {
                return Some(0);
            }
            let ratio = value / target;
            Some(if close(ratio) { current } else { ceil(ratio * float(current)) })
        }
    }
}

fn close(ratio: f64) -> bool {
    (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio)
}

/// The bounds of the autoscaler: it never goes below one replica.
pub(super) fn bounded(wanted: u64, min: u64, max: u64) -> u64 {
    wanted.min(max).max(min.max(1))
}

/// A `fallback` and what it does (`behavior`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    /// Always the given number.
    Static,
    /// As many as there are.
    Current,
    /// As many as there are, at least the given number.
    CurrentIfHigher,
    /// As many as there are, at most the given number.
    CurrentIfLower,
}

/// Replicas while the scaler answers errors for longer than the threshold.
pub(super) fn fallen_back(behavior: Behavior, replicas: u64, current: u64) -> u64 {
    match behavior {
        Behavior::Static => replicas,
        Behavior::Current => current,
        Behavior::CurrentIfHigher => current.max(replicas),
        Behavior::CurrentIfLower => current.min(replicas),
    }
}

/// How a `ScaledJob` takes jobs into account that are there already.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Strategy {
    /// Minus the running ones.
    Default,
    /// Minus a number and a part of the running ones.
    Custom {
        /// `customScalingQueueLengthDeduction`
        deduction: f64,
        /// `customScalingRunningJobPercentage`, a fraction.
        fraction: f64,
    },
    /// Minus those that have not begun, as far as there is room.
    Accurate,
    /// As many as there is room for.
    Eager,
}

/// Jobs that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Jobs {
    /// Not ended.
    pub(super) running: u64,
    /// Those of them that have not begun.
    pub(super) pending: u64,
}

/// Jobs that KEDA creates at a poll: `value` is the length of the queue.
pub(super) fn new_jobs(value: f64, target: f64, max: u64, strategy: Strategy, jobs: Jobs) -> u64 {
    let most = ceil(milli(value) / milli(target).max(1.0)).min(max);
    let room = max.saturating_sub(jobs.running);
    match strategy {
        Strategy::Default => most.saturating_sub(jobs.running),
        Strategy::Custom { deduction, fraction } => {
            let left = float(most) - deduction - float(jobs.running) * fraction;
            floor(left.max(0.0)).min(max)
        }
        Strategy::Accurate if most + jobs.running > max => room,
        Strategy::Accurate => most.saturating_sub(jobs.pending),
        Strategy::Eager => room.saturating_sub(jobs.pending).min(most),
    }
}

fn milli(number: f64) -> f64 {
    (number * 1000.0).round()
}

#[expect(clippy::cast_precision_loss, reason = "replicas: exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts; what is too large saturates")]
fn ceil(number: f64) -> u64 {
    number.ceil() as u64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts; what is too large saturates")]
fn floor(number: f64) -> u64 {
    number.floor() as u64
}

#[cfg(test)]
mod tests {
    use MetricType::{AverageValue, Value};

    use super::*;

    #[test]
    fn an_average_value() {
        let rows = [
            (10.0, 12.0, None, 1),
            (11.0, 12.0, None, 1),
            (111.0, 12.0, None, 10),
            (0.0, 12.0, None, 0),
            (22.222, 6.111, None, 4),
            (1.1, 0.1, None, 11),
            (0.6, 0.2, None, 3),
            // Within a tenth of what there is, nothing changes.
            (110.0, 10.0, Some(10), 10),
            (111.0, 10.0, Some(10), 12),
            (90.0, 10.0, Some(10), 10),
            (89.0, 10.0, Some(10), 9),
            (21.0, 10.0, Some(2), 2),
            (21.0, 10.0, Some(0), 3),
            (21.0, 10.0, None, 3),
        ];
        for (value, target, current, expected) in rows {
            assert_eq!(wanted(value, target, AverageValue, current), Some(expected), "{value} {target} {current:?}");
        }
    }

    #[test]
    fn a_value_depends_on_what_there_is() {
        assert_eq!(wanted(30.0, 10.0, Value, None), None);
        assert_eq!(wanted(30.0, 10.0, Value, Some(0)), Some(0));
        assert_eq!(wanted(30.0, 10.0, Value, Some(2)), Some(6));
        assert_eq!(wanted(10.5, 10.0, Value, Some(2)), Some(2));
        assert_eq!(wanted(2.0, 10.0, Value, Some(5)), Some(1));
    }

    #[test]
    fn bounds() {
        let rows = [(10, 0, 4, 4), (0, 0, 4, 1), (1, 2, 4, 2), (3, 0, 100, 3)];
        for (wanted, min, max, expected) in rows {
            assert_eq!(bounded(wanted, min, max), expected);
        }
    }

    #[test]
    fn a_fallback() {
        use Behavior::{Current, CurrentIfHigher, CurrentIfLower, Static};
        for (behavior, low, high) in [(Static, 3, 3), (Current, 1, 5), (CurrentIfHigher, 3, 5), (CurrentIfLower, 1, 3)]
        {
            assert_eq!((fallen_back(behavior, 3, 1), fallen_back(behavior, 3, 5)), (low, high), "{behavior:?}");
        }
    }

    #[test]
    fn jobs_by_strategy() {
        let custom = Strategy::Custom { deduction: 1.0, fraction: 0.5 };
        let none = Jobs::default();
        let some = Jobs { running: 3, pending: 1 };
        let rows = [
            (30.0, 3, Strategy::Default, none, 3),
            (0.0, 3, Strategy::Default, none, 0),
            (50.0, 10, Strategy::Default, some, 2),
            (20.0, 10, Strategy::Default, some, 0),
            (50.0, 10, custom, some, 2),
            (50.0, 10, custom, none, 4),
            (50.0, 10, Strategy::Accurate, some, 4),
            (90.0, 10, Strategy::Accurate, some, 7),
            (50.0, 10, Strategy::Eager, some, 5),
            (90.0, 10, Strategy::Eager, some, 6),
        ];
        for (value, max, strategy, jobs, expected) in rows {
            assert_eq!(new_jobs(value, 10.0, max, strategy, jobs), expected, "{value} {strategy:?} {jobs:?}");
        }
    }
}
