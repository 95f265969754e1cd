//! A `ScaledObject` with its autoscaler: replicas from answers and times (pure).
//!
//! Left out: the autoscaler's limit on how fast it adds replicas, and readiness of pods, which an `AverageValue`
//! does not look at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Version;
use super::answer::ceiling;

/// The autoscaler does nothing while the load is this close to the target.
const TOLERANCE: f64 = 0.1;

/// The `ScaledObject`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `minReplicaCount`
    pub min: u32,
    /// `maxReplicaCount`
    pub max: u32,
    /// `idleReplicaCount`
    pub idle: Option<u32>,
    /// `cooldownPeriod`
    pub cooldown: Duration,
    /// The autoscaler's window before it takes replicas away.
    pub stabilization: Duration,
    /// `fallback`
    pub fallback: Option<Fallback>,
}

/// What is scaled to while a metric cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// More failures in a row than this.
    pub threshold: u32,
    /// So many replicas.
    pub replicas: u32,
    /// Or the present ones.
    pub behavior: Behavior,
}

/// `fallback.behavior`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// The fallback's number.
    Static,
    /// The present number.
    Current,
    /// The larger of the two.
    CurrentIfHigher,
    /// The smaller of the two.
    CurrentIfLower,
}

/// What one trigger answered in one round, after both attempts.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// `GetMetricSpec` failed.
    Failed,
    /// `GetMetricSpec` gave no spec.
    Empty,
    /// One for each spec.
    Metrics(Vec<Metric>),
}

/// One metric of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// With `sN-` in front.
    pub name: String,
    /// Per replica.
    pub target: f64,
    /// `None`: `GetMetrics` or `IsActive` failed twice.
    pub read: Option<Read>,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Read {
    /// The sum of all values; `None` without any.
    pub total: Option<f64>,
    /// `IsActive`
    pub active: bool,
}

/// What the autoscaler was written with.
#[derive(Debug, Clone, PartialEq)]
enum Autoscaler {
    /// Targets by name.
    Metrics(BTreeMap<String, f64>),
    /// The API server's default: these metrics do not count.
    Cpu,
}

/// The state.
#[derive(Debug, Clone)]
pub struct Workload {
    version: Version,
    limits: Limits,
    replicas: u32,
    last_active: Option<Duration>,
    failures: BTreeMap<String, u32>,
    autoscaler: Option<Autoscaler>,
    wishes: VecDeque<(Duration, u32)>,
}

impl Workload {
    /// With so many replicas, and no autoscaler yet.
    pub fn new(version: Version, limits: Limits, replicas: u32) -> Self {
        let (failures, wishes) = (BTreeMap::new(), VecDeque::new());
        Self { version, limits, replicas, last_active: None, failures, autoscaler: None, wishes }
    }

    /// Replicas now.
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Whether there is an autoscaler that reads the triggers' metrics.
    pub fn is_autoscaled(&self) -> bool {
        matches!(self.autoscaler, Some(Autoscaler::Metrics(_)))
    }

    /// `status.health[metric].numberOfFailures`
    pub fn failures(&self, metric: &str) -> u32 {
        self.failures.get(metric).copied().unwrap_or_default()
    }

    /// Writes the autoscaler. Targets change here and nowhere else.
    pub fn reconcile(&mut self, seen: &[Seen]) {
        if self.autoscaler == Some(Autoscaler::Cpu) {
            return;
        }
        let metrics: Vec<&Metric> = metrics(seen).collect();
        if metrics.is_empty() {
            if !self.version.needs_specs() && seen.contains(&Seen::Empty) {
                self.autoscaler = Some(Autoscaler::Cpu);
            }
            return;
        }
        let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        let refused = metrics.iter().any(|metric| metric.target <= 0.0 || !is_metric_name(&metric.name));
        if names.len() == metrics.len() && !refused {
            let targets = metrics.iter().map(|metric| (metric.name.clone(), metric.target));
            self.autoscaler = Some(Autoscaler::Metrics(targets.collect()));
        }
    }

    /// KEDA's own round, each `pollingInterval`: zero or not.
    pub fn poll(&mut self, now: Duration, seen: &[Seen]) {
        // A failed GetMetricSpec is counted nowhere: the fallback never comes.
        let mut error = seen.iter().any(|trigger| !matches!(trigger, Seen::Metrics(_)));
        let mut active = false;
        for metric in metrics(seen) {
            if let Some(read) = metric.read {
                self.failures.remove(&metric.name);
                active |= read.active;
            } else {
                error = true;
                active |= self.count_failure(&metric.name).is_some() && self.version.fallback_is_active();
            }
        }
        self.scale(now, active, error);
    }

