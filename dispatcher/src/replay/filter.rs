//! Which entries are meant (pure).

use std::str::FromStr;
use std::time::Duration;

use redis_stream::id::EntryId;

use super::item::{Item, Place};
use crate::dispatch::agents::AgentName;

/// Deliveries after which a pending entry counts as stuck.
const STUCK_AFTER: i64 = 3;

/// The moment at which things are judged.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Redis' clock, Unix milliseconds.
    pub ms: i64,
    /// How long a holder may be silent.
    pub lease: Duration,
}

impl Now {
    /// Milliseconds since an entry was written.
    pub fn age_ms(self, id: EntryId) -> i64 {
        self.ms.saturating_sub(i64::try_from(id.ms).unwrap_or(i64::MAX)).max(0)
    }

    /// The holder has renewed it less than a lease ago.
    pub fn in_progress(self, idle_ms: i64) -> bool {
        u128::try_from(idle_ms).is_ok_and(|idle| idle < self.lease.as_millis())
    }

    /// The word for a place.
    pub fn state(self, place: &Place) -> &'static str {
        match place {
            Place::Unread => "unread",
            Place::Pending { idle_ms, deliveries, .. } if !self.in_progress(*idle_ms) || *deliveries >= STUCK_AFTER => {
                "stuck"
            }
            Place::Pending { .. } => "pending",
            Place::Acknowledged => "acknowledged",
            Place::Waiting => "waiting",
            Place::Parked => "parked",
            Place::Dead => "dead",
        }
    }
}

macro_rules! selections {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)+) => {
        /// Which states.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Selection { $($(#[$doc])* $name,)+ }

        impl Selection {
            /// Their words.
            pub const WORDS: &[&str] = &[$($word,)+];
        }

        impl FromStr for Selection {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$name),)+
                    _ => Err(format!("expected one of {}", Self::WORDS.join(", "))),
                }
            }
        }
    };
}

selections! {
    /// Pending, and idle for a lease or delivered three times.
    Stuck = "stuck";
    /// Pending, stuck or not.
    Pending = "pending";
    /// In a waiting stream.
    Waiting = "waiting";
    /// Parked.
    Parked = "parked";
    /// Dead letters.
    Dead = "dead";
    /// All of them.
    All = "all";
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Where.
    pub selection: Selection,
    /// Written longer ago than this.
    pub older_than: Option<Duration>,
    /// For this agent.
    pub agent: Option<AgentName>,
    /// Namespace of agents that are named without one.
    pub namespace: String,
}

impl Filter {
    /// Nothing was asked for in particular.
    pub fn is_everything(&self) -> bool {
        self.selection == Selection::All && self.older_than.is_none() && self.agent.is_none()
    }

    /// Everything.
    pub fn everything() -> Self {
        Self { selection: Selection::All, older_than: None, agent: None, namespace: String::new() }
    }

    /// Whether anything of the pending list is meant.
    pub fn pending(&self) -> bool {
        matches!(self.selection, Selection::All | Selection::Pending | Selection::Stuck)
    }

    /// Whether waiting, parked or dead ones are meant.
    pub fn stream(&self, place: &Place) -> bool {
        match self.selection {
            Selection::All => true,
            Selection::Waiting => *place == Place::Waiting,
            Selection::Parked => *place == Place::Parked,
            Selection::Dead => *place == Place::Dead,
            Selection::Stuck | Selection::Pending => false,
        }
    }

    /// What can be said before the entry is read.
    pub fn may_match(&self, now: Now, place: &Place, id: EntryId) -> bool {
        let old = self.older_than.is_none_or(|age| now.age_ms(id).unsigned_abs() >= millis(age));
        old && (self.selection != Selection::Stuck || now.state(place) == "stuck")
    }

    /// Whether the item is meant.
    pub fn matches(&self, now: Now, item: &Item) -> bool {
        let agent = || item.agent().and_then(|agent| AgentName::parse(agent, &self.namespace).ok());
        self.may_match(now, &item.place, item.entry.id) && (self.agent.is_none() || self.agent == agent())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::item::samples::{item, pending, recorded};
    use super::*;

    const NOW: Now = Now { ms: 1_000_000, lease: Duration::from_secs(30) };

    #[test]
    fn stuck_is_silent_for_a_lease_or_delivered_again_and_again() {
        let rows = [((29_999, 2), "pending"), ((30_000, 1), "stuck"), ((0, 3), "stuck"), ((-1, 1), "stuck")];
        for ((idle, deliveries), state) in rows {
            assert_eq!(NOW.state(&pending(idle, deliveries)), state, "{idle} {deliveries}");
        }
    }

    #[test]
    fn a_selection_names_its_places() {
        let filter = |word: &str| Filter { selection: word.parse().unwrap(), ..Filter::everything() };
        assert!(filter("all").pending() && filter("stuck").pending() && !filter("dead").pending());
        assert!(filter("all").stream(&Place::Dead) && filter("dead").stream(&Place::Dead));
        assert!(!filter("parked").stream(&Place::Dead) && !filter("pending").stream(&Place::Waiting));
        assert!("done".parse::<Selection>().is_err());
        let id = EntryId { ms: 0, seq: 0 };
        assert!(!filter("stuck").may_match(NOW, &pending(1, 1), id));
        assert!(filter("pending").may_match(NOW, &pending(40_000, 1), id));
    }

    #[test]
    fn age_and_agent() {
        let old = Filter { older_than: Some(Duration::from_secs(10)), ..Filter::everything() };
        assert!(old.matches(NOW, &item(Place::Dead, "990000-0", &[])));
        assert!(!old.matches(NOW, &item(Place::Dead, "990001-0", &[])));
        let ops = AgentName::parse("triage", "ops").ok();
        let filter = Filter { agent: ops, namespace: "ops".into(), ..Filter::everything() };
        let asked = item(Place::Dead, "1-0", &[("agent_target", "triage")]);
        assert!(filter.matches(NOW, &asked));
        assert!(!filter.matches(NOW, &recorded(asked, &[("agent", "kagent/triage")])), "the record knows better");
        assert!(!filter.matches(NOW, &item(Place::Dead, "1-0", &[])));
    }
}
