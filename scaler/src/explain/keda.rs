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
pub(super) fn wanted(value: f64, target: f64, metric_type: MetricType, current: Option<u64>) -> Option<u64> {
    if let Some(current) = current.filter(|current| is_near(value, target, metric_type, *current)) {
        return Some(current);
    }
    match metric_type {
        MetricType::AverageValue => Some(ceil(ratio(value, target, 1.0))),
        MetricType::Value => Some(ceil(ratio(value, target, 1.0) * float(current?))),
    }
}

/// Whether the autoscaler leaves as many as there are, because the value is near enough to what they are meant for.
pub(super) fn is_near(value: f64, target: f64, metric_type: MetricType, current: u64) -> bool {
    let shares = if metric_type == MetricType::AverageValue { float(current) } else { 1.0 };
    current > 0 && (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio(value, target, shares))
}

/// The value against so many targets, both with three decimals, as KEDA hands them over.
fn ratio(value: f64, target: f64, shares: f64) -> f64 {
    milli(value) / (milli(target).max(1.0) * shares)
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
        deduction: u64,
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

/// What one trigger of a `ScaledJob` asks for, or several of them together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Queue {
    length: f64,
    /// A fraction until it is rounded up at the end.
    jobs: f64,
}

impl Queue {
    pub(super) fn new(value: f64, target: f64, max: u64) -> Self {
        Self { length: value, jobs: ratio(value, target, 1.0).min(float(max)) }
    }
}

/// How the queues of several triggers become one (`multipleScalersCalculation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calculation {
    /// The longest, the first among equals.
    Max,
    /// The shortest.
    Min,
    /// The mean of lengths and of jobs.
    Average,
    /// The sum of lengths and of jobs.
    Sum,
}

impl Calculation {
    /// Only queues of active triggers take part.
    pub(super) fn together(self, queues: &[Queue]) -> Queue {
        let longer = |most: Queue, queue: &Queue| if queue.length > most.length { *queue } else { most };
        // An empty queue gives way to any other, as in KEDA.
        let shorter = |least: Queue, queue: &Queue| {
            if least.length <= 0.0 || queue.length < least.length { *queue } else { least }
        };
        let none = Queue::default();
        let add = |sum: Queue, queue: &Queue| Queue { length: sum.length + queue.length, jobs: sum.jobs + queue.jobs };
        match self {
            Self::Max => queues.iter().fold(none, longer),
            Self::Min => queues.iter().fold(none, shorter),
            Self::Average => {
                let Queue { length, jobs } = queues.iter().fold(none, add);
                let count = queues.iter().map(|_| 1.0).sum::<f64>().max(1.0);
                Queue { length: length / count, jobs: jobs / count }
            }
            Self::Sum => queues.iter().fold(none, add),
        }
    }
}

/// Jobs that KEDA creates at a poll.
pub(super) fn new_jobs(queue: Queue, max: u64, strategy: Strategy, jobs: Jobs) -> u64 {
    let most = ceil(queue.jobs.min(float(max)));
    let room = max.saturating_sub(jobs.running);
    let allowed = match strategy {
        Strategy::Default => most.saturating_sub(jobs.running),
        Strategy::Custom { deduction, fraction } => {
            let at_work = (float(jobs.running) * fraction).trunc();
            ceil((float(most) - float(deduction) - at_work).max(0.0)).min(max)
        }
        Strategy::Accurate if most + jobs.running > max + jobs.pending => room,
        Strategy::Accurate => most.saturating_sub(jobs.pending),
        Strategy::Eager => return room.saturating_sub(jobs.pending).min(most),
    };
    // With a target below 1 there would be more jobs than entries.
    allowed.min(ceil(queue.length))
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
        let custom = Strategy::Custom { deduction: 1, fraction: 0.5 };
        let none = Jobs::default();
        let some = Jobs { running: 3, pending: 1 };
        let waiting = Jobs { running: 3, pending: 3 };
        let rows = [
            (30.0, 3, Strategy::Default, none, 3),
            (0.0, 3, Strategy::Default, none, 0),
            (50.0, 10, Strategy::Default, some, 2),
            (20.0, 10, Strategy::Default, some, 0),
            // Of 1.5 running ones only 1 is taken off.
            (50.0, 10, custom, some, 3),
            (50.0, 10, custom, none, 4),
            (10.0, 10, Strategy::Custom { deduction: 9, fraction: 0.0 }, some, 0),
            (50.0, 10, Strategy::Accurate, some, 4),
            (90.0, 10, Strategy::Accurate, some, 7),
            (80.0, 10, Strategy::Accurate, waiting, 5),
            (50.0, 10, Strategy::Eager, some, 5),
            (90.0, 10, Strategy::Eager, some, 6),
        ];
        for (value, max, strategy, jobs, expected) in rows {
            let queue = Queue::new(value, 10.0, max);
            assert_eq!(new_jobs(queue, max, strategy, jobs), expected, "{value} {strategy:?} {jobs:?}");
        }
    }

    #[test]
    fn no_more_jobs_than_entries_unless_eager() {
        let queue = Queue::new(2.0, 0.5, 10);
        let of = |strategy| new_jobs(queue, 10, strategy, Jobs::default());
        assert_eq!((of(Strategy::Default), of(Strategy::Accurate), of(Strategy::Eager)), (2, 2, 4));
    }

    #[test]
    fn several_queues() {
        use Calculation::{Average, Max, Min, Sum};
        // The longest asks for fewer jobs than the others.
        let queues = [Queue::new(30.0, 5.0, 10), Queue::new(40.0, 20.0, 10), Queue::new(40.0, 4.0, 10)];
        let of = |calculation: Calculation, queues: &[Queue]| {
            new_jobs(calculation.together(queues), 10, Strategy::Default, Jobs::default())
        };
        assert_eq!((of(Max, &queues), of(Min, &queues), of(Average, &queues), of(Sum, &queues)), (2, 6, 6, 10));
        // 2.4 and 2.4 are rounded up together.
        let parts = [Queue::new(24.0, 10.0, 10); 2];
        assert_eq!((of(Max, &parts), of(Sum, &parts)), (3, 5));
        assert_eq!((of(Average, &[]), of(Max, &[])), (0, 0));
        let empty = [Queue::new(0.0, 1.0, 10), Queue::new(3.0, 1.0, 10)];
        assert_eq!(of(Min, &empty), 3);
    }
}
