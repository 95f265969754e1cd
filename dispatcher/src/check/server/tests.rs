use super::*;
use crate::check::finding::Level;

const GOOD: &str = "redis_version:7.0.15\nrole:master\nused_memory:1000000\nmaxmemory:100000000\n\
    maxmemory_policy:noeviction\naof_enabled:1\nappendfsync:everysec\nconnected_slaves:1\n\
    slave0:ip=h,port=1,state=online,offset=90,lag=0\nmaster_repl_offset:100\nmin_slaves_good_slaves:1";

fn findings(changes: &[(&str, &str)]) -> Vec<Finding> {
    let mut info = Info::parse(GOOD);
    for (name, value) in changes {
        info.set(name, value);
    }
    judge(&info, 1_000, true)
}

#[test]
fn a_good_master_has_nothing_to_mend() {
    assert!(findings(&[]).iter().all(|finding| finding.level == Level::Ok && finding.fix.is_none()));
}

#[test]
fn every_trouble_has_its_level_and_a_fix() {
    let rows = [
        (("maxmemory", "0"), "memory", Level::Warning, "60 %"),
        (("used_memory", "90000000"), "memory", Level::Warning, "XTRIM"),
        (("maxmemory_policy", "allkeys-lru"), "eviction", Level::Warning, "noeviction"),
        (("aof_enabled", "0"), "persistence", Level::Warning, "appendonly yes"),
        (("appendfsync", "no"), "persistence", Level::Warning, "everysec"),
        (("rdb_last_bgsave_status", "err"), "save", Level::Problem, "disk"),
        (("connected_slaves", "0"), "replicas", Level::Warning, "start replicas"),
        (("slave0", "ip=h,port=1,state=wait_bgsave"), "replicas", Level::Warning, "start replicas"),
        (("slave0", "ip=h,port=1,state=online,offset=100,lag=40"), "replicas", Level::Warning, "network"),
        (("min_slaves_good_slaves", "0"), "min-replicas", Level::Problem, "NOREPLICAS"),
        (("redis_version", "6.2.1"), "version", Level::Warning, "7.0"),
        (("redis_version", "6.0.9"), "version", Level::Problem, "7.0"),
        (("role", "slave"), "role", Level::Problem, "REDIS_SENTINELS"),
        (("loading", "1"), "role", Level::Problem, "wait"),
    ];
    for (change, id, level, words) in rows {
        let findings = findings(&[change]);
        let found = findings.iter().find(|finding| finding.id == id && finding.level == level);
        let text = found.map(|finding| format!("{} {}", finding.text, finding.fix.clone().unwrap_or_default()));
        assert!(text.is_some_and(|text| text.contains(words)), "{change:?}: {findings:?}");
    }
}

#[test]
fn what_a_quick_restart_would_forget_is_counted() {
    let seen = [("aof_enabled", "0"), ("rdb_last_save_time", "940"), ("rdb_changes_since_last_save", "17")];
    let findings = findings(&seen);
    let text = &findings.iter().find(|finding| finding.id == "persistence").unwrap().text;
    assert!(text.contains("17 changes of the last 60 s") && text.contains("not known"), "{text}");
}

#[test]
fn clocks_latencies_and_writes() {
    assert_eq!([clock(-1_000).level, clock(1_001).level], [Level::Ok, Level::Warning]);
    let trips = |ms: u64| latency((0..11).map(|n| Duration::from_millis(n * ms)).collect());
    assert_eq!(trips(1).map(|finding| finding.level), Some(Level::Ok));
    assert_eq!(trips(10).map(|finding| finding.level), Some(Level::Warning));
    assert_eq!(latency(Vec::new()), None);
    for code in ["OOM", "MISCONF", "NOREPLICAS", "READONLY", "NOPERM", "ERR"] {
        assert_eq!(write(Err(&Error::from_server(code, "x"))).level, Level::Problem);
    }
}

#[test]
fn only_silence_counts_as_unreachable() {
    assert!(no_connection(&Error::unreachable("refused")).unreachable);
    let wrong = no_connection(&Error::from_server("WRONGPASS", "no"));
    assert!(!wrong.unreachable && wrong.fix.is_some_and(|fix| fix.contains("REDIS_PASSWORD_FILE")));
}
