//! What the hooks promised against what the agents ran and what Redis has in the end (pure).
//!
//! The incident id is computed here once more: no word of the product is needed to know what is whose.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use uuid::{Uuid, uuid};

use crate::kinds::{Doubles, GRACE, Kind, Sight};

const NAMESPACE: Uuid = uuid!("6f1d6a0e-52c5-4f0e-9a53-3f1b7f0c2a11");
/// Entries of one incident at most, published again ones included.
const MOST_ENTRIES: usize = 5;
/// Seconds that a publish may be on its way.
const PUBLISHED_WITHIN: f64 = 5.0;
/// Seconds before a fault in which what was posted may be under way when it begins.
const JUST_BEFORE: f64 = 1.0;
/// Until the deadline of a run that never ends, seconds.
const HANGS: f64 = 75.0;
/// Ends that an agent's fault can explain, or that the load orders.
const FITTING: [&str; 5] = ["failed", "rejected", "task-lost", "attempts-exhausted", "uncertain"];
/// The end of a run that never ends by itself.
const OVERDUE: [&str; 2] = ["run-deadline", "canceled"];
const FINAL: [&str; 3] = ["settled", "dead", "parked"];

/// The id of a firing alert's incident; `starts_at` in UTC with nine decimals and `Z`.
pub(crate) fn incident_id(fingerprint: &str, starts_at: &str) -> String {
    let name = format!("{fingerprint}\n{starts_at}\nfiring");
    format!("am-{}", Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// An alert, as its sender knows it. Times are Unix seconds.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) incident: String,
    pub(crate) fingerprint: String,
    pub(crate) sight: Sight,
    pub(crate) order: String,
    pub(crate) at: f64,
    /// When the hook answered 2xx.
    pub(crate) accepted: Option<f64>,
}

/// A run, as the agent knows it.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) fingerprint: String,
    pub(crate) at: f64,
    /// Its message said that it may be a further run of its incident.
    pub(crate) marked: bool,
}

/// What Redis has of an incident in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    /// Of its record; empty without one.
    pub(crate) state: String,
    pub(crate) reason: String,
    /// Entries on the stream.
    pub(crate) entries: usize,
    /// Dead letters and parked copies.
    pub(crate) copies: usize,
}

impl Book {
    /// Whether the record is final.
    pub(crate) fn is_final(&self) -> bool {
        FINAL.contains(&self.state.as_str())
    }
}

/// A fault that was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Injected {
    pub(crate) kind: Kind,
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// The only agent concerned.
    pub(crate) sight: Option<Sight>,
    /// Seconds from the first write on a usable master, or from the end of the fault, to the first dispatch of an
    /// incident posted after it.
    pub(crate) resume: Option<f64>,
    /// Seconds from posting to the first run, the longest of what was posted while it lasted or just before.
    pub(crate) wait: Option<f64>,
    /// Sentinel's part: seconds from the fault to that first write.
    pub(crate) redis: Option<f64>,
    /// What was accepted and had not run at that first write.
    pub(crate) caught_up: CaughtUp,
    pub(crate) note: String,
}

impl Injected {
    /// Whether a run of this alert that began at `at` may have been followed by another because of this.
    fn excuses(&self, alert: &Posted, at: f64) -> bool {
        let concerned = self.sight.is_none_or(|only| only == alert.sight);
        let (from, to) = (self.start - length(&alert.order), self.end + self.kind.aftermath());
        let window = match self.kind.doubles {
            // What was posted meanwhile may have been published without an answer.
            Doubles::Direct => (self.start - PUBLISHED_WITHIN..=self.end + JUST_BEFORE).contains(&alert.at),
            Doubles::Outlasting if length(&alert.order) <= GRACE.as_secs_f64() => false,
            _ => (from..=to).contains(&at),
        };
        concerned && self.kind.allows(alert.sight) && window
    }
}

/// Something that was promised and did not happen, or happened too often.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) incident: String,
    pub(crate) fingerprint: String,
    pub(crate) agent: &'static str,
    /// What the agent was told to do.
    pub(crate) order: String,
    /// Unix seconds.
    pub(crate) posted: f64,
    pub(crate) runs: Vec<f64>,
    pub(crate) state: String,
    pub(crate) reason: String,
    /// Number of the fault that it is put down to, from 0.
    pub(crate) fault: Option<usize>,
    /// Runs beyond the first.
    pub(crate) extra: usize,
    /// Runs beyond the first whose message did not say so.
    pub(crate) unsaid: usize,
}

