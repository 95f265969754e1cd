//! What KEDA would do now and why, in words (pure).

use serde::Serialize;

use super::keda::{self, Jobs, MetricType, Queue};
use super::manifest::{Fallback, Kind, Object};
use super::pause::{Held, Pause};
use super::sample::Sample;
use crate::reading::Sorted;
use crate::trigger::{Metric, Redis, Trigger};

/// The autoscaler asks this often while there are replicas.
const SYNC: f64 = 15.0;

/// One trigger with its numbers.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) index: usize,
    pub(super) push: bool,
    pub(super) metric_type: MetricType,
    pub(super) trigger: Trigger,
    pub(super) sample: Sample,
}

/// What is said of one trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Judged {
    pub(super) index: usize,
    pub(super) metric: &'static str,
    pub(super) metric_name: String,
    pub(super) target: f64,
    pub(super) activation: f64,
    pub(super) sample: Sample,
    /// `None`: not known.
    pub(super) value: Option<f64>,
    pub(super) active: bool,
    /// Replicas before the bounds; `None` where that depends on how many there are, and for a `ScaledJob`.
    pub(super) wanted: Option<u64>,
    /// Lines for people: a heading and a text each.
    #[serde(skip)]
    pub(super) lines: Vec<(&'static str, String)>,
}

/// What is said of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outlook {
    /// `None` where it depends on a trigger that was not judged.
    pub(super) active: Option<bool>,
    /// Replicas, or jobs to create; `None` where that is not known.
    pub(super) result: Option<u64>,
    pub(super) now: String,
    pub(super) idle: String,
    pub(super) on_errors: String,
}

/// What there is now, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Present {
    /// Replicas; of a `ScaledJob` the jobs that have not ended.
    pub(super) replicas: Option<u64>,
    /// Jobs that have not begun.
    pub(super) pending_jobs: u64,
}

/// Where a trigger looks.
pub(super) fn whereabouts(trigger: &Trigger) -> String {
    let source = &trigger.source;
    let redis = match &source.redis {
        Redis::Own => "the scaler's own Redis".to_owned(),
        Redis::Other { sentinels, master } => {
            let sentinels: Vec<String> = sentinels.iter().map(ToString::to_string).collect();
            format!("master {master} of {}", sentinels.join(","))
        }
    };
    format!("stream {}, group {}, database {}, {redis}", source.stream, source.group, source.db)
}

/// Judges one trigger.
pub(super) fn judge(object: &Object, look: &Look, present: Present) -> Judged {
    let Look { index, trigger, sample, metric_type, .. } = look;
    let metric = trigger.metric.as_str();
    let (value, counts) = (sample.value(trigger), &sample.counts);
    let is_length = trigger.metric == Metric::Length;
    let (judged, count) = if is_length { ("length", counts.length) } else { ("backlog", counts.backlog_of(trigger)) };
    let active = counts.active(trigger);
    let mut lines = vec![("backlog", parts(sample))];
    lines.extend(trigger.orphans.map(|limits| ("pending", told_apart(counts.sorted(Some(limits))))));
    let shown = value.map_or("not known".to_owned(), |value| value.to_string());
    let per = if *metric_type == MetricType::Value { "for all replicas together" } else { "per replica" };
    let per = if object.kind.is_job() { "per job" } else { per };
    lines.push(("metric", format!("{} is {shown}, target {} {per}", trigger.metric_name(), trigger.target)));
    let verdict = if active { "yes" } else { "no" };
    let more = if active { "more" } else { "not more" };
    let activity = format!("{verdict}: the {judged}, {count}, is {more} than the activation, {}", trigger.activation);
    lines.push(("active", activity));
    let mut wanted = None;
    if let (Some(value), false) = (value, object.kind.is_job()) {
        wanted = keda::wanted(value, trigger.target, *metric_type, present.replicas);
        lines.push(("wanted", formula(value, trigger.target, *metric_type, present.replicas, wanted)));
    }
    let (target, activation) = (trigger.target, trigger.activation);
    let (metric_name, sample) = (trigger.metric_name(), sample.clone());
    Judged { index: *index, metric, metric_name, target, activation, sample, value, active, wanted, lines }
}

fn parts(sample: &Sample) -> String {
    let Sample { backlog, pending, lag, length, method, .. } = sample;
    let least = if sample.exact { "" } else { "at least " };
    let waiting = if sample.waiting { "; entries wait for their agent, which makes it at least 1" } else { "" };
    format!("{backlog} = {pending} pending + {least}{lag} unread ({method}){waiting}; length {length}")
}

