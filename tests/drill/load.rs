//! Two senders like Alertmanager, one for each hook: a new alert every moment, posted until it is answered 2xx.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use line_tests::alerts::{self, Alert};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::now;
use crate::kinds::Sight;
use crate::oracle::{Posted, incident_id};

/// Time between two tries of one alert.
const AGAIN: Duration = Duration::from_millis(500);
/// As long as Alertmanager waits for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What was posted so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Posted>>>);

impl Notes {
    fn locked(&self) -> MutexGuard<'_, Vec<Posted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it.
    pub(crate) fn all(&self) -> Vec<Posted> {
        self.locked().clone()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.locked().len()
    }

    fn add(&self, posted: Posted) -> usize {
        let mut list = self.locked();
        list.push(posted);
        list.len() - 1
    }

    fn accepted(&self, index: usize) {
        if let Some(posted) = self.locked().get_mut(index) {
            posted.accepted = Some(now());
        }
    }
}

/// Orders in place of the usual ones.
type Special = Arc<Mutex<Vec<(Sight, &'static str)>>>;

/// Where a hook is; it changes when the hook is started again.
pub(crate) type Address = watch::Receiver<String>;

/// The senders.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) notes: Notes,
    special: Special,
    soft: CancellationToken,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Load {
    /// Starts a sender for each hook.
    pub(crate) fn start(hooks: Vec<(Sight, Address)>, every: Duration) -> Self {
        let (notes, special, soft) = (Notes::default(), Special::default(), CancellationToken::new());
        let tasks = hooks.into_iter().map(|(sight, address)| {
            let (notes, special, soft) = (notes.clone(), Arc::clone(&special), soft.clone());
            let sender = Sender { sight, address, notes, special, soft };
            AbortOnDropHandle::new(tokio::spawn(sender.run(every)))
        });
        let tasks = tasks.collect();
        Self { notes, special, soft, tasks }
    }

    /// No new alerts; waits until those that were posted are answered.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.soft.cancel();
        for task in self.tasks.drain(..) {
            task.await?;
        }
        Ok(())
    }

    /// The next alert for this agent has this order.
    pub(crate) fn order_next(&self, sight: Sight, order: &'static str) {
        self.special.lock().unwrap_or_else(PoisonError::into_inner).push((sight, order));
    }
}

struct Sender {
    sight: Sight,
    address: Address,
    notes: Notes,
    special: Special,
    soft: CancellationToken,
}

impl Sender {
    async fn run(self, every: Duration) {
        let first = match self.sight {
            Sight::Listing => 1,
            Sight::Blind => 1 << 32,
        };
        let mut posts = JoinSet::new();
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in first.. {
            tokio::select! {
                () = self.soft.cancelled() => break,
                _ = pace.tick() => {}
            }
            posts.spawn(self.post(number));
            while posts.try_join_next().is_some() {}
        }
        posts.join_all().await;
    }

    fn special(&self) -> Option<&'static str> {
        let mut special = self.special.lock().unwrap_or_else(PoisonError::into_inner);
        let index = special.iter().position(|(sight, _)| *sight == self.sight)?;
        Some(special.swap_remove(index).1)
    }

    /// Notes an alert at once, and when it is answered.
    fn post(&self, number: u64) -> impl Future<Output = ()> + use<> {
        let alert = Alert::firing(number, self.special().unwrap_or_else(|| order(number)));
        let index = self.notes.add(Posted {
            incident: incident_id(&alert.fingerprint, &format!("{:.9}", alert.starts_at)),
            fingerprint: alert.fingerprint.clone(),
            sight: self.sight,
            order: alert.order.clone(),
            at: now(),
            accepted: None,
        });
        let (address, notes) = (self.address.clone(), self.notes.clone());
        async move {
            until_taken(&address, &alert).await;
            notes.accepted(index);
        }
    }
}

async fn until_taken(address: &Address, alert: &Alert) {
    loop {
        let hook = address.borrow().clone();
        let answer = timeout(ANSWER, alerts::post(&hook, std::slice::from_ref(alert))).await;
        if let Ok(Ok((200..=299, _))) = answer {
            return;
        }
        // A sender's own pace: Alertmanager does not repeat at once either.
        sleep(AGAIN).await;
    }
}

/// Mostly short runs, so that what is measured is not a queue; some long enough to be caught by a fault.
fn order(number: u64) -> &'static str {
    match number % 40 {
        3 | 23 => "slow 2",
        7 => "slow 5",
        13 => "fail as ordered",
        17 => "input",
        27 => "slow 8",
        _ => "echo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_of_each_and_mostly_what_is_short() {
        let orders: Vec<_> = (0..40).map(order).collect();
        assert!(orders.iter().filter(|order| **order == "echo").count() > 30);
        assert!(orders.contains(&"slow 8") && orders.contains(&"input") && orders.contains(&"fail as ordered"));
    }
}
