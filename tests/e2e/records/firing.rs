//! `sending` and `settle_firing`: the end of an alert comes after its beginning.

use std::time::Duration;

use anyhow::{Result, ensure};
use redis_stream::entry::Entry;
use stream_dispatcher::dispatch::decision::{Blame, Closed};
use stream_dispatcher::dispatch::firing;
use stream_dispatcher::dispatch::gate::{self, Leave};
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::profile::Limits;
use stream_dispatcher::dispatch::record::{self, Run, Taken};
use stream_dispatcher::incident::{Incident, Order, Status};

use super::desk::{AGENT, Desk, LEASE, finish, incident, incident_of, record_key, run, subject, unsent};

const RUNS: &str = "incident:events:agent:kagent:triage-agent:runs";

/// An alert's beginning and its end.
fn pair() -> (Incident, Incident) {
    (incident("1"), incident_of("1", Status::Resolved))
}

impl Desk {
    async fn send_after(&self, incident: &Incident, entry: &Entry) -> Result<Leave> {
        let run = Run { attempts: 1, ..run(incident) };
        let call = gate::sending(&self.a, &subject(incident, entry), &run, Limits::DEFAULT, LEASE);
        let order = Order::decode(entry)?;
        Ok(gate::leave(&self.session.invoke(&firing::after(call, &order)).await?)?)
    }

    async fn settle(&self, resolved: &Incident, entry: &Entry, firing: &Incident) -> Result<String> {
        self.word(firing::settle(&self.a, &subject(resolved, entry), &firing.workflow_id, AGENT)).await
    }
}

fn why(leave: &Leave) -> Option<Closed> {
    match leave {
        Leave::Closed(why, ..) => Some(*why),
        _ => None,
    }
}