fn told_apart(Sorted { live, orphaned, poison, .. }: Sorted) -> String {
    format!("{live} live, {orphaned} orphaned (they count as one), {poison} poison (not counted)")
}

fn formula(value: f64, target: f64, metric_type: MetricType, current: Option<u64>, wanted: Option<u64>) -> String {
    match (metric_type, wanted, current) {
        (_, Some(wanted), Some(current)) if keda::is_near(value, target, metric_type, current) => {
            let near = if metric_type == MetricType::Value { "1" } else { &format!("the {current} that there are") };
            format!("{wanted}: {value} / {target} is within a tenth of {near}")
        }
        (MetricType::AverageValue, Some(wanted), _) => format!("{wanted} = {value} / {target}, rounded up"),
        (MetricType::Value, Some(wanted), Some(current)) => {
            format!("{wanted} = {current} x {value} / {target}, rounded up")
        }
        _ => "depends on how many there are: give --replicas".to_owned(),
    }
}

/// Judges an object by all of its triggers that are known. There is at least one; `others` are those that are not.
pub(super) fn outlook(
    object: &Object,
    looks: &[Look],
    judged: &[Judged],
    others: &[usize],
    present: Present,
) -> Outlook {
    let active = judged.iter().any(|judged| judged.active);
    let mut outlook = match object.kind {
        Kind::ScaledObject => replicas(object, looks, judged, active, present.replicas),
        Kind::ScaledJob(..) => jobs(object, judged, active, present),
    };
    if !active && !others.is_empty() {
        let list = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let may = if object.goes_to_zero() { "is active" } else { "asks for more" };
        outlook.now = format!("as here, unless trigger {list} {may}: {}", outlook.now);
        (outlook.active, outlook.result) = (None, None);
    }
    if object.formula {
        outlook.result = None;
        "by the formula in scalingModifiers, which is not computed here".clone_into(&mut outlook.now);
    }
    paused(object.pause, present.replicas, outlook)
}

/// What annotations leave of it.
fn paused(pause: Pause, current: Option<u64>, mut outlook: Outlook) -> Outlook {
    if let Some(held) = pause.all {
        let (result, now) = match held {
            Held::AsItIs => (None, "nothing: an annotation pauses the object".to_owned()),
            Held::At(number) => {
                (Some(number), format!("{}: an annotation pauses the object there", many(Some(number))))
            }
        };
        let idle = "not while it is paused".to_owned();
        return Outlook { result, now, idle, on_errors: "nothing changes while it is paused".to_owned(), ..outlook };
    }
    outlook.result = pause.bounded(outlook.result, current);
    if pause.scale_in {
        outlook.now = format!("none is taken away (paused-scale-in); without that {}", outlook.now);
        "not while paused-scale-in is there".clone_into(&mut outlook.idle);
    }
    if pause.scale_out {
        outlook.now = format!("none is added (paused-scale-out); without that {}", outlook.now);
    }
    outlook
}

fn replicas(object: &Object, looks: &[Look], judged: &[Judged], active: bool, current: Option<u64>) -> Outlook {
    let Object { min, max, cooldown, polling, .. } = *object;
    let wanted: Option<u64> =
        judged.iter().map(|judged| judged.wanted).try_fold(0, |most, wanted| Some(most.max(wanted?)));
    let scaled = wanted.map(|wanted| keda::bounded(wanted, min, max));
    let bounds = format!("the autoscaler stays within {} and {max}", min.max(1));
    let first = min.max(1);
    let rest = object.idle.unwrap_or(0);
    let to_zero = object.goes_to_zero();
    let pushed = looks.iter().zip(judged).any(|(look, judged)| look.push && judged.active);
    let (result, now) = match (active, to_zero) {
        (true, _) if !to_zero || current.is_some_and(|current| current > rest) => {
            (scaled, format!("{}; {bounds}", many(scaled)))
        }
        (true, _) => {
            let when = if pushed { "at once (pushed)" } else { "at the next poll" };
            let when = if pushed { when.to_owned() } else { format!("{when}, in up to {polling} s") };
            let begin = format!("from {rest} to {first} {when}, then ");
            (scaled, format!("{begin}{}; {bounds}", many(scaled)))
        }
        (false, false) => (scaled, format!("{}: minReplicaCount is {min}, so activity does not count", many(scaled))),
        (false, true) if current.is_some_and(|current| current <= rest) => (Some(rest), format!("stays at {rest}")),
        (false, true) => (
            Some(rest),
            format!(
                "{rest} replicas, when no trigger has been active for {cooldown} s; until then {bounds}{}",
                scaled.map_or(String::new(), |scaled| format!(", which means {scaled}"))
            ),
        ),
    };
    let idle = if to_zero {
        format!("to {rest} when no trigger has been active for {cooldown} s (cooldownPeriod), seen each {polling} s")
    } else {
        format!("never: minReplicaCount is {min}")
    };
    Outlook { active: Some(active), result, now, idle, on_errors: errors(object, current) }
}

