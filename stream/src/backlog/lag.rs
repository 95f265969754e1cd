//! How many entries are unread: the entries after the last delivered id. Pure.
//!
//! Ids decide the ends: nothing is unread when the newest entry was delivered, everything when the oldest was not. In
//! between the entries are counted once, and the number is carried on from reading to reading: plus what was added,
//! minus what was delivered, as long as nothing unread can have been removed. `XINFO STREAM` proves that:
//!
//! * `entries-added - length` is how many entries were ever removed; unchanged, nothing was.
//! * `max-deleted-entry-id` is above everything that `XDEL` removed, and trimming removes only what is before the
//!   first entry; both at or before the group's position, what was removed had been read.
//!
//! The lag that Redis reports is used only where more is unread than may be counted: within the bounds that are known.

use super::facts::{Extent, Standing};
use crate::id::EntryId;

/// Where a lag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The ids of the first and last entry say it: nothing, or everything, is unread.
    Ids,
    /// The unread entries were counted.
    Counted,
    /// Carried on from an earlier reading by what was added and delivered since.
    Carried,
    /// Redis' own number, since more is unread than may be counted.
    Reported,
    /// There is no group yet; a new one starts at `0`, so every entry is unread.
    WholeStream,
    /// There is no stream.
    Missing,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ids, Self::Counted, Self::Carried, Self::Reported, Self::WholeStream, Self::Missing];

    /// A fixed word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Counted => "counted",
            Self::Carried => "carried",
            Self::Reported => "reported",
            Self::WholeStream => "whole_stream",
            Self::Missing => "missing",
        }
    }
}

/// How many entries nobody has read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Entries: what is answered.
    pub value: u64,
    /// Where it comes from.
    pub method: Method,
    /// There are at least this many.
    pub low: u64,
    /// There are at most this many.
    pub high: u64,
}

impl Lag {
    /// A number that is certain.
    pub fn exact(value: u64, method: Method) -> Self {
        Self { value, method, low: value, high: value }
    }

    /// `low` or more are unread, and not all of them: Redis' number, if it can be true.
    fn at_least(low: u64, facts: &Facts) -> Self {
        let high = facts.extent.length.saturating_sub(1).max(low);
        let reported = facts.standing.reported.and_then(|lag| u64::try_from(lag).ok());
        match reported.filter(|lag| (low..=high).contains(lag)) {
            Some(value) => Self { value, method: Method::Reported, low, high },
            None => Self { value: low, method: Method::Counted, low, high },
        }
    }

    /// Whether the number is certain.
    pub fn is_exact(&self) -> bool {
        self.low == self.high
    }
}

/// How much may be read of a stream for one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unread entries that are counted at most.
    pub unread: u64,
    /// Entries delivered since the last reading that are counted at most; if there were more, unread ones are counted.
    pub delivered: u64,
    /// A number that was carried on this often is counted again, where it may be.
    pub carried: u32,
}

/// What Redis said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The stream.
    pub extent: Extent,
    /// The group.
    pub standing: Standing,
}

impl Facts {
    /// The number, where the ids of the first and last entry are enough.
    fn by_ids(&self) -> Option<u64> {
        let Extent { length, first, last, .. } = self.extent;
        let position = self.standing.position;
        match (first, last) {
            (Some(_), Some(last)) if last <= position => Some(0),
            (Some(first), Some(_)) if first > position => Some(length),
            (Some(first), Some(_)) if first == position => Some(length.saturating_sub(1)),
            (Some(_), Some(_)) => None,
            _ => Some(0),
        }
    }
}

/// What to do next to know the lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: this is it.
    Known(Lag),
    /// Count these entries, and tell [`Tracker::counted`].
    Count(Span),
}

/// Entries to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not this one, those after it.
    pub after: EntryId,
    /// Up to this one.
    pub upto: EntryId,
    /// At most so many.
    pub limit: u64,
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Unread,
    /// What a count of unread entries that took too long has left.
    Rest,
    Delivered,
}

/// How a count ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Entries found.
    pub entries: u64,
    /// The last of them; where the count began, if none was found.
    pub to: EntryId,
    /// There are no more.
    pub complete: bool,
}

/// Knows the lag of one group from reading to reading.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    memory: Option<Memory>,
}

/// What was known at the last reading.
#[derive(Debug, Clone, Copy)]
struct Memory {
    facts: Facts,
    /// What is removed at or before this id was not among the unread entries. It is the position before the last
    /// count: between the facts and the count that followed them, entries after it may have gone.
    anchor: EntryId,
    low: u64,
    exact: bool,
    /// Between these two ids, unread entries were not counted: the first was the last that was.
    rest: Option<(EntryId, EntryId)>,
    /// What the last count said, or the ids.
    counted: u64,
    /// Readings since the entries were counted, or the ids were enough.
    carried: u32,
}