#[tokio::test]
async fn a_resolved_one_is_sent_when_its_firing_one_is_final() -> Result<()> {
    let (mut desk, (first, second)) = (Desk::open().await?, pair());
    let one = desk.held(&first).await?;
    let two = desk.held(&second).await?;
    let before = desk.send_after(&second, &two).await?;
    ensure!(why(&before) == Some(Closed::Unstarted), "{before:?}");
    ensure!(desk.send_after(&first, &one).await? == Leave::Granted, "the firing one waits for nobody");
    desk.client().await?.cmd(&["HINCRBY", &record_key(&second), "firing_since", "-5000"]).await?;
    let meanwhile = desk.send_after(&second, &two).await?;
    let Leave::Closed(Closed::Firing, waited, _) = &meanwhile else { anyhow::bail!("{meanwhile:?}") };
    ensure!(*waited >= Duration::from_secs(5) && *waited < Duration::from_secs(15), "{waited:?}");
    ensure!(desk.field(&second, "state").await? == "queued" && desk.field(&second, "attempts").await? == "0");
    desk.words(record::finish(&desk.a, &finish(&first, &one, Reason::Failed))).await?;
    ensure!(desk.send_after(&second, &two).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn who_waits_for_its_firing_one_keeps_no_place_and_tries_no_agent() -> Result<()> {
    let (desk, (first, second)) = (Desk::open().await?, pair());
    let one = desk.held(&first).await?;
    let two = desk.held(&second).await?;
    let (mut client, health) = (desk.client().await?, "incident:events:agent:kagent:triage-agent");
    let runs = format!("{RUNS}:{}", desk.session.replid());
    client.cmd(&["ZADD", &runs, "9999999999999", &format!("{}-investigation", second.workflow_id)]).await?;
    // The agent is closed, and this one was brought back to try it.
    ensure!(desk.send_after(&first, &one).await? == Leave::Granted);
    let call =
        gate::unsent(&desk.a, &subject(&first, &one), &run(&first), &unsent(Blame::Pause), Limits::DEFAULT, LEASE);
    desk.words(call).await?;
    let candidate = format!("{}-investigation", second.workflow_id);
    client.cmd(&["HDEL", health, "next_probe"]).await?;
    client.cmd(&["HSET", health, "candidate", &candidate, "candidate_until", "9999999999999"]).await?;
    let left = desk.send_after(&second, &two).await?;
    ensure!(why(&left) == Some(Closed::Unstarted), "{left:?}");
    ensure!(client.cmd(&["ZSCORE", &runs, &candidate]).await?.is_nil(), "it counts as a run");
    ensure!(client.cmd(&["HMGET", health, "candidate", "probe"]).await?.items()?.iter().all(line_tests::Reply::is_nil));
    ensure!(desk.send_after(&first, &one).await? == Leave::Granted, "the next one tries the agent");
    let closed = desk.send_after(&second, &two).await?;
    ensure!(why(&closed) == Some(Closed::Open), "being tried by another: {closed:?}");
    Ok(())
}

#[tokio::test]
async fn a_firing_one_that_is_unknown_or_of_a_later_version_holds_up_nobody() -> Result<()> {
    let (desk, (first, second)) = (Desk::open().await?, pair());
    let two = desk.held(&second).await?;
    desk.client().await?.cmd(&["HSET", &record_key(&first), "v", "2", "state", "sending"]).await?;
    ensure!(desk.send_after(&second, &two).await? == Leave::Granted);
    desk.client().await?.cmd(&["DEL", &record_key(&first)]).await?;
    let run = Run { attempts: 2, ..run(&second) };
    let call = gate::sending(&desk.a, &subject(&second, &two), &run, Limits::DEFAULT, LEASE);
    let call = firing::after(call, &Order::decode(&two)?);
    ensure!(gate::leave(&desk.session.invoke(&call).await?)? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn an_unsent_firing_one_is_settled_and_its_entry_is_a_duplicate() -> Result<()> {
    let (mut desk, (first, second)) = (Desk::open().await?, pair());
    let one = desk.held(&first).await?;
    let two = desk.held(&second).await?;
    let other = firing::settle(&desk.b, &subject(&second, &two), &first.workflow_id, AGENT);
    ensure!(desk.word(other).await? == "lost", "not the holder");
    ensure!(desk.settle(&second, &two, &first).await? == "settled");
    let (state, reason) = (desk.field(&first, "state").await?, desk.field(&first, "reason").await?);
    ensure!((state.as_str(), reason.as_str()) == ("settled", "resolved"));
    ensure!(desk.books.column("incident:outcomes", "reason").await? == ["resolved"]);
    ensure!(desk.books.column("incident:outcomes", "workflow_id").await? == std::slice::from_ref(&first.workflow_id));
    let ttl = desk.client().await?.cmd(&["TTL", &record_key(&first)]).await?.int()?;
    ensure!((604_000..=604_800).contains(&ttl), "{ttl}");
    ensure!(desk.settle(&second, &two, &first).await? == "begun", "once");
    ensure!(desk.send_after(&first, &one).await? == Leave::Changed, "whoever was about to send it does not");
    ensure!(matches!(desk.take(&desk.a, &first, &one).await?, Taken::Duplicate));
    ensure!(desk.books.pending().await? == 1 && desk.send_after(&second, &two).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn what_may_have_been_sent_is_not_settled() -> Result<()> {
    let (mut desk, (first, second)) = (Desk::open().await?, pair());
    let one = desk.held(&first).await?;
    let two = desk.held(&second).await?;
    ensure!(desk.send_after(&first, &one).await? == Leave::Granted);
    ensure!(desk.settle(&second, &two, &first).await? == "begun");
    let key = record_key(&first);
    // A send that did not reach the agent takes that back; another history of Redis knows nothing of it.
    for (field, value) in [("attempts", "1"), ("replid", "another"), ("state", "accepted"), ("v", "2")] {
        let mut client = desk.client().await?;
        let replid = desk.session.replid();
        client
            .cmd(&["HSET", &key, "v", "1", "state", "queued", "attempts", "0", "replid", replid, "task_id", ""])
            .await?;
        client.cmd(&["HSET", &key, field, value]).await?;
        ensure!(desk.settle(&second, &two, &first).await? == "begun", "{field}");
    }
    desk.client().await?.cmd(&["DEL", &key]).await?;
    ensure!(desk.settle(&second, &two, &first).await? == "begun", "gone");
    ensure!(desk.books.length("incident:outcomes").await? == 0);
    Ok(())
}
