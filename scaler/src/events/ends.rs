//! Where streams end, and which of them to ask about when. Pure: the time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use redis_stream::id::EntryId;

use crate::pace::Pace;

/// Shortest time from one ring for a stream to the next.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// In the long run a stream rings once in this time, however many entries come ...
pub(super) const SPACING: Duration = Duration::from_millis(100);

/// ... after this many at the shortest distance.
pub(super) const BURST: u32 = 10;

/// Ends are looked at again after this, moved or not: a stream that was deleted and made again may have smaller ids.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The ends of the streams that are listened to.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeMap<String, Stream>);

#[derive(Debug)]
struct Stream {
    /// Known end; nobody waits for a stream without one.
    end: Option<EntryId>,
    /// When to look at it; absent: at once.
    look_at: Option<Instant>,
    /// It rang a moment ago, and is not waited for before the next look.
    rests: bool,
    pace: Pace,
}

impl Stream {
    fn new() -> Self {
        Self { end: None, look_at: None, rests: false, pace: Pace::new(SPACING, BURST) }
    }

    fn rings(&mut self, end: EntryId, now: Instant) {
        self.pace.take(now);
        let rested = now + PAUSE;
        self.end = Some(end);
        self.rests = true;
        self.look_at = Some(self.pace.free_at().map_or(rested, |free| free.max(rested)));
    }
}

