//! The Sentinels, judged by what they said (pure).

use std::collections::BTreeSet;
use std::time::Duration;

use redis_stream::endpoint::HostPort;
use redis_stream::error::Class;

use super::{Sight, View, Word};
use crate::check::finding::{Finding, Subject};

/// Fewer cannot agree on a failover once one of them is gone.
const ENOUGH: i64 = 3;
/// An outage lasts at least as long as `down-after-milliseconds`.
const LONG_DOWN_AFTER: i64 = 15_000;
/// Shorter ones take a pause of the master for its end.
const SHORT_DOWN_AFTER: i64 = 1_000;
/// A failover that did not work is tried again after twice `failover-timeout`.
const LONG_FAILOVER: i64 = 180_000;

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding::ok(Subject::Sentinel, id, text)
}

fn warning(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::warning(Subject::Sentinel, id, text, fix)
}

fn problem(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(Subject::Sentinel, id, text, fix)
}

/// What is seen of all of them. `name`: the master's; `lease`: of the workers, if they are meant.
pub fn judge(sights: &[Sight], name: &str, lease: Option<Duration>) -> Vec<Finding> {
    let words: Vec<&Word> = sights.iter().filter_map(|sight| sight.word.as_ref().ok()).collect();
    let any = words.iter().any(|word| word.report.master.is_some());
    let mut findings: Vec<_> = sights.iter().map(|sight| one(sight, name, any)).collect();
    if !any {
        return findings;
    }
    let views: Vec<&View> = words.iter().filter_map(|word| word.view.as_ref()).collect();
    findings.push(agreement(&words));
    findings.push(number(&views, sights));
    findings.extend(quorum(&words));
    findings.extend(timing(&views, lease));
    if views.iter().any(|view| view.down) {
        let fix = "look at the master; if a failover does not come, at the replicas and the logs of the Sentinels";
        findings.push(problem("master-down", format!("a Sentinel considers {name} down"), fix));
    }
    findings
}

/// One that is away is bad only if it is the last.
fn one(sight: &Sight, name: &str, any: bool) -> Finding {
    let address = &sight.address;
    match &sight.word {
        Ok(word) => match &word.report.master {
            Some(master) => ok("sentinel", format!("{address} names {master} (epoch {})", word.report.epoch)),
            None => unknown_name(address, word, name),
        },
        Err(error) if error.class() == Class::Configuration => {
            let fix = "set REDIS_SENTINEL_PASSWORD_FILE (and REDIS_SENTINEL_USERNAME) to a user that Sentinel has; \
                       docs/operating.md has its permissions";
            problem("sentinel", error.to_string(), fix)
        }
        Err(error) if any => {
            let fix = if sight.configured {
                "start it, or take it out of REDIS_SENTINELS"
            } else {
                "start it, or make its announced address reachable from here (sentinel announce-ip); \
                 if it is gone for good: SENTINEL RESET on the others"
            };
            warning("sentinel", error.to_string(), fix)
        }
        Err(error) => {
            problem("sentinel", error.to_string(), "start Sentinel, or correct REDIS_SENTINELS").unreachable()
        }
    }
}

fn unknown_name(address: &HostPort, word: &Word, name: &str) -> Finding {
    let known = if word.names.is_empty() { "no other that it tells" } else { &word.names.join(", ") };
    let text = format!("{address} does not know the master name {name:?}; it knows {known}");
    problem("master-name", text, "set REDIS_SENTINEL_MASTER_NAME to the name in sentinel.conf (sentinel monitor)")
}

fn agreement(words: &[&Word]) -> Finding {
    let named: BTreeSet<_> =
        words.iter().filter_map(|word| Some((word.report.epoch, word.report.master.as_ref()?.to_string()))).collect();
    let told = |(epoch, master): &(u64, String)| format!("{master} (epoch {epoch})");
    if let [one] = named.iter().collect::<Vec<_>>().as_slice() {
        return ok("agreement", format!("all {} that answer name {}", words.len(), told(one)));
    }
    let all: Vec<_> = named.iter().map(told).collect();
    let text = format!("they name different masters: {}", all.join(", "));
    warning("agreement", text, "check again in a few seconds (a failover?); if it stays, compare their sentinel.conf")
}

fn number(views: &[&View], sights: &[Sight]) -> Finding {
    let known = views.iter().map(|view| view.sentinels).max().unwrap_or(0);
    let away = sights.iter().filter(|sight| sight.word.is_err()).count();
    if known < ENOUGH {
        let text = format!("{known} Sentinels: when one is gone, there is no failover");
        return warning("count", text, "run three, on different nodes");
    }
    if away > 0 {
        let text = format!("degraded: {away} of {known} Sentinels cannot be asked from here");
        return warning("count", text, "bring it back before the next one fails");
    }
    ok("count", format!("{known} Sentinels, all answer"))
}

fn quorum(words: &[&Word]) -> Option<Finding> {
    let asked: Vec<_> = words.iter().filter_map(|word| word.quorum.as_ref()).collect();
    if asked.is_empty() {
        return Some(Finding::skipped(Subject::Sentinel, "quorum", "SENTINEL CKQUORUM is not permitted to this user"));
    }
    if let Some(refusal) = asked.iter().find_map(|answer| answer.as_ref().err()) {
        let text = format!("no failover could be agreed on: {refusal}");
        return Some(problem(
            "quorum",
            text,
            "bring the missing Sentinels back; the quorum must be a majority of them",
        ));
    }
    asked.iter().find_map(|answer| answer.as_ref().ok()).map(|words| ok("quorum", words.trim_start_matches("OK ")))
}

fn timing(views: &[&View], lease: Option<Duration>) -> Vec<Finding> {
    let all: BTreeSet<_> = views.iter().map(|view| (view.down_after_ms, view.failover_timeout_ms)).collect();
    let Some((down_after, failover)) = all.iter().max().copied() else { return Vec::new() };
    let text = format!("down-after-milliseconds {down_after}, failover-timeout {failover}");
    let mut findings = Vec::new();
    let mut warn = |text: String, fix: &str| findings.push(warning("timing", text, fix));
    let set = "on every Sentinel: SENTINEL SET <master> down-after-milliseconds 5000";
    if all.len() > 1 {
        warn(format!("the Sentinels have different timings: {all:?} ms"), "give all the same with SENTINEL SET");
    }
    if down_after > LONG_DOWN_AFTER {
        warn(format!("{text}: an outage lasts at least {} s", down_after / 1000), set);
    } else if down_after < SHORT_DOWN_AFTER {
        warn(format!("{text}: a short pause of the master is a failover"), set);
    }
    if failover > LONG_FAILOVER {
        let fix = "on every Sentinel: SENTINEL SET <master> failover-timeout 60000";
        warn(format!("{text}: a failover that fails is tried again after {} s", failover / 500), fix);
    }
    if lease.is_some_and(|lease| lease.as_millis() <= u128::from(down_after.unsigned_abs())) {
        let fix = "set MIN_IDLE_MS to three times down-after-milliseconds or more";
        warn(format!("{text}: a failover takes longer than a lease, so workers lose what they hold"), fix);
    }
    if findings.is_empty() {
        findings.push(ok("timing", text));
    }
    findings
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
