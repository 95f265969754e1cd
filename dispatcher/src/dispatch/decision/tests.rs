use std::collections::HashSet;

use super::*;
use crate::dispatch::outcome::Final;

const FACTS: Facts = Facts {
    attempts: 1,
    max_attempts: 5,
    deliveries: 1,
    on_uncertain: OnUncertain::Resend,
    recognises: false,
    lists: false,
    ack_on_accepted: false,
    on_resolved: OnResolved::Run,
    give_up_after: Duration::from_secs(100),
    run_deadline: Duration::from_secs(1200),
};

fn task(state: State) -> Task {
    Task {
        id: "t".into(),
        context_id: None,
        state,
        status_text: Some("disk full".into()),
        artifacts_text: None,
        message_ids: Vec::new(),
    }
}

/// Row, and how it ends: a reason, or nothing.
fn row(seen: &Seen<'_>, facts: &Facts) -> (Row, Option<Reason>) {
    let (row, step) = decide(seen, facts);
    match step {
        Step::Finish(outcome) => (row, Some(outcome.reason)),
        _ => (row, None),
    }
}

#[test]
fn ids_are_distinct_words() {
    let ids: HashSet<_> = Row::ALL.iter().map(|row| row.id()).collect();
    assert_eq!(ids.len(), Row::ALL.len());
    assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
}

#[test]
fn every_state_of_a_task_has_its_row() {
    let rows = [
        (State::Submitted, Row::Running, None),
        (State::Working, Row::Running, None),
        (State::Unknown("TASK_STATE_NEW".into()), Row::OddState, None),
        (State::Completed, Row::Completed, Some(Reason::Completed)),
        (State::Failed, Row::Failed, Some(Reason::Failed)),
        (State::Rejected, Row::Rejected, Some(Reason::Rejected)),
        (State::Canceled, Row::Canceled, Some(Reason::Canceled)),
        (State::InputRequired, Row::Input, Some(Reason::InputRequired)),
        (State::AuthRequired, Row::Auth, Some(Reason::AuthRequired)),
    ];
    for (state, expected, reason) in rows {
        for via in [Via::Send, Via::Look] {
            assert_eq!(row(&Seen::Task(&task(state.clone()), via), &FACTS), (expected, reason), "{state:?}");
        }
    }
}

#[test]
fn a_failed_run_keeps_the_agents_own_words() {
    let (_, step) = decide(&Seen::Task(&task(State::Failed), Via::Look), &FACTS);
    let Step::Finish(outcome) = step else { unreachable!("{step:?}") };
    assert_eq!((outcome.reason.ends(), outcome.error.as_str()), (Final::Dead, "disk full"));
}

#[test]
fn acceptance_is_final_only_where_it_was_asked_for_and_only_at_the_send() {
    let facts = Facts { ack_on_accepted: true, ..FACTS };
    assert_eq!(row(&Seen::Task(&task(State::Working), Via::Send), &facts).0, Row::Accepted);
    assert_eq!(row(&Seen::Task(&task(State::Working), Via::Look), &facts).0, Row::Running);
}

#[test]
fn a_failed_send_by_its_class() {
    let step = |class| decide(&Seen::SendFailed(class, "words"), &Facts { attempts: 9, ..FACTS }).1;
    assert_eq!(step(Class::NotExecuted), Step::Wait(Blame::Agent));
    assert_eq!(step(Class::Credentials), Step::Wait(Blame::Pause));
    // Also after the last attempt: it may have been the one that ran.
    assert_eq!(step(Class::Ambiguous), Step::FindOut);
    assert_eq!(row(&Seen::SendFailed(Class::Terminal, "400"), &FACTS), (Row::Refused, Some(Reason::Refused)));
}

#[test]
fn nothing_is_sent_beyond_the_attempts() {
    let spent = Facts { attempts: 5, ..FACTS };
    for seen in [Seen::Unsent, Seen::NotThere { unheard: false }] {
        assert_eq!(row(&seen, &spent), (Row::Exhausted, Some(Reason::AttemptsExhausted)));
    }
    assert_eq!(row(&Seen::Blind { quiet: true }, &Facts { recognises: true, ..spent }).0, Row::Exhausted);
}

