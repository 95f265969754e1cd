//! Settings that are each right and do not fit together (pure).

use std::time::Duration;

use super::finding::{Finding, Subject};
use crate::settings::{LineSettings, WorkSettings};

/// Leases shorter than this are lost in every pause of a process.
const SHORT_LEASE: Duration = Duration::from_secs(5);
/// The worker follows its runs until shortly before the end of the grace.
const SHORT_GRACE: Duration = Duration::from_secs(5);

/// What was read, and what does not fit together.
pub fn judge(line: &LineSettings, work: Option<&WorkSettings>, grace: Duration) -> Vec<Finding> {
    let mut findings = vec![read(line, work)];
    if line.endpoint.is_none() {
        findings.push(warning(
            "no-redis",
            "no Redis is given: alerts are dispatched directly only",
            "set REDIS_SENTINELS (or REDIS_SENTINEL_HOST), or REDIS_URL without Sentinel",
        ));
    }
    if let Some(work) = work {
        findings.extend(times(line, work));
    }
    if grace < SHORT_GRACE {
        let text = format!("SHUTDOWN_GRACE={grace:?} leaves no time to finish: runs are handed back at every stop");
        findings.push(warning("grace", text, "set SHUTDOWN_GRACE to 25s, and terminationGracePeriodSeconds above it"));
    }
    findings
}

fn warning(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::warning(Subject::Settings, id, text, fix)
}

fn read(line: &LineSettings, work: Option<&WorkSettings>) -> Finding {
    let group = &line.names.group;
    let mut text = format!("stream {}, group {}, agent {}", group.stream, group.group, line.default_agent);
    if let Some(endpoint) = &line.endpoint {
        text = format!("database {}, {text}", endpoint.db);
    }
    if let Some(work) = work {
        text = format!("{text}, lease {:?}, {} at once", work.dispatch.lease, work.width);
    }
    Finding::ok(Subject::Settings, "settings", text)
}

fn times(line: &LineSettings, work: &WorkSettings) -> Vec<Finding> {
    let (lease, give_up_after) = (work.dispatch.lease, work.dispatch.give_up_after);
    let mut findings = Vec::new();
    if lease < SHORT_LEASE {
        let text = format!("MIN_IDLE_MS: with a lease of {lease:?} a short pause of a worker loses what it holds");
        findings.push(warning("lease", text, "set MIN_IDLE_MS=30000"));
    }
    if give_up_after <= lease {
        let text =
            format!("GIVE_UP_AFTER={give_up_after:?} is not longer than a lease ({lease:?}): nothing ever waits");
        findings.push(warning("give-up-after", text, "set GIVE_UP_AFTER to hours, such as 24h"));
    }
    let profiles = &line.agents.profiles;
    let all = std::iter::once(("every agent".to_owned(), profiles.general()))
        .chain(profiles.named().map(|(name, profile)| (name.to_string(), profile)));
    for (name, profile) in all.filter(|(_, profile)| profile.run_deadline <= profile.send_timeout) {
        let (run, send) = (profile.run_deadline, profile.send_timeout);
        let text = format!("{name}: the deadline of a run ({run:?}) is not longer than that of its send ({send:?})");
        findings.push(warning("run-deadline", text, "set RUN_DEADLINE (or run_deadline) to minutes, such as 20m"));
    }
    findings
}
