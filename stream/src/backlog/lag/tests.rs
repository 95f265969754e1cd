//! A model of a stream that knows the truth, put through random histories.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { unread: 12, delivered: 4, carried: 5 };

/// A stream with one group. Ids are `n-0`.
#[derive(Debug, Clone, Default)]
struct Model {
    entries: BTreeSet<u64>,
    top: u64,
    added: u64,
    max_deleted: u64,
    position: u64,
    pending: BTreeSet<u64>,
    /// What Redis believes to have delivered: anything at all.
    read: Option<i64>,
}

#[derive(Debug, Clone)]
enum Event {
    Add(u8),
    Read(u8),
    AckOldest,
    /// The n-th entry, counted modulo the length.
    Delete(u8),
    DeleteLast,
    Trim(u8),
    /// At an id of this share of the way, with what Redis is told of `ENTRIESREAD`.
    SetId(u8, Option<i8>),
    Ahead,
    Recreate,
    /// No event: only another reading.
    Look,
}

fn id(n: u64) -> EntryId {
    EntryId { ms: n, seq: 0 }
}

impl Model {
    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Add(count) => {
                for _ in 0..count {
                    self.top += 1;
                    self.added += 1;
                    self.entries.insert(self.top);
                }
            }
            Event::Read(count) => {
                let unread: Vec<u64> = self.unread().take(usize::from(count)).collect();
                self.pending.extend(&unread);
                self.position = unread.last().copied().unwrap_or(self.position);
                self.read = self.read.map(|read| read + i64::try_from(unread.len()).unwrap());
            }
            Event::AckOldest => drop(self.pending.pop_first()),
            Event::Delete(n) if !self.entries.is_empty() => {
                let n = usize::from(n) % self.entries.len();
                self.delete(self.entries.iter().nth(n).copied());
            }
            Event::DeleteLast => self.delete(self.entries.last().copied()),
            Event::Trim(left) => {
                while self.entries.len() > usize::from(left) {
                    self.entries.pop_first();
                }
            }
            Event::SetId(share, read) => {
                self.position = self.top * u64::from(share) / 255;
                self.read = read.map(i64::from);
            }
            Event::Ahead => self.position = self.top + 3,
            Event::Recreate => *self = Self { top: self.top, ..Self::default() },
            Event::Delete(_) | Event::Look => {}
        }
    }

    fn delete(&mut self, entry: Option<u64>) {
        if let Some(entry) = entry.filter(|entry| self.entries.remove(entry)) {
            self.max_deleted = self.max_deleted.max(entry);
        }
    }

    fn unread(&self) -> impl Iterator<Item = u64> {
        self.entries.range(self.position + 1..).copied()
    }

    fn facts(&self) -> Facts {
        let extent = Extent {
            weight: 1,
            length: self.entries.len() as u64,
            added: Some(self.added),
            top: id(self.top),
            max_deleted: id(self.max_deleted),
            first: self.entries.first().copied().map(id),
            last: self.entries.last().copied().map(id),
        };
        let reported = self.read.map(|read| i64::try_from(self.added).unwrap() - read);
        let standing = Standing { pending: self.pending.len() as u64, reported, position: id(self.position) };
        Facts { extent, standing }
    }

    /// Counts, and stops early after `cut` entries, as a count does that takes too long.
    fn count(&self, span: &Span, cut: u64) -> Counted {
        let most = span.limit.min(cut);
        let mut found = self.entries.range(span.after.ms + 1..=span.upto.ms).copied();
        let (mut entries, mut to) = (0, span.after);
        for entry in found.by_ref().take(usize::try_from(most).unwrap()) {
            (entries, to) = (entries + 1, id(entry));
        }
        Counted { entries, to, complete: entries < most || to >= span.upto }
    }
}

/// A reading, and how many entries it counted. Between its facts and its counts `meanwhile` happens.
fn read(tracker: &mut Tracker, model: &mut Model, meanwhile: &[Event]) -> (Lag, u64) {
    read_slowly(tracker, model, meanwhile, u64::MAX)
}

