use super::*;
use crate::check::finding::Level;

const DAY: Duration = Duration::from_secs(86_400);
const LEASE: Duration = Duration::from_secs(30);

fn worst(findings: &[Finding], id: &str) -> Option<Level> {
    let levels = findings.iter().filter(|finding| finding.id == id).map(|finding| finding.level);
    levels.max_by_key(|level| *level as u8)
}

#[test]
fn a_stream_that_others_trim_is_told_apart() {
    let extent = |length, added| Extent { length, added, first: "1000-0".parse().ok(), deleted: false };
    let rows = [
        ((1_042, Some(5_000)), Some(Level::Warning)),
        ((1_042, Some(1_042)), None),
        ((3_000, Some(5_000)), None),
        ((1_042, None), None),
    ];
    for ((length, added), expected) in rows {
        assert_eq!(
            worst(&stream("s", &extent(length, added), 61_000, Some(DAY)), "trimmed"),
            expected,
            "{length} {added:?}"
        );
    }
    let old = stream("s", &extent(1_042, Some(5_000)), 90_000_000, Some(DAY));
    assert_eq!(worst(&old, "trimmed"), None, "what is left is older than what we would remove");
    assert!(stream("s", &extent(3, Some(3)), 61_000, None)[0].text.contains("the oldest from 60s ago"));
}

#[test]
fn stuck_entries_and_absent_readers_are_warnings() {
    let idle = |idle_ms| Some(vec![Consumer { name: "w\u{1b}".into(), pending: 1, idle_ms }]);
    let standing = |lag, stuck, idle_ms| Standing { pending: 1, lag, consumers: idle(idle_ms), stuck: Some(stuck) };
    let good = group("g", &standing(Some(5), 0, 10), LEASE);
    assert!(good.iter().all(|finding| finding.level == Level::Ok), "{good:?}");
    let bad = group("g", &standing(Some(5), 3, 60_000), LEASE);
    assert_eq!([worst(&bad, "stuck"), worst(&bad, "consumers")], [Some(Level::Warning); 2]);
    assert!(bad.iter().all(|finding| !finding.text.contains('\u{1b}')), "{bad:?}");
    assert_eq!(worst(&group("g", &standing(Some(0), 0, 60_000), LEASE), "consumers"), Some(Level::Ok));
    assert_eq!([no_group("g", 0).level, no_group("g", 7).level], [Level::Ok, Level::Warning]);
}

#[test]
fn what_is_kept_beside_the_stream() {
    assert_eq!([parked(0).level, parked(2).level], [Level::Ok, Level::Warning]);
    assert_eq!([dead(Some(9), 0).level, dead(None, 1).level], [Level::Ok, Level::Warning]);
    assert_eq!(waiting("kagent/triage", 3).level, Level::Warning);
    assert_eq!(wrong_type("k", "stream", "string", "STREAM_NAME").level, Level::Problem);
    let route = |agent: &str| routes("r", &[("step".into(), agent.into())], |agent| agent == "good");
    assert_eq!([route("good").level, route("../bad").level], [Level::Ok, Level::Problem]);
}