impl Tracker {
    /// Knows nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, memory: None }
    }

    /// Another server, or another history: what was known is of no use.
    pub fn forget(&mut self) {
        self.memory = None;
    }

    /// Begins a reading.
    pub fn begin(&mut self, facts: &Facts) -> Step {
        if let Some(value) = facts.by_ids() {
            self.memory = Some(Memory::new(facts, value, true));
            return Step::Known(Lag::exact(value, Method::Ids));
        }
        let Some(memory) = self.memory.filter(|memory| memory.added(facts).is_some()) else {
            return self.count_unread(facts);
        };
        if memory.is_worn(self.limits) {
            return self.count_unread(facts);
        }
        let (after, upto) = (memory.facts.standing.position, facts.standing.position);
        if after == upto {
            return match memory.rest.filter(|_| memory.low < self.limits.unread) {
                Some((after, upto)) => {
                    Step::Count(Span { after, upto, limit: self.limits.unread - memory.low, of: Of::Rest })
                }
                None => self.carry(facts, 0),
            };
        }
        Step::Count(Span { after, upto, limit: self.limits.delivered, of: Of::Delivered })
    }

    /// Goes on with a reading after a count.
    pub fn counted(&mut self, facts: &Facts, span: &Span, counted: Counted) -> Step {
        match span.of {
            Of::Delivered if counted.complete => self.carry(facts, counted.entries),
            Of::Delivered => self.count_unread(facts),
            Of::Unread => Step::Known(self.settle(facts, counted)),
            Of::Rest => self.resume(facts, counted),
        }
    }

    fn count_unread(&mut self, facts: &Facts) -> Step {
        self.memory = None;
        let (after, upto) = (facts.standing.position, facts.extent.last.unwrap_or_default());
        Step::Count(Span { after, upto, limit: self.limits.unread, of: Of::Unread })
    }

    fn settle(&mut self, facts: &Facts, Counted { entries, to, complete }: Counted) -> Lag {
        // The ids say that one is there; if it was removed before the count, the next reading will see that.
        let low = entries.max(1);
        let rest = (!complete).then_some((to, facts.extent.last.unwrap_or_default()));
        self.memory = Some(Memory { rest, ..Memory::new(facts, low, complete) });
        if complete { Lag::exact(low, Method::Counted) } else { Lag::at_least(low, facts) }
    }

    /// Goes on with a count that was cut off in the reading before.
    fn resume(&mut self, facts: &Facts, Counted { entries, to, complete }: Counted) -> Step {
        if let Some(memory) = &mut self.memory {
            memory.low += entries;
            memory.counted = memory.low;
            memory.exact = complete;
            memory.rest = memory.rest.filter(|_| !complete).map(|(_, upto)| (to, upto));
        }
        self.carry(facts, 0)
    }

    /// The number of the last reading, brought up to date; counted anew where that cannot be true.
    fn carry(&mut self, facts: &Facts, delivered: u64) -> Step {
        let next = self.memory.and_then(|memory| memory.carry(facts, delivered));
        let fits = |next: &Memory| next.low < facts.extent.length && (next.exact || !next.is_worn(self.limits));
        let Some(next) = next.filter(fits) else {
            return self.count_unread(facts);
        };
        self.memory = Some(next);
        if next.exact {
            return Step::Known(Lag::exact(next.low, Method::Carried));
        }
        Step::Known(Lag::at_least(next.low, facts))
    }
}

impl Memory {
    fn new(facts: &Facts, low: u64, exact: bool) -> Self {
        Self { facts: *facts, anchor: facts.standing.position, low, exact, rest: None, counted: low, carried: 0 }
    }

    /// How many unread entries were added since, if it is certain that this is the same stream, that the group has not
    /// been set back, and that nothing unread was removed.
    fn added(&self, facts: &Facts) -> Option<u64> {
        let (old, new) = (self.facts.extent, facts.extent);
        let added = new.added?.checked_sub(old.added?)?;
        let removed = new.removed()?.checked_sub(old.removed()?)?;
        let grown = new.last >= old.last && (added > 0) == (new.top > old.top);
        let position = self.facts.standing.position;
        // A group that was set ahead of the stream has entries behind it that nobody has added yet.
        let forward = facts.standing.position >= position && position <= old.top;
        let behind = if removed == 0 {
            old.first.is_none() || new.first == old.first
        } else {
            // A removal that shows nowhere is none: XSETID has set the counter.
            let shown = new.first != old.first || new.max_deleted != old.max_deleted;
            shown && new.max_deleted <= self.anchor && new.first.is_some_and(|first| first <= self.anchor)
        };
        (grown && forward && behind).then_some(added)
    }

    /// Whether a new count may say more.
    fn is_worn(&self, limits: Limits) -> bool {
        if self.exact {
            self.carried >= limits.carried && self.low <= limits.unread
        } else {
            self.low < self.counted / 2
        }
    }

    fn carry(&self, facts: &Facts, delivered: u64) -> Option<Self> {
        let low = self.low.checked_add(self.added(facts)?)?.checked_sub(delivered).filter(|low| *low > 0)?;
        if self.rest.is_some_and(|(counted, _)| counted < facts.standing.position) {
            return None;
        }
        let carried = self.carried + u32::from(*facts != self.facts);
        Some(Self { facts: *facts, anchor: self.facts.standing.position, low, carried, ..*self })
    }
}

#[cfg(test)]
mod tests;
