//! Which number is reported, its target, and when there is work.

use super::Metric;
use super::keys::Keys;

const DEFAULT_TARGET: f64 = 10.0;

pub(super) struct Scale {
    pub(super) metric: Metric,
    pub(super) target: f64,
    pub(super) activation: f64,
    pub(super) starts_jobs: bool,
}

/// A `ScaledJob` strategy that subtracts running jobs itself, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    CountsRunning,
    LeavesRunningOut,
}

/// Reads `metric`, `target`, `activationTarget`, `jobScalingStrategy` and KEDA's own counting keys.
pub(super) fn parse(keys: &mut Keys<'_>) -> Scale {
    let explicit = keys.word(
        "metric",
        &[
            ("backlog", Metric::Backlog),
            ("pending", Metric::Pending),
            ("lag", Metric::Lag),
            ("length", Metric::Length),
            ("age", Metric::Age),
        ],
    );
    let strategy = keys.word(
        "jobScalingStrategy",
        &[
            ("accurate", Strategy::LeavesRunningOut),
            ("eager", Strategy::LeavesRunningOut),
            ("default", Strategy::CountsRunning),
            ("custom", Strategy::CountsRunning),
        ],
    );
    let keda = KedaKeys::parse(keys);
    let selected = keda.selected();
    let metric = if strategy == Some(Strategy::LeavesRunningOut) {
        if matches!(explicit, Some(Metric::Pending | Metric::Length | Metric::Age)) {
            keys.reject("metric", "with jobScalingStrategy accurate or eager only lag is counted: leave metric out");
        }
        Metric::Lag
    } else {
        explicit.or(selected.map(|(metric, _)| metric)).unwrap_or(Metric::Backlog)
    };
    let target = keys.target("target");
    // A number of entries is no number of seconds.
    let selected = selected.filter(|_| metric != Metric::Age);
    let target = target.or(keda.of(metric)).or(selected.map(|(_, target)| target)).unwrap_or(DEFAULT_TARGET);
    let activation = keys.count("activationTarget");
    let alias = keys.count("activationLagCount");
    Scale { metric, target, activation: activation.or(alias).unwrap_or(0.0), starts_jobs: strategy.is_some() }
}

/// Targets in the words of KEDA's `redis-sentinel-streams` trigger.
struct KedaKeys {
    pending: Option<f64>,
    lag: Option<f64>,
    length: Option<f64>,
    group_given: bool,
}

impl KedaKeys {
    fn parse(keys: &mut Keys<'_>) -> Self {
        Self {
            pending: keys.target("pendingEntriesCount"),
            // To KEDA a lagCount of zero is one that was not given.
            lag: keys.count("lagCount").filter(|lag| *lag > 0.0).and_then(|_| keys.target("lagCount")),
            length: keys.target("streamLength"),
            group_given: keys.given("consumerGroup").is_some(),
        }
    }

    /// KEDA's precedence: without a group the length, otherwise the lag, otherwise the pending entries.
    fn selected(&self) -> Option<(Metric, f64)> {
        let length = self.length.map(|target| (Metric::Length, target));
        let lag = self.lag.map(|target| (Metric::Lag, target));
        let pending = self.pending.map(|target| (Metric::Pending, target));
        if self.group_given { lag.or(pending).or(length) } else { length.or(lag).or(pending) }
    }

    fn of(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Backlog | Metric::Age => None,
            Metric::Pending => self.pending,
            Metric::Lag => self.lag,
            Metric::Length => self.length,
        }
    }
}
