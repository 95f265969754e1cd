//! The place of the outbox, judged by what was seen (pure).

use std::time::Duration;

use super::Place;
use crate::check::finding::{Finding, Subject};

/// Every accepted webhook waits for one.
const SLOW: Duration = Duration::from_millis(100);
/// Room for a flood of alerts, bytes.
const ROOM: u64 = 256 * 1024 * 1024;
/// Less is as good as full, bytes.
const FULL: u64 = 16 * 1024 * 1024;

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding::ok(Subject::Outbox, id, text)
}

fn warning(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::warning(Subject::Outbox, id, text, fix)
}

fn problem(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(Subject::Outbox, id, text, fix)
}

/// No file is given.
pub(super) fn absent() -> Finding {
    warning(
        "outbox",
        "OUTBOX_PATH is not set: what Redis forgets in a failover comes back only when Alertmanager repeats it",
        "set OUTBOX_PATH to a file on a volume of the hook's own (`run` has one in the user's state directory)",
    )
}

/// The folder or the file cannot be used.
pub(super) fn no_place(path: &str, why: &str) -> Finding {
    let fix = "mount a volume there that the program's user may write (fsGroup), or correct OUTBOX_PATH";
    problem("outbox", format!("{path}: {why}"), fix)
}

/// What is seen of it.
pub(super) fn judge(place: &Place) -> Vec<Finding> {
    let path = place.path.display();
    let mut findings = vec![match (place.in_memory, place.size) {
        (true, _) => {
            let text = format!("{path} is on a file system in memory: it does not survive the pod");
            warning("outbox", text, "use a PersistentVolumeClaim, no emptyDir with medium Memory")
        }
        _ if place.no_folder => {
            let text = format!("the folder of {path} is not there: the hook would create it outside of any volume");
            warning("outbox", text, "mount the volume there, or correct OUTBOX_PATH")
        }
        (_, Some(size)) => ok("outbox", format!("{path} is there, {} MiB", size / 1_048_576)),
        (_, None) => ok("outbox", format!("{path} is not there yet; the hook creates it")),
    }];
    findings.extend(place.free.map(room));
    findings.push(match &place.writes {
        Ok(times) => speed(times),
        Err(error) => {
            let fix = "let the program's user write there (fsGroup, readOnly: false), and look at the space";
            problem("fsync", format!("nothing can be written beside {path}: {error}"), fix)
        }
    });
    findings
}

fn room(free: u64) -> Finding {
    let text = format!("{} MiB are free", free / 1_048_576);
    let fix = "make the volume larger, or shorten OUTBOX_KEEP";
    match free {
        ..FULL => problem("space", text, fix),
        FULL..ROOM => warning("space", text, fix),
        _ => ok("space", text),
    }
}

fn speed(times: &[Duration]) -> Finding {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let text = format!("a write and its fsync take {middle:.1?} (median of {})", times.len());
    if middle > SLOW {
        return warning("fsync", text, "use a quicker volume: every accepted webhook waits for one");
    }
    ok("fsync", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Level;

    fn place() -> Place {
        let writes = Ok(vec![Duration::from_millis(2); 11]);
        Place { path: "/d/o".into(), size: None, free: Some(1 << 30), no_folder: false, in_memory: false, writes }
    }

    fn levels(place: &Place) -> Vec<Level> {
        judge(place).iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_good_place_and_every_trouble() {
        assert_eq!(levels(&place()), [Level::Ok; 3]);
        assert_eq!(levels(&Place { in_memory: true, ..place() })[0], Level::Warning);
        assert_eq!(levels(&Place { no_folder: true, ..place() })[0], Level::Warning);
        assert_eq!(levels(&Place { free: Some(1 << 27), ..place() })[1], Level::Warning);
        assert_eq!(levels(&Place { free: Some(1 << 20), ..place() })[1], Level::Problem);
        assert_eq!(levels(&Place { writes: Ok(vec![Duration::from_secs(1)]), ..place() })[2], Level::Warning);
        assert_eq!(levels(&Place { writes: Err("Read-only file system".into()), ..place() })[2], Level::Problem);
        assert_eq!([absent().level, no_place("/d", "not there").level], [Level::Warning, Level::Problem]);
    }
}
