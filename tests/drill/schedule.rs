//! Which faults, in which order, with which pauses: all from one number (pure).

use std::time::Duration;

use crate::kinds::Kind;

/// One fault to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    /// Quiet time before it.
    pub(crate) pause: Duration,
    /// Decides which process, agent or length it is.
    pub(crate) pick: u64,
}

/// Endless: the kinds in rounds, each round in another order.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: fastrand::Rng,
    kinds: Vec<Kind>,
    round: Vec<Kind>,
}

impl Schedule {
    /// The same seed and the same kinds give the same faults.
    pub(crate) fn new(seed: u64, kinds: Vec<Kind>) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), kinds, round: Vec::new() }
    }
}

impl Iterator for Schedule {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if self.round.is_empty() {
            self.round.clone_from(&self.kinds);
            self.random.shuffle(&mut self.round);
        }
        let kind = self.round.pop()?;
        let pause = Duration::from_millis(self.random.u64(500..2500));
        Some(Planned { kind, pause, pick: self.random.u64(..) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::KINDS;

    fn faults(seed: u64, count: usize) -> Vec<Planned> {
        Schedule::new(seed, KINDS.to_vec()).take(count).collect()
    }

    proptest! {
        #[test]
        fn a_seed_is_a_schedule(seed: u64, count in 1_usize..200) {
            prop_assert_eq!(faults(seed, count), faults(seed, count));
        }

        #[test]
        fn every_round_has_every_kind_once(seed: u64) {
            let schedule = faults(seed, 2 * KINDS.len());
            for round in schedule.chunks(KINDS.len()) {
                for kind in KINDS {
                    prop_assert_eq!(round.iter().filter(|planned| planned.kind == *kind).count(), 1);
                }
            }
        }
    }

    #[test]
    fn another_seed_is_another_schedule_and_nothing_gives_nothing() {
        assert_ne!(faults(1, KINDS.len()), faults(2, KINDS.len()));
        assert_eq!(Schedule::new(1, Vec::new()).next(), None);
    }
}
