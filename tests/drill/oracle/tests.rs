use super::*;
use crate::kinds::find;

fn alert(number: u64, sight: Sight) -> Posted {
    Posted {
        incident: format!("am-{number}"),
        fingerprint: format!("{number:016x}"),
        sight,
        order: "echo".into(),
        at: 100.0,
        accepted: Some(100.1),
    }
}

fn run(number: u64, at: f64) -> Ran {
    Ran { fingerprint: format!("{number:016x}"), at, marked: false }
}

fn fault(id: &str, start: f64, sight: Option<Sight>) -> Injected {
    let kind = find(id).unwrap_or(*crate::kinds::KINDS.first().expect("a kind"));
    Injected {
        kind,
        start,
        end: start + 1.0,
        sight,
        resume: None,
        wait: None,
        redis: None,
        caught_up: CaughtUp::default(),
        note: String::new(),
    }
}

#[test]
fn the_longest_wait_is_that_of_what_came_in_meanwhile() {
    let mut faults = [fault("failover", 100.5, None), fault("failover", 200.0, None)];
    let posted = [alert(1, Sight::Blind), alert(2, Sight::Blind), alert(3, Sight::Blind)];
    waits(&mut faults, &posted, &[run(1, 104.0), run(1, 109.0), run(2, 102.0)]);
    assert_eq!(faults.map(|fault| fault.wait), [Some(4.0), None]);
}

#[test]
fn what_was_accepted_before_a_master_could_be_used_is_caught_up_with() {
    let mut posted: Vec<_> = (1..=5).map(|number| alert(number, Sight::Listing)).collect();
    posted[1].sight = Sight::Blind;
    posted[3].accepted = Some(120.0);
    posted[4].at = 90.0;
    let ran = [run(1, 109.0), run(1, 130.0), run(2, 111.5), run(4, 125.0), run(5, 140.0)];
    let seen = caught_up(&posted, &ran, 100.5, 108.0);
    assert_eq!(seen, CaughtUp { listing: Some(1.0), blind: Some(3.5), open: 1 });
    assert_eq!(caught_up(&posted, &ran, 100.5, 115.0), CaughtUp { listing: None, blind: None, open: 1 });
}

#[test]
fn only_a_run_that_outlasts_the_grace_is_lost_with_its_process() {
    let cases = [("hang", Sight::Blind, true), ("hang", Sight::Listing, false), ("slow 8", Sight::Blind, false)];
    for (order, sight, allowed) in cases {
        let mut posted = alert(1, sight);
        posted.order = order.into();
        let ran = [run(1, 101.0), run(1, 140.0)];
        let verdict = judge(&[posted], &ran, &HashMap::new(), &[fault("worker-term", 103.0, None)]);
        assert_eq!(verdict.allowed.len() == 1, allowed, "{order} {sight:?}");
    }
}

#[test]
fn a_dead_letter_needs_a_reason_that_fits() {
    let mut posted = [alert(1, Sight::Blind), alert(2, Sight::Blind)];
    posted[1].order = "hang".into();
    let book = || Book { state: "dead".into(), reason: "run-deadline".into(), entries: 1, copies: 1 };
    let books = HashMap::from([("am-1".to_owned(), book()), ("am-2".to_owned(), book())]);
    let verdict = judge(&posted, &[], &books, &[]);
    let misjudged: Vec<_> = verdict.misjudged.iter().map(|finding| finding.incident.as_str()).collect();
    assert_eq!(misjudged, ["am-1"]);
}

fn books(states: &[(u64, &str, usize, usize)]) -> HashMap<String, Book> {
    let book = |state: &str, entries, copies| Book { state: state.into(), reason: "failed".into(), entries, copies };
    states.iter().map(|(n, state, entries, copies)| (format!("am-{n}"), book(state, *entries, *copies))).collect()
}

#[test]
fn the_ids_are_those_of_the_contract() {
    let id = incident_id("7a9c4c1d3e5f6071", "2026-11-22T10:00:00.123000000Z");
    assert_eq!(id, "am-028c9cc7-6c7d-57d2-8282-89b9a7675fbc");
}

#[test]
fn what_was_promised_and_neither_ran_nor_died_is_lost() {
    let posted: Vec<_> = (1..=6).map(|number| alert(number, Sight::Listing)).collect();
    let ran = [run(1, 101.0), run(4, 101.0), run(5, 101.0)];
    let books = books(&[(1, "settled", 1, 0), (2, "dead", 1, 1), (3, "settled", 1, 0), (4, "accepted", 1, 0)]);
    let verdict = judge(&posted, &ran, &books, &[fault("failover", 99.0, None)]);
    let lost: Vec<_> = verdict.lost.iter().map(|lost| (lost.incident.as_str(), lost.fault)).collect();
    assert_eq!(lost, [("am-3", Some(0)), ("am-6", Some(0))]);
    assert_eq!((verdict.incidents, verdict.settled, verdict.unrecorded), (6, 1, 1));
    assert_eq!(verdict.unfinished.len(), 1);
    assert_eq!(verdict.dead.get("failed"), Some(&1));
    assert_eq!(verdict.complaints().len(), 2);
}