/// The oracle's answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Answered 2xx.
    pub(crate) incidents: usize,
    pub(crate) settled: usize,
    pub(crate) dead: BTreeMap<String, usize>,
    pub(crate) parked: BTreeMap<String, usize>,
    pub(crate) lost: Vec<Finding>,
    /// Ran more than once, and the fault table allows it.
    pub(crate) allowed: Vec<Finding>,
    /// Ran more than once without such a reason.
    pub(crate) unallowed: Vec<Finding>,
    /// Ran more than once, and more than one message did not say that it may be a further run.
    pub(crate) unsaid: Vec<Finding>,
    /// Runs whose message said so.
    pub(crate) marked: usize,
    /// Ran, and its record is there and not final.
    pub(crate) unfinished: Vec<Finding>,
    /// A dead letter for a reason that neither its order nor an agent's fault explains.
    pub(crate) misjudged: Vec<Finding>,
    /// Ran, and Redis has no record of it.
    pub(crate) unrecorded: usize,
    /// More entries than the bound.
    pub(crate) crowded: Vec<Finding>,
    /// More than one dead letter or parked copy.
    pub(crate) copied: Vec<Finding>,
}

impl Verdict {
    /// Runs beyond the first of their incident.
    pub(crate) fn doubled(&self) -> usize {
        self.allowed.iter().chain(&self.unallowed).map(|finding| finding.extra).sum()
    }

    /// Those at one agent.
    pub(crate) fn doubled_at(&self, sight: Sight) -> usize {
        let all = self.allowed.iter().chain(&self.unallowed);
        all.filter(|finding| finding.agent == sight.agent()).map(|finding| finding.extra).sum()
    }

    /// What the drill must not show, one by one.
    pub(crate) fn bad(&self) -> [(&'static str, &[Finding]); 7] {
        [
            ("lost", &self.lost),
            ("doubled", &self.unallowed),
            ("unsaid", &self.unsaid),
            ("unfinished", &self.unfinished),
            ("crowded", &self.crowded),
            ("copied", &self.copied),
            ("misjudged", &self.misjudged),
        ]
    }

    /// What the drill must not show, in words.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let counts = [
            (self.lost.len(), "lost"),
            (self.unallowed.len(), "ran more than once without a fault that allows it"),
            (self.unsaid.len(), "ran more than once, and the product did not say that they might"),
            (self.unfinished.len(), "never became final"),
            (self.crowded.len(), "have more entries than the bound"),
            (self.copied.len(), "have more than one dead letter or parked copy"),
            (self.misjudged.len(), "are dead letters for no good reason"),
        ];
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

/// Seconds from the first write on a usable master to the last first run of what was accepted before that write and had
/// not run by then, at each agent; `None` if there was nothing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct CaughtUp {
    pub(crate) listing: Option<f64>,
    pub(crate) blind: Option<f64>,
    /// What has not run yet.
    #[serde(skip)]
    pub(crate) open: usize,
}

/// How what came in since `start` and was accepted before `usable` was caught up with; Unix seconds.
pub(crate) fn caught_up(posted: &[Posted], ran: &[Ran], start: f64, usable: f64) -> CaughtUp {
    let first = first_runs(ran);
    let mut all = CaughtUp::default();
    let unread = posted
        .iter()
        .filter(|alert| alert.at >= start - JUST_BEFORE && alert.accepted.is_some_and(|accepted| accepted <= usable));
    for alert in unread {
        let Some(at) = first.get(alert.fingerprint.as_str()) else {
            all.open += 1;
            continue;
        };
        let place = if alert.sight == Sight::Listing { &mut all.listing } else { &mut all.blind };
        if *at > usable {
            *place = Some(place.unwrap_or_default().max(at - usable));
        }
    }
    all
}

fn first_runs(ran: &[Ran]) -> HashMap<&str, f64> {
    let mut first: HashMap<&str, f64> = HashMap::new();
    for run in ran {
        let at = first.entry(&run.fingerprint).or_insert(run.at);
        *at = at.min(run.at);
    }
    first
}

/// Fills in how long incidents had to wait because of each fault.
pub(crate) fn waits(faults: &mut [Injected], posted: &[Posted], ran: &[Ran]) {
    let first = first_runs(ran);
    for fault in faults {
        let during = posted.iter().filter(|alert| (fault.start - JUST_BEFORE..=fault.end).contains(&alert.at));
        fault.wait =
            during.filter_map(|alert| Some(first.get(alert.fingerprint.as_str())? - alert.at)).reduce(f64::max);
    }
}

