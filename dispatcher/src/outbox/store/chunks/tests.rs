use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{Op, Store};
use super::*;
use crate::outbox::item::Offer;

fn incident(number: u64, size: usize) -> Incident {
    Incident {
        workflow_id: format!("am-{number}"),
        agent_target: "a\n".into(),
        text: format!("{}\nend", "x".repeat(size)),
        traceparent: String::new(),
        tracestate: String::new(),
        timestamp: Timestamp::UNIX_EPOCH,
        fingerprint: "f".into(),
        starts_at: Timestamp::UNIX_EPOCH,
        severity: String::new(),
        alertname: String::new(),
        firing_workflow_id: None,
    }
}

fn progress(number: u64, offer: Offer) -> Progress {
    Progress { id: format!("am-{number}"), target: "a\n".into(), offer, direct: None }
}

fn accept(number: u64, size: usize) -> Op {
    Op::Accept(number, Accepted::new(&incident(number, size), &progress(number, Offer::Never)).unwrap())
}

fn numbers(found: &[(u64, Incident)]) -> Vec<u64> {
    found.iter().map(|(number, _)| *number).collect()
}

#[test]
fn what_is_closed_leaves_the_body_by_halves() {
    let store = Store::open(None).unwrap();
    store.apply(&(0..10).map(|number| accept(number, 100)).collect::<Vec<_>>()).unwrap();
    let size = || {
        let read = Reader::open(&redb::ReadableDatabase::begin_read(&store.0).unwrap()).unwrap();
        read.bodies.get(0).unwrap().map_or(0, |body| body.value().len())
    };
    let full = size();
    store.apply(&(0..4).map(Op::Close).collect::<Vec<_>>()).unwrap();
    assert_eq!(size(), full);
    store.apply(&[Op::Close(4), Op::Close(4)]).unwrap();
    assert!(size() < full * 6 / 10, "{} of {full}", size());
    assert_eq!(numbers(&store.incidents(&[9, 0, 5, 4, 7]).unwrap()), [9, 5, 7]);
    store.apply(&(5..10).map(Op::Close).collect::<Vec<_>>()).unwrap();
    assert_eq!((size(), store.progress().unwrap().len()), (0, 0));
}

#[test]
fn a_change_that_comes_after_the_end_is_not_that_of_the_next_with_its_number() {
    let store = Store::open(None).unwrap();
    store.apply(&[accept(0, 1), accept(1, 1)]).unwrap();
    store.apply(&[Op::Close(1), Op::Progress(1, progress(1, Offer::Confirmed))]).unwrap();
    store.apply(&[accept(1, 1)]).unwrap();
    assert_eq!(store.progress().unwrap().last(), Some(&(1, progress(1, Offer::Never))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any order of acceptance, change and end, in any commits, against a map.
    #[test]
    fn the_file_says_what_a_map_says(
        steps in prop::collection::vec((0..4_u8, 1..90_u64, prop::sample::select(vec![1, 100, 3_000])), 1..12),
    ) {
        let (store, mut model, mut next) = (Store::open(None).unwrap(), BTreeMap::new(), 0_u64);
        for (what, count, size) in steps {
            let open: Vec<u64> = model.keys().copied().collect();
            let picked = open.iter().copied().step_by(usize::try_from(count).unwrap());
            let ops: Vec<Op> = match what {
                // What is accepted at the same time need not be written in order.
                0 | 1 => (next..next + count).rev().map(|number| accept(number, size)).collect(),
                2 => picked.map(|number| Op::Progress(number, progress(number, Offer::Confirmed))).collect(),
                _ => picked.map(Op::Close).collect(),
            };
            store.apply(&ops).unwrap();
            for op in ops {
                match op {
                    Op::Accept(number, _) => drop(model.insert(number, Offer::Never)),
                    Op::Progress(number, now) => drop(model.insert(number, now.offer)),
                    Op::Close(number) => drop(model.remove(&number)),
                    _ => {}
                }
            }
            next += if what < 2 { count } else { 0 };
            let expected: Vec<_> = model.iter().map(|(number, offer)| (*number, progress(*number, *offer))).collect();
            prop_assert_eq!(store.progress().unwrap(), expected);
            let all: Vec<u64> = (0..next).collect();
            let found = store.incidents(&all).unwrap();
            prop_assert_eq!(numbers(&found), model.keys().copied().collect::<Vec<_>>());
            let named = found.iter().all(|(number, found)| found.workflow_id == format!("am-{number}"));
            prop_assert!(named, "another one was read");
        }
    }
}
