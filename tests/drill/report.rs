//! The table at the end, and the same as JSON (pure).

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::kinds::Sight;
use crate::oracle::{Finding, Injected, Verdict};

const HEADINGS: [&str; 12] = [
    "fault",
    "times",
    "lost",
    "doubled",
    "allowed, listing",
    "allowed, blind",
    "resume median",
    "resume longest",
    "longest wait",
    "Redis took",
    "unread, listing",
    "unread, blind",
];

/// Everything that a run of the drill came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Row>,
    /// One after the other.
    pub(crate) timeline: Vec<Injected>,
    pub(crate) made: usize,
    pub(crate) verdict: Verdict,
    /// `dispatch_duplicate_possible_total` over all lives of all processes.
    pub(crate) counted_by_product: f64,
    /// Acknowledged to a producer without an outbox around planned failovers, and lost of these.
    pub(crate) plain_acknowledged: usize,
    pub(crate) plain_lost: usize,
    /// Faults that this machine cannot make, and why.
    pub(crate) left_out: Vec<(&'static str, String)>,
    pub(crate) complaints: Vec<String>,
    pub(crate) seconds: f64,
}

/// All faults of one kind.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) times: usize,
    pub(crate) lost: usize,
    /// Further runs that the fault table does not allow.
    pub(crate) doubled: usize,
    /// Those that it allows, at each agent.
    pub(crate) allowed_listing: usize,
    pub(crate) allowed_blind: usize,
    /// Milliseconds.
    pub(crate) resume_median: Option<f64>,
    pub(crate) resume_longest: Option<f64>,
    /// From posting to the first run, of what was posted meanwhile, milliseconds.
    pub(crate) longest_wait: Option<f64>,
    /// Sentinel's and Redis' part, longest, milliseconds.
    pub(crate) redis_longest: Option<f64>,
    /// From the first write on a usable master until all that was unread has run, longest, milliseconds.
    pub(crate) listing_longest: Option<f64>,
    pub(crate) blind_longest: Option<f64>,
}

/// One row for each kind, in the order of their first time.
pub(crate) fn rows(faults: &[Injected], verdict: &Verdict) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for fault in faults {
        if rows.iter().all(|row| row.fault != fault.kind.id) {
            rows.push(row(fault.kind.id, faults, verdict));
        }
    }
    rows
}

fn row(id: &'static str, faults: &[Injected], verdict: &Verdict) -> Row {
    let is_ours = |index: Option<usize>| index.and_then(|index| faults.get(index)).is_some_and(|f| f.kind.id == id);
    let extra = |finding: &Finding| if is_ours(finding.fault) { finding.extra } else { 0 };
    let allowed_at =
        |sight: Sight| verdict.allowed.iter().filter(|finding| finding.agent == sight.agent()).map(extra).sum();
    let ours = || faults.iter().filter(|fault| fault.kind.id == id);
    let mut resumes: Vec<f64> = ours().filter_map(|fault| fault.resume).map(|seconds| seconds * 1000.0).collect();
    resumes.sort_by(f64::total_cmp);
    let longest =
        |of: fn(&Injected) -> Option<f64>| ours().filter_map(of).map(|seconds| seconds * 1000.0).reduce(f64::max);
    Row {
        fault: id,
        times: ours().count(),
        lost: verdict.lost.iter().filter(|lost| is_ours(lost.fault)).count(),
        doubled: verdict.unallowed.iter().map(extra).sum(),
        allowed_listing: allowed_at(Sight::Listing),
        allowed_blind: allowed_at(Sight::Blind),
        resume_median: resumes.get(resumes.len() / 2).copied(),
        resume_longest: resumes.last().copied(),
        longest_wait: longest(|fault| fault.wait),
        redis_longest: longest(|fault| fault.redis),
        listing_longest: longest(|fault| fault.caught_up.listing),
        blind_longest: longest(|fault| fault.caught_up.blind),
    }
}

/// The table. Colours are in it; the stream that it is written to takes them out where they do not belong.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(HEADINGS);
    for row in rows {
        let number = |count: usize| Cell::new(count).set_alignment(CellAlignment::Right);
        let bad = |count: usize| number(count).fg(if count == 0 { Color::Green } else { Color::Red });
        let time = |time: Option<f64>| {
            let text = time.map_or(String::new(), |time| format!("{time:.0} ms"));
            Cell::new(text).set_alignment(CellAlignment::Right)
        };
        table.add_row([
            Cell::new(row.fault),
            number(row.times),
            bad(row.lost),
            bad(row.doubled),
            number(row.allowed_listing),
            number(row.allowed_blind),
            time(row.resume_median),
            time(row.resume_longest),
            time(row.longest_wait),
            time(row.redis_longest),
            time(row.listing_longest),
            time(row.blind_longest),
        ]);
    }
    format!("{}\n\n", table.trim_fmt())
}

impl Report {
    /// Whether something was lost, or done twice without leave.
    pub(crate) fn shows_harm(&self) -> bool {
        !self.verdict.lost.is_empty() || !self.verdict.unallowed.is_empty()
    }

    /// The line that scripts read.
    pub(crate) fn last_line(&self) -> String {
        format!(
            "drill: incidents={} faults={} lost={} duplicated={} seconds={:.0}",
            self.verdict.incidents,
            self.made,
            self.verdict.lost.len(),
            self.verdict.doubled(),
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::find;
    use crate::oracle::CaughtUp;

    fn fault(id: &str, resume: f64) -> Injected {
        let kind = find(id).expect("a kind");
        Injected {
            kind,
            start: 0.0,
            end: 1.0,
            sight: None,
            resume: Some(resume),
            wait: Some(1.0),
            redis: None,
            caught_up: CaughtUp { listing: Some(0.3), ..CaughtUp::default() },
            note: String::new(),
        }
    }

    fn finding(fault: usize) -> Finding {
        Finding {
            incident: "am-1".into(),
            fingerprint: "1".into(),
            agent: "blind",
            order: "echo".into(),
            posted: 0.0,
            runs: vec![1.0, 2.0],
            state: String::new(),
            reason: String::new(),
            fault: Some(fault),
            extra: 1,
            unsaid: 0,
        }
    }

    #[test]
    fn kinds_are_summed_up() {
        let faults = [fault("failover", 0.2), fault("worker-kill", 0.5), fault("failover", 0.4)];
        let verdict = Verdict {
            lost: vec![finding(2)],
            allowed: vec![finding(1)],
            unallowed: vec![finding(0)],
            ..Verdict::default()
        };
        let rows = rows(&faults, &verdict);
        let failover = Row {
            fault: "failover",
            times: 2,
            lost: 1,
            doubled: 1,
            allowed_listing: 0,
            allowed_blind: 0,
            resume_median: Some(400.0),
            resume_longest: Some(400.0),
            longest_wait: Some(1000.0),
            redis_longest: None,
            listing_longest: Some(300.0),
            blind_longest: None,
        };
        assert_eq!(rows.first(), Some(&failover));
        assert_eq!(rows.get(1).map(|row| (row.lost, row.allowed_listing, row.allowed_blind)), Some((0, 0, 1)));
        assert_eq!(render(&rows).trim_end().lines().count(), 3);
    }
}
