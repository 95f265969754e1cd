//! The master, judged by what it says of itself (pure). <https://redis.io/docs/latest/commands/info/>

use std::time::Duration;

use redis_stream::error::{Class, Error};

use super::finding::{Finding, Subject};
use super::info::{Info, version};

/// A clock that is further off changes deadlines.
const CLOCK_OFF: u64 = 1_000;
/// Every step of an incident is a round trip or two.
const SLOW: Duration = Duration::from_millis(20);
/// Share of `maxmemory` in use, per cent.
const NEARLY_FULL: i64 = 80;
/// Replication offset that a replica may be behind, bytes.
const FAR_BEHIND: i64 = 16 * 1024 * 1024;
/// A replica says how far it is every second.
const LONG_SILENT: i64 = 10;

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding::ok(Subject::Redis, id, text)
}

fn warning(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::warning(Subject::Redis, id, text, fix)
}

fn problem(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(Subject::Redis, id, text, fix)
}

/// Why there is no connection.
pub fn no_connection(error: &Error) -> Finding {
    let fix = match error.code() {
        Some("WRONGPASS" | "NOAUTH") => "set REDIS_USERNAME and REDIS_PASSWORD_FILE to a user that the nodes have",
        Some("NOPERM") => "give this user the commands that docs/operating.md lists",
        Some("ERR") => "set REDIS_DB to an index below the server's `databases`",
        _ if error.class() == Class::Configuration => "correct what is named; the settings are REDIS_TLS_* and REDIS_*",
        _ => "start Redis, or let this host reach the address (firewall, NetworkPolicy, announced address)",
    };
    let finding = problem("connect", error.to_string(), fix);
    if error.class() == Class::Configuration { finding } else { finding.unreachable() }
}

/// Everything that `INFO` and `CONFIG GET` tell. `behind_sentinel`: there should be somebody to fail over to.
pub fn judge(info: &Info, now_s: i64, behind_sentinel: bool) -> Vec<Finding> {
    let mut findings = vec![role(info), release(info), memory(info), eviction(info)];
    findings.extend(durability(info, now_s));
    findings.extend(replication(info, behind_sentinel));
    findings
}

fn role(info: &Info) -> Finding {
    match info.get("role") {
        Some("master") if info.is("loading", "1") => {
            problem("role", "the master is loading its data", "wait: nothing is answered before it has").unreachable()
        }
        Some("master") => ok("role", "it is the master"),
        role => {
            let text = format!("it is a {}, not the master", role.unwrap_or("node that does not say what"));
            problem("role", text, "use Sentinel (REDIS_SENTINELS), or the address of the master in REDIS_URL")
        }
    }
}

fn release(info: &Info) -> Finding {
    let redis = info.get("redis_version").unwrap_or("unknown");
    let name = info.get("valkey_version").map_or_else(|| format!("Redis {redis}"), |own| format!("Valkey {own}"));
    match version(redis) {
        Some(known) if known >= (7, 0) => ok("version", format!("{name}{}", features(known))),
        Some(known) if known >= (6, 2) => warning(
            "version",
            format!("{name} reports no lag and keeps ids of deleted entries pending: backlogs are counted by hand"),
            "upgrade to Redis 7.0 or later",
        ),
        Some(_) => problem("version", format!("{name} has no XAUTOCLAIM"), "upgrade to Redis 7.0 or later"),
        None => warning("version", format!("{name}: not a version"), "use Redis 7.0 or later"),
    }
}

/// What this version can that older ones cannot.
fn features(known: (u32, u32)) -> String {
    let all = [((7, 0), "counts the lag"), ((7, 2), "tells readers from those that only ask"), ((8, 2), "XACKDEL")];
    let has: Vec<_> = all.iter().filter(|(since, _)| known >= *since).map(|(_, what)| *what).collect();
    if has.is_empty() { String::new() } else { format!(": {}", has.join(", ")) }
}

fn memory(info: &Info) -> Finding {
    let (used, limit) = (info.int("used_memory").unwrap_or(0), info.int("maxmemory").unwrap_or(0));
    if limit <= 0 {
        let text = format!("maxmemory is not set, {} in use: Redis grows until the kernel ends it", size(used));
        return warning("memory", text, "CONFIG SET maxmemory to about 60 % of the container's memory, on every node");
    }
    let share = used.saturating_mul(100) / limit;
    let text = format!("{} of {} in use ({share} %)", size(used), size(limit));
    if share < NEARLY_FULL {
        return ok("memory", text);
    }
    let text = format!("{text}: when it is full, no incident can be written");
    warning("memory", text, "raise maxmemory, shorten STREAM_KEEP, or trim the dead letters with XTRIM MINID")
}

fn eviction(info: &Info) -> Finding {
    match info.get("maxmemory_policy") {
        Some(policy) if policy.starts_with("allkeys-") => warning(
            "eviction",
            format!(
                "maxmemory-policy is {policy}: under pressure Redis may delete the stream itself, with every incident \
                 in it ({} keys evicted so far). Workers touch what they need every ten seconds, which is no help \
                 where all memory is replaced in less, or by allkeys-lfu and allkeys-random",
                info.get("evicted_keys").unwrap_or("?")
            ),
            "CONFIG SET maxmemory-policy noeviction (or volatile-lru), on every node; or an instance of its own",
        ),
        Some(policy) => ok("eviction", format!("maxmemory-policy is {policy}: no stream is evicted")),
        None => Finding::skipped(Subject::Redis, "eviction", "the server does not say its maxmemory-policy"),
    }
}