impl Ends {
    /// Takes up new streams and forgets the others.
    pub(super) fn keep(&mut self, streams: &BTreeSet<String>) {
        self.0.retain(|name, _| streams.contains(name));
        for name in streams {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), Stream::new());
            }
        }
    }

    /// The streams whose ends to ask for now.
    pub(super) fn to_look_at(&self, now: Instant) -> Vec<String> {
        let due = |stream: &Stream| stream.look_at.is_none_or(|at| at <= now);
        self.0.iter().filter(|(_, stream)| due(stream)).map(|(name, _)| name.clone()).collect()
    }

    /// Takes a stream's end; says whether to ring: always the first time, as nothing is known of what came before.
    pub(super) fn found(&mut self, name: &str, end: EntryId, now: Instant) -> bool {
        let Some(stream) = self.0.get_mut(name) else { return false };
        let moved = stream.end != Some(end);
        if moved {
            stream.rings(end, now);
        } else {
            stream.rests = false;
            stream.look_at = Some(now + LOOK_EVERY);
        }
        moved
    }

    /// The stream cannot be read: it is looked at again later, and not waited for.
    pub(super) fn put_off(&mut self, name: &str, now: Instant) {
        if let Some(stream) = self.0.get_mut(name) {
            stream.end = None;
            stream.look_at = Some(now + LOOK_EVERY);
        }
    }

    /// This entry came: the stream rings, and is looked at before it is waited for again, since more may have come.
    pub(super) fn came(&mut self, name: &str, id: EntryId, now: Instant) {
        if let Some(stream) = self.0.get_mut(name) {
            stream.rings(id, now);
        }
    }

    /// What to wait for, and for how long at most: until the next look is due.
    pub(super) fn to_wait_for(&self, now: Instant, longest: Duration) -> (Vec<(String, EntryId)>, Duration) {
        let after =
            self.0.iter().filter_map(|(name, stream)| Some((name.clone(), stream.end.filter(|_| !stream.rests)?)));
        let after = after.collect();
        let next = self.0.values().filter_map(|stream| stream.look_at).min();
        let until = next.map_or(longest, |at| at.saturating_duration_since(now));
        (after, until.clamp(Duration::from_millis(1), longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(250);
    const STEP: Duration = Duration::from_millis(1);

    fn id(ms: u64) -> EntryId {
        EntryId { ms, seq: 0 }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn waited_for(ends: &Ends, now: Instant) -> Vec<(String, EntryId)> {
        ends.to_wait_for(now, LONGEST).0
    }

    /// Both have been looked at, have rung and rested, and are waited for.
    fn waiting(streams: &[&str], now: Instant) -> Ends {
        let mut ends = Ends::default();
        ends.keep(&names(streams));
        for at in [now, now + PAUSE] {
            assert_eq!(ends.to_look_at(at), streams);
            for stream in streams {
                assert_eq!(ends.found(stream, id(1), at), at == now);
            }
        }
        assert_eq!(waited_for(&ends, now + PAUSE).len(), streams.len());
        ends
    }

    #[test]
    fn a_new_stream_rings_once_and_is_waited_for_after_its_last_entry() {
        let now = Instant::now();
        let ends = waiting(&["a", "b"], now);
        assert_eq!(waited_for(&ends, now + PAUSE), [("a".to_owned(), id(1)), ("b".to_owned(), id(1))]);
        assert!(ends.to_look_at(now + PAUSE).is_empty());
    }

    #[test]
    fn one_entry_rings_once_and_the_others_are_waited_for_meanwhile() {
        let now = Instant::now();
        let mut ends = waiting(&["a", "b"], now);
        let at = now + Duration::from_secs(1);
        ends.came("a", id(2), at);
        let (after, block) = ends.to_wait_for(at, LONGEST);
        assert_eq!((after, block), (vec![("b".to_owned(), id(1))], PAUSE));
        assert!(!ends.found("a", id(2), at + PAUSE), "nothing came after the entry that rang");
        assert_eq!(waited_for(&ends, at + PAUSE).len(), 2);
    }

    #[test]
    fn entries_that_came_in_the_pause_ring_too() {
        let now = Instant::now();
        let mut ends = waiting(&["a"], now);
        ends.came("a", id(2), now + PAUSE);
        assert!(ends.found("a", id(9), now + PAUSE * 2));
        assert!(waited_for(&ends, now + PAUSE * 2).is_empty());
    }

    #[test]
    fn a_flood_rings_ten_times_a_second() {
        let begin = Instant::now();
        let (mut ends, mut rings, mut first) = (waiting(&["a"], begin), 0, 0);
        for step in 1..=10_000 {
            let (now, newest) = (begin + PAUSE + STEP * step, id(u64::from(step) + 1));
            let rang = if waited_for(&ends, now).is_empty() {
                !ends.to_look_at(now).is_empty() && ends.found("a", newest, now)
            } else {
                ends.came("a", newest, now);
                true
            };
            rings += u32::from(rang);
            if step == 100 {
                first = rings;
            }
        }
        assert!((BURST - 1..=BURST + 1).contains(&first), "{first} in the first 100 ms");
        assert!((100..=100 + BURST).contains(&rings), "{rings} in 10 s");
    }

    #[test]
    fn a_stream_that_was_made_again_is_found_by_the_next_look() {
        let now = Instant::now();
        let mut ends = waiting(&["a"], now);
        assert_eq!(ends.to_look_at(now + PAUSE + LOOK_EVERY), ["a"]);
        assert!(ends.found("a", EntryId::ZERO, now + PAUSE + LOOK_EVERY));
    }

    #[test]
    fn a_stream_that_cannot_be_read_is_left_out_for_a_while() {
        let now = Instant::now();
        let mut ends = waiting(&["a", "b"], now);
        ends.put_off("a", now + PAUSE);
        assert_eq!(waited_for(&ends, now + PAUSE), [("b".to_owned(), id(1))]);
        assert!(ends.found("a", id(1), now + PAUSE + LOOK_EVERY), "what came meanwhile is not known");
    }

    #[test]
    fn what_nobody_listens_to_is_forgotten() {
        let now = Instant::now();
        let mut ends = waiting(&["a", "b"], now);
        ends.keep(&names(&["b"]));
        assert_eq!(waited_for(&ends, now + PAUSE), [("b".to_owned(), id(1))]);
        ends.came("a", id(2), now);
        assert!(!ends.found("a", id(2), now));
        let (after, block) = Ends::default().to_wait_for(now, LONGEST);
        assert_eq!((after, block), (vec![], LONGEST));
    }
}
