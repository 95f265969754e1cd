//! The streams, judged by what Redis said of them (pure). <https://redis.io/docs/latest/commands/xinfo-stream/>

use std::time::Duration;

use daemon::escape;
use redis::Value;
use redis_stream::value;

use super::{Consumer, Extent, PAGE, Standing};
use crate::check::finding::{Finding, Subject};

/// Lengths that `MAXLEN ~ 1000` leaves: whole nodes of 100 entries are removed.
const TRIMMED_TO_1000: std::ops::RangeInclusive<i64> = 1_000..=1_100;
/// Consumers that are gone cost little; this many were never removed.
const MANY_CONSUMERS: usize = 100;

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding::ok(Subject::Stream, id, text)
}

fn warning(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::warning(Subject::Stream, id, text, fix)
}

fn problem(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(Subject::Stream, id, text, fix)
}

/// A key that something else uses.
pub(super) fn wrong_type(key: &str, expected: &str, found: &str, setting: &str) -> Finding {
    let text = format!("{key} is a {found}, not a {expected} (WRONGTYPE)");
    let fix = format!("find out what writes {key}, then RENAME it away; or choose another {setting}");
    problem("type", text, fix)
}

/// Nobody has written yet.
pub(super) fn no_stream(name: &str) -> Finding {
    ok("stream", format!("{name} does not exist yet; the first incident creates it"))
}

/// Reads `XINFO STREAM`.
pub(super) fn extent(info: &Value) -> Extent {
    let number = |name| value::field(info, name).and_then(value::int);
    let text = |name| value::field(info, name).and_then(value::text);
    let first = value::field(info, "first-entry").and_then(value::items).and_then(<[Value]>::first);
    Extent {
        length: number("length").unwrap_or(0),
        added: number("entries-added"),
        first: first.and_then(value::text).and_then(|id| id.parse().ok()),
        deleted: text("max-deleted-entry-id").is_some_and(|id| id != "0-0"),
    }
}

/// The stream itself, and whether somebody trims it.
pub(super) fn stream(name: &str, extent: &Extent, now_ms: i64, keep: Option<Duration>) -> Vec<Finding> {
    let Extent { length, added, first, deleted } = extent;
    let age = first.and_then(|id| i64::try_from(id.ms).ok()).map(|ms| now_ms.saturating_sub(ms).max(0) / 1000);
    // Where all that is removed is older than what we would remove, it does no harm.
    let young = age.is_some_and(|age| keep.is_none_or(|keep| u128::from(age.unsigned_abs()) * 1000 < keep.as_millis()));
    let age = age.map_or_else(String::new, |age| format!(", the oldest from {} ago", time(age)));
    let ever = added.map_or_else(String::new, |added| format!(", {added} ever added"));
    let mut findings = vec![ok("stream", format!("{name} has {length} entries{ever}{age}"))];
    let removed = added.map_or(0, |added| added - length);
    if removed > 0 && young && TRIMMED_TO_1000.contains(length) {
        let how = if *deleted { "some by XDEL" } else { "all by trimming" };
        let text = format!(
            "{name} has {length} entries, {removed} were removed ({how}): somebody seems to add with MAXLEN ~ 1000, \
             which removes entries that nobody has read or that are still pending"
        );
        let fix = "replace the producer that trims (the present hook does) by `stream-dispatcher hook`, or give it no \
                   MAXLEN; what is finished is trimmed by STREAM_KEEP";
        findings.push(warning("trimmed", text, fix));
    }
    findings
}

/// Reads one row of `XINFO GROUPS`.
pub(super) fn standing(groups: &Value, name: &str) -> Option<Standing> {
    let is_it = |row: &&Value| value::field(row, "name").and_then(value::bytes) == Some(name.as_bytes());
    let row = value::items(groups)?.iter().find(is_it)?;
    let number = |name| value::field(row, name).and_then(value::int);
    let lag = number("lag").filter(|lag| *lag >= 0);
    Some(Standing { pending: number("pending").unwrap_or(0), lag, consumers: None, stuck: None })
}

/// Reads `XINFO CONSUMERS`.
pub(super) fn consumers(rows: &Value) -> Vec<Consumer> {
    let consumer = |row: &Value| {
        let number = |name| value::field(row, name).and_then(value::int);
        let name = String::from_utf8_lossy(value::bytes(value::field(row, "name")?)?).into_owned();
        Some(Consumer { name, pending: number("pending")?, idle_ms: number("idle")? })
    };
    value::items(rows).unwrap_or_default().iter().filter_map(consumer).collect()
}