#[test]
fn an_agent_that_has_said_nothing_may_run_it_yet() {
    for unheard in [false, true] {
        let (row, step) = decide(&Seen::NotThere { unheard }, &FACTS);
        assert_eq!((row, step), (Row::NotThere, Step::Send { doubtful: unheard }));
    }
}

#[test]
fn poison_is_what_was_never_tried() {
    let often = Facts { deliveries: 10, ..FACTS };
    assert_eq!(row(&Seen::Unsent, &Facts { attempts: 0, ..often }), (Row::Poison, Some(Reason::Poison)));
    assert_eq!(row(&Seen::Unsent, &often).0, Row::Send);
}

#[test]
fn what_cannot_be_found_out_is_decided_after_a_lease_and_sent_again_once() {
    let blind = |quiet, facts: &Facts| decide(&Seen::Blind { quiet }, facts);
    assert_eq!(blind(false, &FACTS), (Row::TooEarly, Step::WaitALease));
    assert_eq!(blind(true, &FACTS), (Row::Resend, Step::Send { doubtful: true }));
    assert_eq!(blind(true, &Facts { attempts: 2, ..FACTS }).0, Row::Again);
    assert_eq!(blind(true, &Facts { on_uncertain: OnUncertain::Park, ..FACTS }).0, Row::Park);
    // An agent that recognises the message makes the send safe at once.
    let recognises = Facts { recognises: true, on_uncertain: OnUncertain::Park, attempts: 3, ..FACTS };
    assert_eq!(blind(false, &recognises), (Row::Recognised, Step::Send { doubtful: false }));
}

#[test]
fn waits_end() {
    let waited =
        |seconds, stay| row(&Seen::Waited { waited: Duration::from_secs(seconds), stay, words: "refused" }, &FACTS);
    assert_eq!(waited(10, Stay::Here), (Row::Wait, None));
    assert_eq!(waited(10, Stay::Closed), (Row::Unreachable, None));
    assert_eq!(waited(101, Stay::Here), (Row::Expired, Some(Reason::Expired)));
    let closed = |why, seconds| row(&Seen::Closed(why, Duration::from_secs(seconds), ""), &FACTS);
    assert_eq!(closed(Closed::Open, 10), (Row::Open, None));
    assert_eq!(closed(Closed::Open, 101), (Row::Expired, Some(Reason::Expired)));
    // An agent that is at its limit can be reached.
    assert_eq!(closed(Closed::Full, 101), (Row::Full, None));
    assert_eq!(closed(Closed::Storm, 101), (Row::Storm, None));
}

#[test]
fn the_end_of_an_alert_comes_after_its_beginning() {
    let seen = |why, seconds| Seen::Closed(why, Duration::from_secs(seconds), "");
    for why in [Closed::Firing, Closed::Unstarted] {
        assert_eq!(decide(&seen(why, 10), &FACTS), (Row::Firing, Step::AwaitFiring));
        assert_eq!(row(&seen(why, 101), &FACTS), (Row::Expired, Some(Reason::Expired)));
    }
    let settles = Facts { on_resolved: OnResolved::Settle, ..FACTS };
    assert_eq!(decide(&seen(Closed::Firing, 10), &settles), (Row::Firing, Step::AwaitFiring));
    assert_eq!(decide(&seen(Closed::Unstarted, 101), &settles), (Row::Unstarted, Step::SettleFiring));
}

#[test]
fn a_silent_agent_is_to_blame_and_one_that_answers_badly_is_not() {
    let look = |silent| decide(&Seen::LookFailed { class: Class::Ambiguous, silent }, &FACTS);
    assert_eq!(look(true), (Row::LookUnreachable, Step::Wait(Blame::Agent)));
    assert_eq!(look(false), (Row::LookFailed, Step::Wait(Blame::Incident)));
}