fn durability(info: &Info, now_s: i64) -> Vec<Finding> {
    let mut findings = vec![if info.is("aof_enabled", "1") {
        match info.get("appendfsync") {
            Some("no") => warning(
                "persistence",
                "appendonly is on with appendfsync no: half a minute of entries can be lost with the machine",
                "CONFIG SET appendfsync everysec, on every node",
            ),
            Some(fsync) => ok("persistence", format!("appendonly is on, appendfsync {fsync}")),
            None => ok("persistence", "appendonly is on"),
        }
    } else {
        snapshots_only(info, now_s)
    }];
    let failed = [("rdb_last_bgsave_status", "the last snapshot"), ("aof_last_write_status", "the last append")];
    for (_, what) in failed.iter().filter(|(field, _)| info.is(field, "err")) {
        let text = format!("{what} failed: Redis refuses writes (MISCONF)");
        findings.push(problem("save", text, "look at the disk of the master: space, permissions, its log"));
    }
    findings
}

fn snapshots_only(info: &Info, now_s: i64) -> Finding {
    let age = info.int("rdb_last_save_time").map_or(0, |at| now_s.saturating_sub(at).max(0));
    let changes = info.get("rdb_changes_since_last_save").unwrap_or("?");
    let points = match info.get("save") {
        Some("") => "no save points".to_owned(),
        Some(points) => format!("save points {points}"),
        None => "save points not known".to_owned(),
    };
    let text = format!(
        "appendonly is off ({points}): a master that is back before Sentinel has missed it would forget the \
         {changes} changes of the last {age} s, and its replicas with it"
    );
    warning("persistence", text, "CONFIG SET appendonly yes, and appendfsync everysec, on every node; CONFIG REWRITE")
}

fn replication(info: &Info, behind_sentinel: bool) -> Vec<Finding> {
    let replicas = info.replicas();
    let online = replicas.iter().filter(|replica| replica.online).count();
    if replicas.is_empty() && !behind_sentinel {
        return vec![ok("replicas", "no replica, and no Sentinel is followed")];
    }
    let own = info.int("master_repl_offset").unwrap_or(0);
    let behind = |offset: i64| own.saturating_sub(offset).max(0);
    let most = replicas.iter().map(|replica| behind(replica.offset)).max().unwrap_or(0);
    let lag = replicas.iter().map(|replica| replica.lag).max().unwrap_or(0);
    let seen =
        format!("{online} of {} replicas online, at most {} behind, heard {lag} s ago", replicas.len(), size(most));
    let mut findings = vec![if online == 0 {
        let fix = "start replicas: without one a lost master is an outage, and its data may be lost";
        warning("replicas", "no replica is online", fix)
    } else if online < replicas.len() || most > FAR_BEHIND || lag > LONG_SILENT {
        warning("replicas", seen, "look at the log of the replica that is behind, and at its network")
    } else {
        ok("replicas", seen)
    }];
    findings.extend(fewest_replicas(info, online));
    findings
}

fn fewest_replicas(info: &Info, online: usize) -> Option<Finding> {
    let id = "min-replicas";
    let set = info.int("min-replicas-to-write").unwrap_or(0);
    match (info.int("min_slaves_good_slaves"), set) {
        (Some(good), set) if good < set.max(1) => Some(problem(
            id,
            format!("{good} good replicas are fewer than min-replicas-to-write: Redis refuses writes (NOREPLICAS)"),
            "bring the replicas back, or lower it: CONFIG SET min-replicas-to-write 1",
        )),
        (Some(good), _) => Some(ok(id, format!("min-replicas-to-write is set, {good} good replicas"))),
        (None, _) if online == 0 => None,
        (None, _) => Some(warning(
            id,
            "min-replicas-to-write is 0: a master that is cut off goes on accepting what the failover throws away",
            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10, on every node",
        )),
    }
}

/// The difference between Redis' clock and ours, milliseconds.
pub fn clock(difference_ms: i64) -> Finding {
    let text = format!("Redis' clock is {difference_ms:+} ms from ours");
    if difference_ms.unsigned_abs() > CLOCK_OFF {
        return warning("clock", text, "run NTP (chrony, systemd-timesyncd) on both hosts");
    }
    ok("clock", text)
}

/// The middle one of some round trips.
pub fn latency(mut trips: Vec<Duration>) -> Option<Finding> {
    trips.sort_unstable();
    let middle = *trips.get(trips.len() / 2)?;
    let text = format!("PING takes {middle:.1?} (median of {})", trips.len());
    if middle > SLOW {
        return Some(warning("latency", text, "run in the same zone as the master; look at its CPU and SLOWLOG"));
    }
    Some(ok("latency", text))
}

/// What became of writing a key with an expiry.
pub fn write(result: Result<(), &Error>) -> Finding {
    let Err(error) = result else { return ok("write", "a key can be written") };
    let fix = match error.code() {
        Some("OOM") => "raise maxmemory or delete something: incidents are dispatched directly meanwhile",
        Some("MISCONF") => "look at the disk of the master: it cannot save",
        Some("NOREPLICAS") => "bring the replicas back, or lower min-replicas-to-write",
        Some("READONLY") => "use the master's address; this is a replica",
        Some("NOPERM") => "see permissions and keys",
        _ => "look at the log of the master",
    };
    problem("write", format!("no key can be written: {error}"), fix)
}

/// Bytes for people.
fn size(bytes: i64) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
