//! What answers are worth (pure).

use std::time::{Duration, Instant};

use crate::marks::{Mark, Switch};
use crate::sample::Sample;

/// KEDA sets no deadline: no answer may take longer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_millis(1500);
/// After a Sentinel has named another master, so long may the old one still be read.
const SWITCH_WITHIN: Duration = Duration::from_millis(500);
/// Two replicas read at different times, each about twice a second; a busy machine doubles it.
const AGREE_WITHIN: Duration = Duration::from_secs(1);

/// What a fault allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Numbers may fall, since Redis itself forgets.
    pub(crate) may_fall: bool,
    /// Replicas may be away: they are not compared.
    pub(crate) may_part: bool,
}

/// Of one fault.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) answers: usize,
    pub(crate) errors: usize,
    pub(crate) longest: Duration,
    /// The longest time that one replica gave no number.
    pub(crate) blind: Duration,
    pub(crate) smallest: Option<i64>,
    /// The deepest fall below a replica's own last number.
    pub(crate) fell: i64,
    /// The longest time with two different numbers.
    pub(crate) apart: Duration,
    /// What must not be.
    pub(crate) findings: Vec<String>,
}

/// Judges the answers of two replicas, in the order of the questions.
pub(crate) fn judge(samples: &[Sample], marks: &[Mark], switches: &[Switch], rules: Rules) -> Verdict {
    let mut verdict = Verdict { answers: samples.len(), ..Verdict::default() };
    verdict.longest = samples.iter().map(|sample| sample.took).max().unwrap_or_default();
    verdict.errors = samples.iter().filter(|sample| sample.value.is_err()).count();
    verdict.smallest = samples.iter().filter_map(|sample| sample.value.ok()).min();
    for replica in 0..2 {
        let own: Vec<&Sample> = samples.iter().filter(|sample| sample.replica == replica).collect();
        verdict.blind = verdict.blind.max(longest_blindness(&own));
        verdict.fell = verdict.fell.max(deepest_fall(&own));
    }
    verdict.apart = longest_difference(samples);
    let mut find = |what: &str, found: Option<&Sample>| {
        if let Some(sample) = found {
            verdict.findings.push(format!("{what}: {sample:?}"));
        }
    };
    find("late", samples.iter().find(|sample| sample.took >= ANSWER_WITHIN));
    find("a zero that is none", samples.iter().find(|sample| sample.value == Ok(0) || sample.active == Ok(false)));
    find("from a node that is no master", samples.iter().find(|sample| is_stale(sample, marks, switches)));
    if verdict.fell > 0 && !rules.may_fall {
        verdict.findings.push(format!("a number fell by {}", verdict.fell));
    }
    if verdict.apart > AGREE_WITHIN && !rules.may_part {
        verdict.findings.push(format!("the replicas differed for {:?}", verdict.apart));
    }
    verdict
}

/// Asked late enough after a switch, and without the mark of the new master.
fn is_stale(sample: &Sample, marks: &[Mark], switches: &[Switch]) -> bool {
    let named = switches.iter().rfind(|switch| switch.at + SWITCH_WITHIN < sample.at);
    let mark = named.and_then(|switch| marks.iter().rfind(|mark| mark.node == switch.node));
    mark.zip(sample.value.ok()).is_some_and(|(mark, value)| mark.at < sample.at && value < mark.count)
}

fn longest_blindness(own: &[&Sample]) -> Duration {
    let (mut longest, mut since) = (Duration::ZERO, None);
    for sample in own {
        if sample.value.is_err() {
            let since: Instant = *since.get_or_insert(sample.at);
            longest = longest.max(sample.at + sample.took - since);
        } else {
            since = None;
        }
    }
    longest
}

fn deepest_fall(own: &[&Sample]) -> i64 {
    let numbers = || own.iter().filter_map(|sample| sample.value.ok());
    numbers().zip(numbers().skip(1)).map(|(last, next)| last - next).max().unwrap_or_default().max(0)
}

/// Both replicas' newest answers are numbers, and not the same.
fn longest_difference(samples: &[Sample]) -> Duration {
    let (mut longest, mut since, mut newest) = (Duration::ZERO, None, [None; 2]);
    for sample in samples {
        if let Some(own) = newest.get_mut(sample.replica) {
            *own = sample.value.ok();
        }
        match newest {
            [Some(one), Some(other)] if one != other => {
                let since: Instant = *since.get_or_insert(sample.at);
                longest = longest.max(sample.at - since);
            }
            _ => since = None,
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const STRICT: Rules = Rules { may_fall: false, may_part: false };

    fn at(begin: Instant, millis: u64) -> Instant {
        begin + Duration::from_millis(millis)
    }

    fn sample(replica: usize, at: Instant, value: Result<i64, Code>) -> Sample {
        Sample { replica, at, took: Duration::from_millis(3), value, active: value.map(|value| value > 0) }
    }

    fn findings(samples: &[Sample]) -> Vec<String> {
        judge(samples, &[], &[], STRICT).findings
    }

    #[test]
    fn numbers_and_errors_are_fine() {
        let begin = Instant::now();
        let away = Err(Code::Unavailable);
        let samples = [
            sample(0, begin, Ok(40)),
            sample(1, begin, away),
            sample(1, at(begin, 50), away),
            sample(0, begin, Ok(40)),
        ];
        let verdict = judge(&samples, &[], &[], STRICT);
        assert_eq!((verdict.answers, verdict.errors, verdict.smallest), (4, 2, Some(40)));
        assert_eq!((verdict.blind, verdict.findings.as_slice()), (Duration::from_millis(53), &[][..]));
    }

    #[test]
    fn a_zero_a_late_one_and_a_fall_are_found() {
        let begin = Instant::now();
        assert!(findings(&[sample(0, begin, Ok(0))])[0].starts_with("a zero"));
        let late = Sample { took: Duration::from_millis(1500), ..sample(0, begin, Err(Code::Unavailable)) };
        assert!(findings(&[late])[0].starts_with("late"));
        let fall = [sample(0, begin, Ok(50)), sample(1, begin, Ok(49)), sample(0, at(begin, 50), Ok(49))];
        assert_eq!(findings(&fall), ["a number fell by 1"]);
        let forgiven = Rules { may_fall: true, ..STRICT };
        assert_eq!(judge(&fall, &[], &[], forgiven).findings, Vec::<String>::new());
    }

    #[test]
    fn a_number_without_the_mark_is_stale_half_a_second_after_the_switch() {
        let begin = Instant::now();
        let marks = [Mark { at: begin, node: "b".into(), count: 140 }];
        let switches = [Switch { at: at(begin, 100), node: "b".into() }];
        let stale = |millis, value| {
            !judge(&[sample(0, at(begin, millis), Ok(value))], &marks, &switches, STRICT).findings.is_empty()
        };
        assert!(!stale(600, 40));
        assert!(stale(601, 40));
        assert!(!stale(601, 140));
        assert!(!stale(601, 240));
    }

    #[test]
    fn two_numbers_for_too_long_are_found() {
        let begin = Instant::now();
        let apart = |until| {
            let samples: Vec<_> = (0..=until)
                .flat_map(|tick| [sample(0, at(begin, tick * 50), Ok(4)), sample(1, at(begin, tick * 50), Ok(5))])
                .collect();
            judge(&samples, &[], &[], STRICT)
        };
        assert_eq!(apart(20).findings, Vec::<String>::new());
        assert_eq!(apart(21).apart, Duration::from_millis(1050));
        assert_eq!(apart(21).findings.len(), 1);
    }
}