#[test]
fn a_lost_task_is_looked_for_and_never_sent_again() {
    let unknown = |misses, searched, lists| {
        decide(&Seen::TaskUnknown { misses, searched, words: "-32001" }, &Facts { lists, ..FACTS })
    };
    assert_eq!(unknown(4, false, true), (Row::TaskMissing, Step::PollAgain(Pace::Slow)));
    assert_eq!(unknown(5, false, true), (Row::TaskSearch, Step::Search));
    assert_eq!(unknown(5, true, true).0, Row::TaskLost);
    assert_eq!(unknown(5, false, false).0, Row::TaskLost);
}

#[test]
fn every_row_can_be_reached() {
    let facts = |change: fn(&mut Facts)| {
        let mut facts = FACTS;
        change(&mut facts);
        facts
    };
    let tasks: Vec<_> = [
        State::Working,
        State::Unknown("odd".into()),
        State::Completed,
        State::Failed,
        State::Rejected,
        State::Canceled,
        State::InputRequired,
        State::AuthRequired,
    ]
    .map(task)
    .into();
    let long = Duration::from_secs(1_000);
    let mut seen: Vec<(Seen<'_>, Facts)> = vec![
        (Seen::Unreadable("why"), FACTS),
        (Seen::Unroutable("why"), FACTS),
        (Seen::TextGone, FACTS),
        (Seen::Unsent, FACTS),
        (Seen::Unsent, facts(|facts| facts.attempts = 5)),
        (Seen::Unsent, facts(|facts| (facts.attempts, facts.deliveries) = (0, 10))),
        (Seen::Message(None), FACTS),
        (Seen::Task(tasks.first().unwrap(), Via::Send), facts(|facts| facts.ack_on_accepted = true)),
        (Seen::NotThere { unheard: false }, FACTS),
        (Seen::Blind { quiet: false }, FACTS),
        (Seen::Blind { quiet: true }, FACTS),
        (Seen::Blind { quiet: true }, facts(|facts| facts.attempts = 2)),
        (Seen::Blind { quiet: true }, facts(|facts| facts.on_uncertain = OnUncertain::Park)),
        (Seen::Blind { quiet: true }, facts(|facts| facts.recognises = true)),
        (Seen::Waited { waited: Duration::ZERO, stay: Stay::Here, words: "" }, FACTS),
        (Seen::Waited { waited: Duration::ZERO, stay: Stay::Crowded, words: "" }, FACTS),
        (Seen::Waited { waited: Duration::ZERO, stay: Stay::Closed, words: "" }, FACTS),
        (Seen::Waited { waited: long, stay: Stay::Closed, words: "" }, FACTS),
        (Seen::TaskUnknown { misses: 1, searched: false, words: "" }, FACTS),
        (Seen::TaskUnknown { misses: 5, searched: false, words: "" }, facts(|facts| facts.lists = true)),
        (Seen::TaskUnknown { misses: 5, searched: true, words: "" }, FACTS),
        (Seen::Overdue, FACTS),
    ];
    seen.extend(tasks.iter().map(|task| (Seen::Task(task, Via::Look), FACTS)));
    seen.push((Seen::Closed(Closed::Unstarted, long, ""), facts(|facts| facts.on_resolved = OnResolved::Settle)));
    for why in [Closed::Open, Closed::Full, Closed::Storm, Closed::Firing, Closed::Unstarted] {
        seen.push((Seen::Closed(why, Duration::ZERO, ""), FACTS));
    }
    for class in [Class::NotExecuted, Class::Credentials, Class::Ambiguous, Class::Terminal] {
        seen.push((Seen::SendFailed(class, ""), FACTS));
        seen.push((Seen::LookFailed { class, silent: false }, FACTS));
        seen.push((Seen::PollFailed(class), FACTS));
    }
    let reached: HashSet<_> = seen.iter().map(|(seen, facts)| decide(seen, facts).0).collect();
    let missed: Vec<_> = Row::ALL.iter().filter(|row| !reached.contains(row)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