/// Everything that is known, weighed.
pub(crate) fn judge(posted: &[Posted], ran: &[Ran], books: &HashMap<String, Book>, faults: &[Injected]) -> Verdict {
    let mut runs: HashMap<&str, Vec<&Ran>> = HashMap::new();
    for run in ran {
        runs.entry(&run.fingerprint).or_default().push(run);
    }
    let mut verdict = Verdict { marked: ran.iter().filter(|run| run.marked).count(), ..Verdict::default() };
    for alert in posted {
        let mut runs = runs.remove(alert.fingerprint.as_str()).unwrap_or_default();
        runs.sort_by(|one, other| one.at.total_cmp(&other.at));
        let book = books.get(&alert.incident).cloned().unwrap_or_default();
        weigh(&mut verdict, alert, &runs, &book, faults);
    }
    verdict
}

fn weigh(verdict: &mut Verdict, alert: &Posted, runs: &[&Ran], book: &Book, faults: &[Injected]) {
    let finding = Finding {
        incident: alert.incident.clone(),
        fingerprint: alert.fingerprint.clone(),
        agent: alert.sight.agent(),
        order: alert.order.clone(),
        posted: alert.at,
        extra: runs.len().saturating_sub(1),
        unsaid: runs.iter().filter(|run| !run.marked).count().saturating_sub(1),
        runs: runs.iter().map(|run| run.at).collect(),
        state: book.state.clone(),
        reason: book.reason.clone(),
        fault: None,
    };
    if alert.accepted.is_some() {
        promised(verdict, &finding, book, faults);
    }
    if finding.extra > 0 {
        double(verdict, &finding, alert, faults);
    }
    let hushed = |at: &f64| faults.iter().any(|fault| fault.kind.hushes() && fault.excuses(alert, *at));
    if finding.unsaid > 0 && !finding.runs.iter().any(hushed) {
        verdict.unsaid.push(finding.clone());
    }
    if book.entries > MOST_ENTRIES {
        verdict.crowded.push(finding.clone());
    }
    if book.copies > 1 {
        verdict.copied.push(finding);
    }
}

fn promised(verdict: &mut Verdict, finding: &Finding, book: &Book, faults: &[Injected]) {
    verdict.incidents += 1;
    let has_run = !finding.runs.is_empty();
    match book.state.as_str() {
        "settled" if has_run => verdict.settled += 1,
        "dead" => {
            *verdict.dead.entry(book.reason.clone()).or_default() += 1;
            if !fits(&finding.order, &book.reason) {
                let fault = nearest(faults, finding.runs.last().copied().unwrap_or(finding.posted));
                verdict.misjudged.push(Finding { fault, ..finding.clone() });
            }
        }
        "parked" => *verdict.parked.entry(book.reason.clone()).or_default() += 1,
        "" if has_run => verdict.unrecorded += 1,
        _ if has_run => verdict.unfinished.push(finding.clone()),
        _ => {
            verdict.lost.push(Finding { fault: nearest(faults, finding.posted), ..finding.clone() });
        }
    }
}

fn fits(order: &str, reason: &str) -> bool {
    FITTING.contains(&reason) || (order == "hang" && OVERDUE.contains(&reason))
}

/// Every run but the last needs a fault of its own time; the latest such one is named.
fn double(verdict: &mut Verdict, finding: &Finding, alert: &Posted, faults: &[Injected]) {
    let (_, earlier) = finding.runs.split_last().unwrap_or((&0.0, &[]));
    let cause = |at: &f64| faults.iter().rposition(|fault| fault.excuses(alert, *at));
    let causes: Option<Vec<usize>> = earlier.iter().map(cause).collect();
    if let Some(fault) = causes.and_then(|causes| causes.first().copied()) {
        verdict.allowed.push(Finding { fault: Some(fault), ..finding.clone() });
    } else {
        let fault = nearest(faults, earlier.first().copied().unwrap_or_default());
        verdict.unallowed.push(Finding { fault, ..finding.clone() });
    }
}

/// How long a run of this order takes, with what is written down of it before and after; seconds.
fn length(order: &str) -> f64 {
    let seconds = match order.split_once(' ') {
        Some(("slow", seconds)) => seconds.parse().unwrap_or_default(),
        _ if order == "hang" => HANGS,
        _ => 0.0,
    };
    seconds + 1.5
}

/// The fault whose time is nearest to `at`: a hint for people, no verdict hangs on it.
fn nearest(faults: &[Injected], at: f64) -> Option<usize> {
    let away = |fault: &Injected| (fault.start - at).max(at - fault.end).max(0.0);
    let nearest = faults.iter().enumerate().min_by(|(_, one), (_, other)| away(one).total_cmp(&away(other)));
    nearest.map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