fn read_slowly(tracker: &mut Tracker, model: &mut Model, meanwhile: &[Event], cut: u64) -> (Lag, u64) {
    let (facts, mut counted) = (model.facts(), 0);
    let mut step = tracker.begin(&facts);
    for event in meanwhile {
        model.apply(event);
    }
    loop {
        match step {
            Step::Known(lag) => return (lag, counted),
            Step::Count(span) => {
                let found = model.count(&span, cut);
                counted += found.entries;
                step = tracker.counted(&facts, &span, found);
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u8..7).prop_map(Event::Add),
        4 => (1_u8..7).prop_map(Event::Read),
        2 => Just(Event::AckOldest),
        1 => any::<u8>().prop_map(Event::Delete),
        1 => Just(Event::DeleteLast),
        1 => (0_u8..30).prop_map(Event::Trim),
        1 => (any::<u8>(), any::<Option<i8>>()).prop_map(|(share, read)| Event::SetId(share, read)),
        1 => Just(Event::Ahead),
        1 => Just(Event::Recreate),
        3 => Just(Event::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happened and whatever Redis reports: the truth is within the bounds, a number that claims to be exact
    /// is, zero is said only where nothing is unread, and a reading stays within its limits.
    #[test]
    fn the_truth_is_known_or_bounded(events in prop::collection::vec(event(), 1..60)) {
        let (mut model, mut tracker) = (Model::default(), Tracker::new(LIMITS));
        for event in &events {
            model.apply(event);
            let truth = model.unread().count() as u64;
            let (lag, counted) = read(&mut tracker, &mut model, &[]);
            prop_assert!(lag.low <= truth && truth <= lag.high, "{truth}: {lag:?}");
            prop_assert!((lag.low..=lag.high).contains(&lag.value));
            prop_assert_eq!(lag.value == 0, truth == 0, "{:?}", lag);
            prop_assert!(lag.is_exact() || truth >= LIMITS.unread / 2, "{truth}: {lag:?}");
            prop_assert!(counted <= LIMITS.unread + LIMITS.delivered);
        }
    }

    /// The same where the stream changes while it is read, and counts are cut off: the next quiet reading is right, and
    /// some more of them are exact where that many may be counted.
    #[test]
    fn what_happens_during_a_reading_does_no_lasting_harm(
        events in prop::collection::vec((event(), prop::collection::vec(event(), 0..3), 1..20_u64), 1..40),
    ) {
        let (mut model, mut tracker) = (Model::default(), Tracker::new(LIMITS));
        for (event, meanwhile, cut) in &events {
            model.apply(event);
            read_slowly(&mut tracker, &mut model, meanwhile, *cut);
            let truth = model.unread().count() as u64;
            let (lag, _) = read_slowly(&mut tracker, &mut model, &[], *cut);
            prop_assert!(lag.low <= truth && truth <= lag.high, "{truth}: {lag:?}");
        }
        let truth = model.unread().count() as u64;
        let lags: Vec<Lag> = (0..15).map(|_| read_slowly(&mut tracker, &mut model, &[], 2).0).collect();
        prop_assert!(lags.iter().all(|lag| lag.low <= truth && truth <= lag.high), "{truth}: {lags:?}");
        prop_assert!(truth >= LIMITS.unread || lags[14].is_exact(), "{truth}: {lags:?}");
    }
}

fn model(entries: u64, position: u64, read: Option<i64>) -> Model {
    let entries_set: BTreeSet<u64> = (1..=entries).collect();
    Model { entries: entries_set, top: entries, added: entries, position, read, ..Model::default() }
}

fn tracker() -> Tracker {
    Tracker::new(Limits { unread: 10_000, delivered: 1_000, carried: 64 })
}

#[test]
fn a_phantom_of_any_size_is_counted_away() {
    let mut phantom = model(100_040, 20, Some(20));
    for entry in 21..=100_020 {
        phantom.delete(Some(entry));
    }
    assert_eq!(phantom.facts().standing.reported, Some(100_020));
    let (lag, _) = read(&mut tracker(), &mut phantom, &[]);
    assert_eq!((lag.value, lag.method, lag.is_exact()), (20, Method::Counted, true));
    phantom.apply(&Event::Trim(5));
    assert_eq!(read(&mut tracker(), &mut phantom, &[]).0, Lag::exact(5, Method::Ids));
    phantom.position = phantom.top;
    assert_eq!(read(&mut tracker(), &mut phantom, &[]).0, Lag::exact(0, Method::Ids));
}

#[test]
fn a_zero_and_a_negative_lag_are_not_believed_while_entries_are_unread() {
    for read_count in [10, 100] {
        let mut wrong = model(10, 4, Some(read_count));
        assert!(wrong.facts().standing.reported.unwrap() <= 0);
        assert_eq!(read(&mut tracker(), &mut wrong, &[]).0, Lag::exact(6, Method::Counted));
    }
}

#[test]
fn what_is_too_much_to_count_is_bounded_and_redis_believed_within() {
    for (reported, value, method) in [
        (Some(40_000), 40_000, Method::Reported),
        (Some(50_000), 50_000, Method::Reported),
        (Some(200_000), 10_000, Method::Counted),
        (Some(20), 10_000, Method::Counted),
        (Some(-5), 10_000, Method::Counted),
        (None, 10_000, Method::Counted),
    ] {
        let mut large = model(100_000, 50_000, reported.map(|lag| 100_000 - lag));
        let (lag, counted) = read(&mut tracker(), &mut large, &[]);
        assert_eq!(lag, Lag { value, method, low: 10_000, high: 99_999 });
        assert_eq!(counted, 10_000);
        // Nor is it counted each time: what was counted lasts for a while.
        let mut tracker = tracker_of(&large);
        large.apply(&Event::Read(200));
        let (lag, counted) = read(&mut tracker, &mut large, &[]);
        assert_eq!((lag.low, lag.high, counted), (9_800, 99_999, 200));
        for _ in 0..30 {
            large.apply(&Event::Read(200));
        }
        let (lag, counted) = read(&mut tracker, &mut large, &[]);
        assert_eq!((lag.low, counted), (10_000, 11_000));
    }
}

/// A tracker that has read a model.
fn tracker_of(model: &Model) -> Tracker {
    let mut tracker = tracker();
    read(&mut tracker, &mut model.clone(), &[]);
    tracker
}

#[test]
fn a_count_that_was_cut_off_is_gone_on_with() {
    let (mut slow, mut tracker) = (model(1_000, 500, None), tracker());
    let low = |lag: Lag| (lag.low, lag.is_exact());
    let turn = |tracker: &mut Tracker, slow: &mut Model| read_slowly(tracker, slow, &[], 200);
    assert_eq!(low(turn(&mut tracker, &mut slow).0), (200, false));
    slow.apply(&Event::Add(5));
    assert_eq!(low(turn(&mut tracker, &mut slow).0), (405, false));
    slow.apply(&Event::Read(10));
    assert_eq!(low(turn(&mut tracker, &mut slow).0), (395, false));
    let (lag, counted) = turn(&mut tracker, &mut slow);
    assert_eq!((lag, counted), (Lag::exact(495, Method::Carried), 100));
}

#[test]
fn a_number_is_carried_on_without_counting_what_is_unread() {
    let mut busy = model(50_000, 0, None);
    let mut tracker = tracker_of(&busy);
    for turn in 1..=100_u64 {
        busy.apply(&Event::Read(100));
        busy.apply(&Event::Add(10));
        let (lag, counted) = read(&mut tracker, &mut busy, &[]);
        assert_eq!(lag, Lag::exact(50_000 - 90 * turn, Method::Carried));
        assert_eq!(counted, 100);
        let (again, counted) = read(&mut tracker, &mut busy, &[]);
        assert_eq!((again, counted), (lag, 0), "nothing happened");
    }
}

#[test]
fn removing_what_is_finished_costs_nothing() {
    let mut busy = model(5_000, 2_000, None);
    let mut tracker = tracker_of(&busy);
    busy.apply(&Event::Delete(7));
    busy.apply(&Event::Delete(0));
    let (lag, counted) = read(&mut tracker, &mut busy, &[]);
    assert_eq!((lag, counted), (Lag::exact(3_000, Method::Carried), 0));
    busy.delete(Some(4_000));
    let (lag, counted) = read(&mut tracker, &mut busy, &[]);
    assert_eq!((lag, counted), (Lag::exact(2_999, Method::Counted), 2_999));
}

#[test]
fn what_was_carried_long_enough_is_counted_again() {
    let mut busy = model(100, 50, None);
    let mut tracker = tracker_of(&busy);
    let mut methods = Vec::new();
    for _ in 0..70 {
        busy.apply(&Event::Add(1));
        methods.push(read(&mut tracker, &mut busy, &[]).0.method);
    }
    assert_eq!(methods.iter().filter(|method| **method == Method::Counted).count(), 1);
    assert_eq!(methods[64], Method::Counted);
}
