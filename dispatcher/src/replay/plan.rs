//! What a retry means for an entry, by where it is (pure).

use redis_stream::entry::Entry;

use super::filter::Now;
use super::item::{Item, Place};
use super::row::time;
use crate::incident::Order;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Take it from its holder, claimable at once.
    HandOver,
    /// From the waiting stream to the stream.
    BringBack,
    /// A new run.
    Again {
        /// The message id of the run before, where no record names it.
        message_id: String,
        /// The task that is still open at the agent.
        cancel: Option<String>,
    },
    /// Nothing, because of this.
    Skip(String),
    /// It cannot be retried, because of this.
    Fail(String),
}

/// Decides. `force` also takes what somebody is at work on, or what has settled since.
pub fn plan(item: &Item, now: Now, force: bool) -> Plan {
    match &item.place {
        Place::Pending { consumer, idle_ms, .. } if now.in_progress(*idle_ms) && !force => {
            let ago = time(*idle_ms);
            Plan::Skip(format!("in progress: {consumer} renewed it {ago} ago (--force takes it all the same)"))
        }
        Place::Pending { .. } if item.entry.fields.is_empty() => {
            Plan::Skip("the entry was deleted from the stream; workers drop it".to_owned())
        }
        Place::Pending { .. } => Plan::HandOver,
        Place::Waiting => Plan::BringBack,
        Place::Unread => Plan::Skip("not read yet: the next free worker takes it".to_owned()),
        Place::Acknowledged => {
            let state = item.recorded("state").unwrap_or("without a record");
            Plan::Skip(format!("acknowledged ({state}), and neither parked nor a dead letter"))
        }
        Place::Dead | Place::Parked => again(item, force),
    }
}

fn again(item: &Item, force: bool) -> Plan {
    let original = Entry { id: item.entry.id, fields: item.original_fields() };
    let order = match Order::decode(&original) {
        Ok(order) => order,
        Err(error) => return Plan::Fail(format!("it would fail again: {error}")),
    };
    match item.recorded("state") {
        Some("settled") if !force => Plan::Skip("a later run has settled it (--force runs it again)".to_owned()),
        Some(state @ ("queued" | "sending" | "accepted")) => Plan::Skip(format!("a later run is {state}")),
        state => {
            let open = item.place == Place::Parked && state.is_none_or(|state| state == "parked");
            let cancel = item.task_id().filter(|_| open).map(str::to_owned);
            Plan::Again { message_id: order.message_id(), cancel }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::item::samples::{item, pending, recorded};
    use super::*;

    const NOW: Now = Now { ms: 1_000_000, lease: Duration::from_secs(30) };
    const ID: (&str, &str) = ("workflow_id", "am-1");

    fn word(plan: &Plan) -> &'static str {
        match plan {
            Plan::HandOver => "hand over",
            Plan::BringBack => "bring back",
            Plan::Again { cancel: None, .. } => "again",
            Plan::Again { cancel: Some(_), .. } => "cancel, again",
            Plan::Skip(_) => "skip",
            Plan::Fail(_) => "fail",
        }
    }

    #[test]
    fn by_place() {
        let rows = [
            (pending(30_000, 1), "hand over", "hand over"),
            (pending(100, 5), "skip", "hand over"),
            (Place::Waiting, "bring back", "bring back"),
            (Place::Unread, "skip", "skip"),
            (Place::Acknowledged, "skip", "skip"),
            (Place::Dead, "again", "again"),
            (Place::Parked, "again", "again"),
        ];
        for (place, plain, forced) in rows {
            let item = item(place, "1-0", &[ID]);
            assert_eq!((word(&plan(&item, NOW, false)), word(&plan(&item, NOW, true))), (plain, forced), "{item:?}");
        }
        assert_eq!(word(&plan(&item(pending(30_000, 1), "1-0", &[]), NOW, true)), "skip");
    }

    #[test]
    fn copies_by_what_has_happened_since() {
        let copy = |place| item(place, "1-0", &[ID, ("task_id", "t-1")]);
        let rows = [("settled", "skip", "again"), ("queued", "skip", "skip"), ("accepted", "skip", "skip")];
        for (state, plain, forced) in rows {
            let item = recorded(copy(Place::Parked), &[("state", state)]);
            assert_eq!((word(&plan(&item, NOW, false)), word(&plan(&item, NOW, true))), (plain, forced), "{state}");
        }
        assert_eq!(word(&plan(&recorded(copy(Place::Parked), &[("state", "parked")]), NOW, false)), "cancel, again");
        assert_eq!(word(&plan(&copy(Place::Parked), NOW, false)), "cancel, again");
        assert_eq!(word(&plan(&recorded(copy(Place::Dead), &[("state", "dead")]), NOW, false)), "again");
    }

    #[test]
    fn what_cannot_be_read_is_not_run_again() {
        let plan = plan(&item(Place::Dead, "1-0", &[("junk", "1"), ("error", "e")]), NOW, true);
        assert_eq!(plan, Plan::Fail("it would fail again: workflow_id is missing".into()));
    }
}
