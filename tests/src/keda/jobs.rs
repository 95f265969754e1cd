//! How many jobs a `ScaledJob` starts (pure).

use super::answer::ceiling;

/// What is subtracted for the jobs that are there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strategy {
    /// All running jobs: the queue counts what they are working on.
    Default,
    /// A number, and a share of the running jobs.
    Custom {
        /// The number.
        deduction: u32,
        /// The share, 0 to 1.
        share: f64,
    },
    /// Pending jobs only: the queue does not count what is worked on.
    Accurate,
    /// Nothing: every free place is used.
    Eager,
}

/// The jobs that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jobs {
    /// Not ended, the pending ones included.
    pub running: u32,
    /// Not begun yet.
    pub pending: u32,
    /// `maxReplicaCount`
    pub most: u32,
}

impl Strategy {
    /// How many jobs are started for a queue of this length.
    pub fn to_start(self, queue: f64, target: f64, jobs: Jobs) -> u32 {
        if target <= 0.0 {
            return 0;
        }
        let Jobs { running, pending, most } = jobs;
        let wanted = ceiling(queue / target).min(most);
        let free = most.saturating_sub(running);
        match self {
            Self::Default => wanted.saturating_sub(running),
            Self::Custom { deduction, share } => {
                let at_work = f64::from(running) * share;
                ceiling((f64::from(wanted) - f64::from(deduction) - at_work.floor()).max(0.0))
            }
            Self::Accurate if wanted + running > most => free,
            Self::Accurate => wanted.saturating_sub(pending),
            Self::Eager => wanted.min(free.saturating_sub(pending)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(running: u32, pending: u32) -> Jobs {
        Jobs { running, pending, most: 10 }
    }

    #[test]
    fn the_default_subtracts_what_runs() {
        assert_eq!(Strategy::Default.to_start(50.0, 10.0, jobs(0, 0)), 5);
        assert_eq!(Strategy::Default.to_start(50.0, 10.0, jobs(3, 1)), 2);
        assert_eq!(Strategy::Default.to_start(0.0, 10.0, jobs(3, 1)), 0);
        assert_eq!(Strategy::Default.to_start(500.0, 10.0, jobs(0, 0)), 10);
    }

    #[test]
    fn custom_subtracts_a_number_and_a_share() {
        let custom = Strategy::Custom { deduction: 1, share: 0.5 };
        assert_eq!(custom.to_start(80.0, 10.0, jobs(5, 0)), 5);
        assert_eq!(custom.to_start(10.0, 10.0, jobs(9, 0)), 0);
    }

    #[test]
    fn accurate_and_eager_leave_what_runs_out() {
        assert_eq!(Strategy::Accurate.to_start(50.0, 10.0, jobs(4, 2)), 3);
        assert_eq!(Strategy::Accurate.to_start(80.0, 10.0, jobs(4, 2)), 6);
        assert_eq!(Strategy::Eager.to_start(50.0, 10.0, jobs(4, 0)), 5);
        assert_eq!(Strategy::Eager.to_start(90.0, 10.0, jobs(4, 2)), 4);
    }

    #[test]
    fn a_target_of_zero_starts_nothing() {
        assert_eq!(Strategy::Default.to_start(50.0, 0.0, jobs(0, 0)), 0);
    }
}