fn many(replicas: Option<u64>) -> String {
    match replicas {
        Some(1) => "1 replica".to_owned(),
        Some(replicas) => format!("{replicas} replicas"),
        None => "as many as follow from how many there are".to_owned(),
    }
}

fn errors(object: &Object, current: Option<u64>) -> String {
    let to_zero = object.goes_to_zero();
    let Some(Fallback { threshold, replicas, behavior }) = object.fallback else {
        let rest = if to_zero { ", and from zero nothing starts" } else { "" };
        return format!("the replicas stay as they are{rest}");
    };
    let target = match behavior {
        keda::Behavior::Static => many(Some(replicas)),
        keda::Behavior::Current => "the replicas that there are".to_owned(),
        keda::Behavior::CurrentIfHigher => format!("the replicas that there are, at least {replicas}"),
        keda::Behavior::CurrentIfLower => format!("the replicas that there are, at most {replicas}"),
    };
    // A fallback of none does not hold the replicas that there are, whatever its behavior.
    let holds = !to_zero || replicas > 0;
    let target = match current.filter(|_| holds) {
        Some(current) => {
            let then = keda::bounded(keda::fallen_back(behavior, replicas, current), object.min, object.max);
            format!("{target} (now {then})")
        }
        None => target,
    };
    let first = if holds { "nothing changes at first" } else { "to zero after the cooldown" };
    let (slow, quick) = (seconds(threshold, object.polling, false), seconds(threshold, object.polling, true));
    let slow = if to_zero { format!(", {slow} s at zero") } else { String::new() };
    format!("{first}; after {} failures in a row (about {quick} s{slow}): {target}", threshold + 1)
}

/// Time until the failures are one more than the threshold: polls count, and the autoscaler's own questions do.
fn seconds(threshold: u64, polling: u64, running: bool) -> u64 {
    let rate = 1.0 / crate::reading::as_float(polling.max(1)) + if running { 1.0 / SYNC } else { 0.0 };
    let seconds = (crate::reading::as_float(threshold + 1) / rate).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; what is too large saturates"
    )]
    let seconds = seconds as u64;
    seconds
}

fn jobs(object: &Object, judged: &[Judged], active: bool, present: Present) -> Outlook {
    let Kind::ScaledJob(strategy, calculation) = object.kind else {
        return Outlook {
            active: Some(active),
            result: None,
            now: String::new(),
            idle: String::new(),
            on_errors: String::new(),
        };
    };
    let jobs = Jobs { running: present.replicas.unwrap_or(0), pending: present.pending_jobs };
    let queue = |judged: &Judged| Some(Queue::new(judged.value?, judged.target, object.max));
    let queues: Option<Vec<Queue>> = judged.iter().filter(|judged| judged.active).map(queue).collect();
    let new = queues.map(|queues| keda::new_jobs(calculation.together(&queues), object.max, strategy, jobs));
    let running = match present.replicas {
        Some(running) => format!("{running} run, {} of them not begun", jobs.pending),
        None => "as if none ran; give --replicas and --pending-jobs".to_owned(),
    };
    let now = match new {
        Some(new) if active => {
            format!("{new} new jobs at each poll ({} s), at most {} in all ({running})", object.polling, object.max)
        }
        Some(_) => "no new jobs".to_owned(),
        None => "as many new jobs as follow from a number that is not known".to_owned(),
    };
    let idle = "jobs end by themselves; none is stopped".to_owned();
    let on_errors = "no new jobs; a ScaledJob has no fallback".to_owned();
    Outlook { active: Some(active), result: new, now, idle, on_errors }
}

#[cfg(test)]
mod tests;