    /// The autoscaler's round: how many, as long as there are any.
    pub fn sync(&mut self, now: Duration, seen: &[Seen]) {
        let Some(Autoscaler::Metrics(targets)) = self.autoscaler.clone() else { return };
        if self.replicas == 0 {
            return;
        }
        let mut wish: Option<u32> = None;
        let mut blind = false;
        for (name, target) in targets {
            let metric = metrics(seen).find(|metric| metric.name == name);
            match self.load(metric, &name, target) {
                Some(load) => wish = wish.max(Some(wanted(load, target, self.replicas))),
                None => blind = true,
            }
        }
        let Some(wish) = wish.filter(|wish| !blind || *wish > self.replicas) else { return };
        let bounded = wish.clamp(self.limits.min.max(1), self.limits.max);
        self.replicas = self.stabilized(now, bounded);
    }

    /// A message of `StreamIsActive`.
    pub fn pushed(&mut self, now: Duration, active: bool) {
        let named = self.autoscaler.is_some();
        if active && (named || !self.version.needs_name_for_true()) {
            self.scale(now, true, false);
        } else if !active && self.version.obeys_false() && self.may_rest() {
            self.rest();
        }
    }

    /// The value that stands for the metric: a read one, the fallback's, or none.
    fn load(&mut self, metric: Option<&Metric>, name: &str, target: f64) -> Option<f64> {
        match metric?.read {
            Some(read) => {
                self.failures.remove(name);
                read.total
            }
            None => self.count_failure(name).map(|replicas| f64::from(replicas) * target),
        }
    }

    /// One failure more; the fallback's replicas once there are too many.
    fn count_failure(&mut self, metric: &str) -> Option<u32> {
        let fallback = self.limits.fallback?;
        let failures = self.failures.entry(metric.to_owned()).or_default();
        *failures += 1;
        let current = self.replicas;
        (*failures > fallback.threshold).then(|| match fallback.behavior {
            Behavior::Static => fallback.replicas,
            Behavior::Current => current,
            Behavior::CurrentIfHigher => fallback.replicas.max(current),
            Behavior::CurrentIfLower => fallback.replicas.min(current),
        })
    }

    fn scale(&mut self, now: Duration, active: bool, error: bool) {
        if active {
            if self.replicas <= self.limits.idle.unwrap_or(0) {
                self.replicas = self.limits.min.max(1);
            }
            if !error {
                self.last_active = Some(now);
            }
            return;
        }
        // A fallback of zero replicas is no reason to hold them.
        if error && self.limits.fallback.is_none_or(|fallback| fallback.replicas > 0) {
            return;
        }
        if self.may_rest() {
            if self.last_active.is_none_or(|last| now >= last + self.limits.cooldown) {
                self.rest();
            }
        } else {
            self.replicas = self.replicas.max(self.limits.min);
        }
    }

    fn may_rest(&self) -> bool {
        self.limits.min == 0 || self.limits.idle.is_some()
    }

    fn rest(&mut self) {
        self.replicas = self.limits.idle.unwrap_or(0);
        self.wishes.clear();
    }

    /// Nothing is taken away that was wanted within the window.
    fn stabilized(&mut self, now: Duration, wish: u32) -> u32 {
        self.wishes.push_back((now, wish));
        self.wishes.retain(|(at, _)| *at + self.limits.stabilization >= now);
        let most = self.wishes.iter().map(|(_, wish)| *wish).max().unwrap_or(wish);
        if wish < self.replicas { most.min(self.replicas) } else { wish }
    }
}

fn metrics(seen: &[Seen]) -> impl Iterator<Item = &Metric> {
    let lists = seen.iter().filter_map(|trigger| match trigger {
        Seen::Metrics(metrics) => Some(metrics),
        Seen::Failed | Seen::Empty => None,
    });
    lists.flatten()
}

/// The name is part of a path of the API server.
pub(super) fn is_metric_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '%'])
}

/// `AverageValue`: replicas so that each has the target.
fn wanted(load: f64, target: f64, replicas: u32) -> u32 {
    let ratio = load / (target * f64::from(replicas));
    if (1.0 - ratio).abs() <= TOLERANCE { replicas } else { ceiling(load / target) }
}

#[cfg(test)]
mod tests;
