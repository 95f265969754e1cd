//! Whom to believe when Sentinels disagree (pure).

use std::collections::HashMap;

use crate::endpoint::HostPort;

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The address it names; `None` when it does not know the master's name.
    pub master: Option<HostPort>,
    /// Its configuration epoch (`SENTINEL MASTER`): it grows with every failover, and a Sentinel
    /// takes over a newer one from its peers.
    pub epoch: u64,
    /// A failover is under way there.
    pub failing_over: bool,
}

/// Whom the Sentinels name, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The master's address.
    pub master: HostPort,
    /// The epoch under which it was named.
    pub epoch: u64,
    /// How many Sentinels named it.
    pub agreeing: usize,
    /// How many answered.
    pub answering: usize,
    /// Fewer than half of the known Sentinels answered, or only one did where more are known.
    pub degraded: bool,
}

/// The newest epoch decides; where several addresses carry it, the one that more Sentinels name.
///
/// An epoch is won by the votes of a majority, so one Sentinel with a newer epoch is right and all
/// the others are merely late, by up to their two seconds of gossip. Counting heads first would go
/// back to the demoted master for that long.
pub fn elect<'a>(reports: impl Iterator<Item = &'a Report>, known: usize) -> Option<Verdict> {
    let mut votes: HashMap<(u64, &HostPort), usize> = HashMap::new();
    let mut answering = 0;
    for report in reports {
        answering += 1;
        if let Some(master) = &report.master {
            *votes.entry((report.epoch, master)).or_default() += 1;
        }
    }
    let ((epoch, master), agreeing) = votes
        .into_iter()
        .max_by_key(|((epoch, master), count)| (*epoch, *count, std::cmp::Reverse((*master).clone())))?;
    let degraded = known > 1 && (answering * 2 <= known || answering == 1);
    Some(Verdict { master: master.clone(), epoch, agreeing, answering, degraded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(master: &str, epoch: u64) -> Report {
        Report { master: Some(master.parse().unwrap()), epoch, failing_over: false }
    }

    fn elected(reports: &[Report], known: usize) -> Option<String> {
        elect(reports.iter(), known).map(|verdict| verdict.master.to_string())
    }

    #[test]
    fn all_agree() {
        let reports = [report("a:1", 3), report("a:1", 3), report("a:1", 3)];
        let verdict = elect(reports.iter(), 3).unwrap();
        assert_eq!((verdict.agreeing, verdict.answering, verdict.degraded), (3, 3, false));
    }

    #[test]
    fn the_leader_of_a_failover_is_believed_before_its_peers_have_heard() {
        assert_eq!(elected(&[report("old:1", 3), report("old:1", 3), report("new:1", 4)], 3).unwrap(), "new:1");
    }

    #[test]
    fn a_sentinel_cut_off_with_the_old_master_is_outvoted_by_its_own_age() {
        assert_eq!(elected(&[report("new:1", 4), report("old:1", 3)], 3).unwrap(), "new:1");
    }

    #[test]
    fn within_one_epoch_the_majority_decides() {
        assert_eq!(elected(&[report("a:1", 4), report("b:1", 4), report("b:1", 4)], 3).unwrap(), "b:1");
    }

    #[test]
    fn one_answer_suffices_and_is_reported_as_degraded() {
        assert!(elect([report("a:1", 3)].iter(), 3).unwrap().degraded);
        assert!(!elect([report("a:1", 3)].iter(), 1).unwrap().degraded);
        assert!(!elect([report("a:1", 3), report("a:1", 3)].iter(), 2).unwrap().degraded);
    }

    #[test]
    fn nobody_knows_the_name() {
        let unknown = Report { master: None, epoch: 0, failing_over: false };
        assert_eq!(elected(&[unknown], 1), None);
        assert_eq!(elected(&[], 3), None);
    }
}