#[test]
fn an_alert_that_was_never_answered_may_be_missing_and_may_not_run_twice() {
    let mut unanswered = alert(1, Sight::Listing);
    unanswered.accepted = None;
    let nothing = judge(&[unanswered.clone()], &[], &HashMap::new(), &[]);
    assert!(nothing.complaints().is_empty() && nothing.incidents == 0);
    let twice = [run(1, 101.0), run(1, 102.0)];
    assert_eq!(judge(&[unanswered], &twice, &HashMap::new(), &[]).unallowed.len(), 1);
}

#[test]
fn a_second_run_needs_a_fault_that_allows_it_there_and_then() {
    let cases = [
        ("worker-kill", 100.0, None, Sight::Blind, true),
        ("worker-kill", 100.0, None, Sight::Listing, false),
        ("worker-stop", 100.0, None, Sight::Listing, true),
        ("failover", 100.0, None, Sight::Blind, false),
        ("worker-kill", 300.0, None, Sight::Blind, false),
        ("worker-kill", 90.0, None, Sight::Blind, false),
        ("worker-kill", 102.0, None, Sight::Blind, true),
        ("worker-kill", 103.0, None, Sight::Blind, false),
        ("agent-kill", 100.0, Some(Sight::Blind), Sight::Listing, false),
        ("master-stop", 100.0, None, Sight::Listing, true),
        ("master-stop", 103.0, None, Sight::Listing, true),
        ("master-stop", 106.0, None, Sight::Listing, false),
        ("master-stop", 95.0, None, Sight::Listing, false),
    ];
    for (id, start, only, sight, allowed) in cases {
        let ran = [run(1, 101.0), run(1, 140.0)];
        let verdict = judge(&[alert(1, sight)], &ran, &books(&[(1, "settled", 1, 0)]), &[fault(id, start, only)]);
        assert_eq!((verdict.allowed.len() == 1, verdict.unallowed.len() == 1), (allowed, !allowed), "{id} {start}");
        assert_eq!(verdict.doubled(), 1);
    }
}

#[test]
fn each_further_run_needs_its_fault() {
    let ran = [101.0, 140.0, 141.0].map(|at| run(1, at));
    let faults = [fault("worker-kill", 100.0, None)];
    let verdict = judge(&[alert(1, Sight::Blind)], &ran, &books(&[(1, "settled", 1, 0)]), &faults);
    assert_eq!((verdict.unallowed.len(), verdict.doubled()), (1, 2));
}

/// Whichever of them ran first: what was sent first may have been held up on its way.
#[test]
fn of_several_runs_all_but_one_must_have_said_that_they_may_be_further_ones() {
    let marked = |at| Ran { marked: true, ..run(1, at) };
    let cases = [
        (vec![run(1, 101.0), marked(102.0)], 0),
        (vec![marked(101.0), run(1, 102.0)], 0),
        (vec![run(1, 101.0), marked(102.0), run(1, 103.0)], 1),
        (vec![run(1, 101.0), run(1, 102.0), run(1, 103.0)], 2),
    ];
    for (ran, unsaid) in cases {
        let verdict = judge(&[alert(1, Sight::Blind)], &ran, &books(&[(1, "settled", 1, 0)]), &[]);
        assert_eq!(verdict.unsaid.iter().map(|finding| finding.unsaid).sum::<usize>(), unsaid, "{ran:?}");
        assert_eq!(verdict.marked, ran.iter().filter(|run| run.marked).count());
    }
}

#[test]
fn whoever_was_stopped_and_whoever_takes_over_cannot_say_so() {
    for (id, unsaid) in [("worker-stop", 0), ("agent-kill", 0), ("agent-slow", 1), ("worker-kill", 1)] {
        let ran = [run(1, 101.0), run(1, 140.0)];
        let verdict =
            judge(&[alert(1, Sight::Listing)], &ran, &books(&[(1, "settled", 1, 0)]), &[fault(id, 100.0, None)]);
        assert_eq!(verdict.unsaid.len(), unsaid, "{id}");
    }
}

#[test]
fn entries_and_copies_are_bounded() {
    let posted = [alert(1, Sight::Blind), alert(2, Sight::Blind)];
    let verdict = judge(&posted, &[], &books(&[(1, "dead", 6, 1), (2, "dead", 1, 2)]), &[]);
    assert_eq!((verdict.crowded.len(), verdict.copied.len()), (1, 1));
    assert_eq!(verdict.complaints().len(), 2);
}