/// There is a stream and no such group.
pub(super) fn no_group(group: &str, length: i64) -> Finding {
    if length == 0 {
        return ok("group", format!("there is no group {group} yet; the first worker creates it"));
    }
    let text = format!("there are {length} entries and no group {group}: nobody has read, or it was destroyed");
    warning("group", text, "start a worker (it creates the group at 0), or correct CONSUMER_GROUP")
}

/// The group and those who read in it.
pub(super) fn group(name: &str, standing: &Standing, lease: Duration) -> Vec<Finding> {
    let lag = standing.lag.map_or_else(|| "an unknown number".to_owned(), |lag| lag.to_string());
    let mut findings = vec![ok("group", format!("{name}: {} pending, {lag} unread", standing.pending))];
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    match standing.stuck {
        Some(0) => findings.push(ok("stuck", format!("no entry is pending for longer than a lease ({lease:?})"))),
        Some(stuck) => {
            let more = if stuck == PAGE { " or more" } else { "" };
            let text =
                format!("{stuck}{more} entries were not renewed for a lease ({lease:?}): no worker takes them over");
            let fix = "start a worker; `stream-dispatcher replay list --state stuck` shows them";
            findings.push(warning("stuck", text, fix));
        }
        None => {}
    }
    if let Some(consumers) = &standing.consumers {
        findings.push(readers(consumers, standing, lease_ms));
    }
    findings
}

fn readers(consumers: &[Consumer], standing: &Standing, lease_ms: i64) -> Finding {
    let live = consumers.iter().filter(|consumer| consumer.idle_ms < lease_ms).count();
    let oldest = consumers.iter().filter(|consumer| consumer.pending > 0).max_by_key(|consumer| consumer.idle_ms);
    let mut text = format!("{live} of {} consumers were heard within a lease", consumers.len());
    if let Some(Consumer { name, pending, idle_ms }) = oldest.filter(|oldest| oldest.idle_ms >= lease_ms) {
        text = format!("{text}; {} holds {pending}, idle for {}", escape::line(name), time(idle_ms / 1000));
    }
    let unread = standing.lag.unwrap_or(0);
    if live == 0 && unread > 0 {
        let fix = "start a worker, or look at KEDA's ScaledObject and at stream-scaler";
        return warning("consumers", format!("{unread} entries are unread and nobody reads: {text}"), fix);
    }
    if consumers.len() > MANY_CONSUMERS {
        let fix = "XGROUP DELCONSUMER those with nothing pending";
        return warning("consumers", format!("{text}: they were not removed when they left"), fix);
    }
    ok("consumers", text)
}

/// Entries of an agent that cannot be reached or is at its limit.
pub(super) fn waiting(agent: &str, length: i64) -> Finding {
    let text = format!("{length} incidents wait for {}", escape::line(agent));
    warning("waiting", text, "see what is found about the agent; `stream-dispatcher replay list --state waiting`")
}

/// Incidents that wait for a person.
pub(super) fn parked(length: i64) -> Finding {
    match length {
        0 => ok("parked", "no incident waits for a person"),
        _ => warning(
            "parked",
            format!("{length} incidents wait for a person"),
            "`stream-dispatcher replay list --state parked`, then retry them",
        ),
    }
}

/// Dead letters: all, and those of the last hour.
pub(super) fn dead(length: Option<i64>, recent: usize) -> Finding {
    let all = length.map_or_else(String::new, |length| format!(", {length} in all"));
    if recent == 0 {
        return ok("dead", format!("no dead letter in the last hour{all}"));
    }
    let more = if recent == PAGE { " or more" } else { "" };
    let text = format!("{recent}{more} dead letters in the last hour{all}");
    warning("dead", text, "`stream-dispatcher replay list --state dead`, mend the cause, then retry them")
}

/// The routing hash: step -> agent.
pub(super) fn routes(key: &str, routes: &[(String, String)], is_agent: impl Fn(&str) -> bool) -> Finding {
    let wrong: Vec<_> = routes.iter().filter(|(_, agent)| !is_agent(agent)).collect();
    if wrong.is_empty() {
        let told: Vec<_> = routes.iter().map(|(step, agent)| format!("{step} -> {agent}")).collect();
        return ok("routes", format!("{key}: {}", escape::line(&told.join(", "))));
    }
    let told: Vec<_> = wrong.iter().map(|(step, agent)| format!("{step} -> {agent:?}")).collect();
    let text = format!("{key}: no agent's name: {}", escape::line(&told.join(", ")));
    problem("routes", text, format!("HSET {key} STEP AGENT, with agent or namespace/agent (DNS labels)"))
}

/// Seconds for people.
fn time(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
