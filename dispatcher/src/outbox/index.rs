//! All open incidents at a glance, in memory (pure): who is where, and what is next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::item::{Offer, Progress, Sent, Stage};

/// What is known of an open incident.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Its number: the order of acceptance.
    pub number: u64,
    /// The agent it is meant for, as the incident names it.
    pub target: String,
    /// Its way onto the stream.
    pub offer: Offer,
    /// Its direct dispatch.
    pub direct: Option<Sent>,
    /// It has been without a usable answer of Redis since then.
    pub since: Instant,
    /// When it was offered last, by this process.
    pub offered: Option<Instant>,
    /// On disk it counts as offered already; it is about to be, for the first time.
    pub first: bool,
}

impl Mark {
    /// What may have happened to it on its way onto the stream.
    pub fn offer_so_far(&self) -> Offer {
        if self.first { Offer::Never } else { self.offer }
    }
}

impl Mark {
    /// An agent has it, or has had it.
    pub fn is_with_agent(&self) -> bool {
        self.stage().is_some_and(|stage| matches!(stage, Stage::Running | Stage::Ended(_)))
    }

    /// How far its direct dispatch is.
    pub fn stage(&self) -> Option<&Stage> {
        self.direct.as_ref().map(|sent| &sent.stage)
    }
}

/// How many are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// On the stream, as far as is known.
    pub published: u64,
    /// With an agent directly, or perhaps there.
    pub direct: u64,
    /// Only in the outbox.
    pub kept: u64,
}

/// The open incidents.
#[derive(Debug, Default)]
pub struct Index {
    marks: BTreeMap<u64, (String, Mark)>,
    numbers: HashMap<String, u64>,
    unpublished: BTreeSet<u64>,
    direct: BTreeSet<u64>,
    next: u64,
}

impl Index {
    /// What a file says after a restart: a request that was on its way has no answer, and no publish is on its way.
    pub fn load(rows: Vec<(u64, Progress)>, now: Instant) -> Self {
        let mut index = Self::default();
        for (number, progress) in rows {
            let mut direct = progress.direct;
            if let Some(sent) = &mut direct
                && sent.stage == Stage::Sending
            {
                sent.stage = Stage::Unanswered;
            }
            let (target, offer) = (progress.target, progress.offer);
            let mark = Mark { number, target, offer, direct, since: now, offered: None, first: false };
            index.next = index.next.max(number + 1);
            index.put(progress.id, mark);
        }
        index
    }

    fn put(&mut self, id: String, mark: Mark) {
        let number = mark.number;
        if mark.offer == Offer::Confirmed {
            self.unpublished.remove(&number);
        } else {
            self.unpublished.insert(number);
        }
        if mark.direct.is_some() {
            self.direct.insert(number);
        } else {
            self.direct.remove(&number);
        }
        self.numbers.insert(id.clone(), number);
        self.marks.insert(number, (id, mark));
    }

    /// A new one; `None`: it is known.
    pub fn add(&mut self, id: &str, target: &str, offer: Offer, now: Instant) -> Option<(u64, Progress)> {
        if self.numbers.contains_key(id) {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let offered = (offer != Offer::Never).then_some(now);
        let (target, first) = (target.to_owned(), offer == Offer::Unanswered);
        let mark = Mark { number, target: target.clone(), offer, direct: None, since: now, offered, first };
        self.put(id.to_owned(), mark);
        Some((number, Progress { id: id.to_owned(), target, offer, direct: None }))
    }

    /// Changes one; what has to be written of it. `None`: it is not open.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Mark)) -> Option<(u64, Progress)> {
        let number = *self.numbers.get(id)?;
        let (id, mut mark) = self.marks.remove(&number)?;
        change(&mut mark);
        let (target, direct) = (mark.target.clone(), mark.direct.clone());
        let progress = Progress { id: id.clone(), target, offer: mark.offer, direct };
        self.put(id, mark);
        Some((number, progress))
    }

    /// It is not open any more.
    pub fn remove(&mut self, id: &str) -> Option<u64> {
        let number = self.numbers.remove(id)?;
        self.marks.remove(&number);
        self.unpublished.remove(&number);
        self.direct.remove(&number);
        Some(number)
    }

    /// What is known of one.
    pub fn get(&self, id: &str) -> Option<&Mark> {
        self.numbers.get(id).and_then(|number| self.marks.get(number)).map(|(_, mark)| mark)
    }

    /// Up to `count` that are to be offered, in the order of acceptance: none that was offered less than `apart` ago,
    /// and none whose request to an agent is on its way.
    pub fn to_offer(&self, count: usize, apart: Duration, now: Instant) -> Vec<u64> {
        let due = |mark: &Mark| mark.offered.is_none_or(|at| now.saturating_duration_since(at) >= apart);
        let free = |mark: &Mark| mark.stage() != Some(&Stage::Sending);
        let marks = self.unpublished.iter().filter_map(|number| self.marks.get(number));
        marks.map(|(_, mark)| mark).filter(|mark| due(mark) && free(mark)).map(|mark| mark.number).take(count).collect()
    }

    /// Something waits that was accepted before and is not on the stream.
    pub fn has_queue(&self) -> bool {
        let waiting = |mark: &Mark| mark.offer == Offer::Never && mark.direct.is_none();
        self.unpublished.iter().filter_map(|number| self.marks.get(number)).any(|(_, mark)| waiting(mark))
    }

    /// Up to `count` open ones after `number`, in order.
    pub fn after(&self, number: Option<u64>, count: usize) -> Vec<u64> {
        let from = number.map_or(0, |number| number + 1);
        self.marks.range(from..).map(|(number, _)| *number).take(count).collect()
    }

    /// Those that are not on the stream, oldest first, with their ids.
    pub fn unpublished(&self) -> impl Iterator<Item = (&str, &Mark)> {
        self.unpublished.iter().filter_map(|number| self.marks.get(number)).map(|(id, mark)| (id.as_str(), mark))
    }

    /// Those that went to an agent directly.
    pub fn direct(&self) -> impl Iterator<Item = (&str, &Mark)> {
        self.direct.iter().filter_map(|number| self.marks.get(number)).map(|(id, mark)| (id.as_str(), mark))
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// How many are where.
    pub fn counts(&self) -> Counts {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let direct = self.direct.intersection(&self.unpublished).count();
        Counts {
            published: count(self.marks.len() - self.unpublished.len()),
            direct: count(direct),
            kept: count(self.unpublished.len() - direct),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_secs(3);

    #[test]
    fn what_is_accepted_first_is_offered_first() {
        let (mut index, now) = (Index::default(), Instant::now());
        for id in ["c", "a", "b"] {
            assert!(index.add(id, "t", Offer::Never, now).is_some());
        }
        assert!(index.add("a", "t", Offer::Never, now).is_none());
        assert_eq!(index.to_offer(2, APART, now), [0, 1]);
        index.change("c", |mark| mark.offer = Offer::Confirmed);
        assert_eq!(index.to_offer(9, APART, now), [1, 2]);
        index.change("a", |mark| mark.offered = Some(now));
        assert_eq!(index.to_offer(9, APART, now), [2]);
        assert_eq!(index.to_offer(9, APART, now + APART), [1, 2]);
        assert_eq!(index.counts(), Counts { published: 1, direct: 0, kept: 2 });
        assert_eq!(index.remove("b"), Some(2));
        assert_eq!((index.len(), index.after(None, 9)), (2, vec![0, 1]));
    }

    #[test]
    fn a_request_on_its_way_has_no_answer_after_a_restart() {
        let run = crate::dispatch::record::Run {
            message_id: "m".into(),
            context_id: String::new(),
            task_id: None,
            wire: None,
            agent: "kagent/a".into(),
            attempts: 1,
        };
        let direct = Some(Sent { run, stage: Stage::Sending });
        let rows = vec![(7, Progress { id: "i".into(), target: "t".into(), offer: Offer::Never, direct })];
        let mut index = Index::load(rows, Instant::now());
        assert_eq!(index.get("i").and_then(Mark::stage), Some(&Stage::Unanswered));
        assert_eq!(index.add("j", "t", Offer::Never, Instant::now()).map(|(number, _)| number), Some(8));
    }
}
