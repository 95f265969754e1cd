//! `sending`, `unsent` and `back` as a gate: how much an agent is given, and who tries one that is closed.

use std::time::Duration;

use anyhow::{Result, ensure};
use redis_stream::entry::Entry;
use stream_dispatcher::dispatch::decision::{Blame, Closed, Stay};
use stream_dispatcher::dispatch::gate::{self, Leave, Unsent};
use stream_dispatcher::dispatch::names::Names;
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::profile::Limits;
use stream_dispatcher::dispatch::record::{self, Run, Taken};
use stream_dispatcher::incident::Incident;

use super::desk::{Desk, LEASE, WAITING, finish, incident, record_key, run, subject, unsent};

const HEALTH: &str = "incident:events:agent:kagent:triage-agent";
const HOUR: &str = "incident:events:agent:kagent:triage-agent:hour";

fn limits(runs: u32, runs_per_hour: Option<u32>) -> Limits {
    Limits { runs, runs_per_hour }
}

impl Desk {
    async fn ask(&self, names: &Names, incident: &Incident, entry: &Entry, limits: Limits) -> Result<Leave> {
        let run = Run { attempts: 1, ..run(incident) };
        let call = gate::sending(names, &subject(incident, entry), &run, limits, LEASE);
        Ok(gate::leave(&self.session.invoke(&call).await?)?)
    }

    async fn fails(&self, incident: &Incident, entry: &Entry, how: &Unsent<'_>) -> Result<Stay> {
        let call = gate::unsent(&self.a, &subject(incident, entry), &run(incident), how, limits(2, None), LEASE);
        Ok(gate::waited(&self.session.invoke(&call).await?).1)
    }

    /// An incident whose send does not reach the agent: the agent is closed.
    async fn closed(&self, incident: &Incident) -> Result<Entry> {
        let entry = self.held(incident).await?;
        ensure!(self.ask(&self.a, incident, &entry, Limits::DEFAULT).await? == Leave::Granted);
        ensure!(self.fails(incident, &entry, &unsent(Blame::Pause)).await? == Stay::Closed);
        Ok(entry)
    }

    fn runs(&self) -> String {
        format!("{HEALTH}:runs:{}", self.session.replid())
    }

    /// The next probe is due.
    async fn probe_is_due(&self) -> Result<()> {
        self.client().await?.cmd(&["HDEL", HEALTH, "next_probe"]).await.map(drop)
    }
}

fn why(leave: &Leave) -> Option<Closed> {
    match leave {
        Leave::Closed(why, ..) => Some(*why),
        _ => None,
    }
}

#[tokio::test]
async fn no_more_runs_than_the_limit_and_a_place_is_free_when_one_has_ended() -> Result<()> {
    let desk = Desk::open().await?;
    let (first, second) = (incident("1"), incident("2"));
    let (entry, other) = (desk.held(&first).await?, desk.held(&second).await?);
    ensure!(desk.ask(&desk.a, &first, &entry, limits(1, None)).await? == Leave::Granted);
    // The same incident keeps its place, whoever asks again.
    ensure!(desk.ask(&desk.a, &first, &entry, limits(1, None)).await? == Leave::Granted);
    ensure!(why(&desk.ask(&desk.a, &second, &other, limits(1, None)).await?) == Some(Closed::Full));
    desk.words(record::finish(&desk.a, &finish(&first, &entry, Reason::Failed))).await?;
    ensure!(desk.ask(&desk.a, &second, &other, limits(1, None)).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn a_run_whose_worker_died_counts_for_a_lease_and_a_renewed_one_for_longer() -> Result<()> {
    let desk = Desk::open().await?;
    let (first, second) = (incident("1"), incident("2"));
    let (entry, other) = (desk.held(&first).await?, desk.held(&second).await?);
    desk.ask(&desk.a, &first, &entry, limits(1, None)).await?;
    let member = format!("{}-investigation", first.workflow_id);
    let until: f64 = desk.client().await?.cmd(&["ZSCORE", &desk.runs(), &member]).await?.text()?.parse()?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
    let left = until - desk.session.redis_now_ms() as f64;
    ensure!((0.0..=2_100.0).contains(&left), "{left}");

    desk.client().await?.cmd(&["ZADD", &desk.runs(), "1000", &member]).await?;
    ensure!(desk.word(record::hold(&desk.a, &subject(&first, &entry), &run(&first), LEASE)).await? == "ok");
    ensure!(why(&desk.ask(&desk.a, &second, &other, limits(1, None)).await?) == Some(Closed::Full));
    desk.client().await?.cmd(&["ZADD", &desk.runs(), "1000", &member]).await?;
    ensure!(desk.ask(&desk.a, &second, &other, limits(1, None)).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn no_more_runs_within_an_hour_than_may_be() -> Result<()> {
    let desk = Desk::open().await?;
    let few = limits(10, Some(1));
    let (first, second) = (incident("1"), incident("2"));
    let (entry, other) = (desk.held(&first).await?, desk.held(&second).await?);
    ensure!(desk.ask(&desk.a, &first, &entry, few).await? == Leave::Granted);
    ensure!(why(&desk.ask(&desk.a, &second, &other, few).await?) == Some(Closed::Storm));
    // A try that did not reach the agent is none.
    desk.fails(&first, &entry, &unsent(Blame::Agent)).await?;
    ensure!(desk.ask(&desk.a, &second, &other, few).await? == Leave::Granted);
    // An hour later.
    desk.client().await?.cmd(&["ZADD", HOUR, "1000", &format!("{}-investigation", second.workflow_id)]).await?;
    ensure!(desk.ask(&desk.a, &first, &entry, few).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn an_agent_is_closed_once_it_has_failed_for_a_lease_and_opened_by_the_first_success() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let ask = async |desk: &Desk| desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await;
    ensure!(ask(&desk).await? == Leave::Granted);
    ensure!(desk.fails(&incident, &entry, &unsent(Blame::Agent)).await? == Stay::Here);
    ensure!(desk.field(&incident, "attempts").await? == "0" && desk.field(&incident, "state").await? == "queued");
    // A trouble of the incident alone says nothing about the agent.
    ensure!(ask(&desk).await? == Leave::Granted);
    desk.client().await?.cmd(&["HSET", HEALTH, "failing_since", "1000"]).await?;
    ensure!(desk.fails(&incident, &entry, &unsent(Blame::Incident)).await? == Stay::Here);
    ensure!(ask(&desk).await? == Leave::Granted);
    ensure!(desk.fails(&incident, &entry, &unsent(Blame::Agent)).await? == Stay::Closed);
    let Leave::Closed(Closed::Open, waited, words) = ask(&desk).await? else { anyhow::bail!("not closed") };
    ensure!(waited < Duration::from_secs(5) && words == "refused", "{waited:?} {words}");
    ensure!(
        desk.client().await?.cmd(&["ZCARD", &desk.runs()]).await?.int()? == 0,
        "a closed agent runs nothing of ours"
    );

    let known = Run { task_id: Some("t".into()), attempts: 1, ..run(&incident) };
    desk.words(record::accepted(&desk.a, &subject(&incident, &entry), &known, "stream", LEASE, false)).await?;
    ensure!(desk.client().await?.cmd(&["EXISTS", HEALTH]).await?.int()? == 1, "that it lists a task is no success");
    desk.words(record::accepted(&desk.a, &subject(&incident, &entry), &known, "stream", LEASE, true)).await?;
    ensure!(desk.client().await?.cmd(&["EXISTS", HEALTH]).await?.int()? == 0);
    Ok(())
}

#[tokio::test]
async fn one_incident_at_a_time_tries_a_closed_agent_and_ever_more_rarely() -> Result<()> {
    let desk = Desk::open().await?;
    let (first, second, third) = (incident("1"), incident("2"), incident("3"));
    let entry = desk.closed(&first).await?;
    let (other, last) = (desk.held(&second).await?, desk.held(&third).await?);
    ensure!(why(&desk.ask(&desk.a, &second, &other, Limits::DEFAULT).await?) == Some(Closed::Open), "not due yet");
    desk.probe_is_due().await?;
    ensure!(desk.ask(&desk.a, &second, &other, Limits::DEFAULT).await? == Leave::Granted);
    for (incident, entry) in [(&first, &entry), (&third, &last)] {
        ensure!(why(&desk.ask(&desk.a, incident, entry, Limits::DEFAULT).await?) == Some(Closed::Open));
    }
    let mut pauses = Vec::new();
    for _ in 0..4 {
        desk.fails(&second, &other, &unsent(Blame::Agent)).await?;
        let next = desk.client().await?.cmd(&["HGET", HEALTH, "next_probe"]).await?.text()?.parse::<i64>()?;
        pauses.push(next - desk.session.redis_now_ms());
        desk.probe_is_due().await?;
        ensure!(desk.ask(&desk.a, &second, &other, Limits::DEFAULT).await? == Leave::Granted);
    }
    ensure!(pauses[3] > 4 * pauses[0] && pauses[3] <= 30_000, "{pauses:?}");
    // What the agent asked for is waited for.
    let wish = Unsent { wish: Some(Duration::from_secs(120)), ..unsent(Blame::Agent) };
    desk.fails(&second, &other, &wish).await?;
    let next = desk.client().await?.cmd(&["HGET", HEALTH, "next_probe"]).await?.text()?.parse::<i64>()?;
    ensure!(next - desk.session.redis_now_ms() > 115_000);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_silent_for_a_lease_is_closed_and_one_that_was_not_is_not() -> Result<()> {
    for (lasted, stay) in [(LEASE / 2, Stay::Here), (LEASE, Stay::Closed)] {
        let (desk, incident) = (Desk::open().await?, incident("1"));
        let entry = desk.held(&incident).await?;
        ensure!(desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await? == Leave::Granted);
        let silent = Unsent { lasted, ..unsent(Blame::Agent) };
        ensure!(desk.fails(&incident, &entry, &silent).await? == stay, "{lasted:?}");
    }
    Ok(())
}

#[tokio::test]
async fn of_a_closed_agents_entries_one_comes_back_when_a_try_is_due() -> Result<()> {
    let mut desk = Desk::open().await?;
    let first = incident("1");
    let entry = desk.closed(&first).await?;
    desk.move_away(&first, &entry).await?;
    for number in 2..5 {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        desk.move_away(&incident, &entry).await?;
    }
    ensure!(desk.back(Limits::DEFAULT).await? == ["0", "4"], "no try is due");
    desk.probe_is_due().await?;
    ensure!(desk.back(Limits::DEFAULT).await? == ["1", "3"]);
    ensure!(desk.back(Limits::DEFAULT).await? == ["0", "3"], "one is on its way");

    let again = desk.read(&desk.a).await?;
    desk.take(&desk.a, &first, &again).await?;
    ensure!(desk.ask(&desk.a, &first, &again, Limits::DEFAULT).await? == Leave::Granted);
    ensure!(desk.back(Limits::DEFAULT).await? == ["0", "3"], "it is being tried");
    // It ends without having been sent: another one tries at once.
    desk.words(record::finish(&desk.a, &finish(&first, &again, Reason::ArtifactMissing))).await?;
    ensure!(desk.back(Limits::DEFAULT).await? == ["1", "2"]);
    ensure!(desk.books.unread().await? == 1);
    Ok(())
}

#[tokio::test]
async fn what_has_waited_too_long_comes_back_to_be_given_up() -> Result<()> {
    let mut desk = Desk::open().await?;
    // It came there for another reason, and Redis has forgotten its record: it waits since the agent was closed.
    desk.client().await?.cmd(&["XADD", WAITING, "1000-0", "workflow_id", "old", "step", "investigation"]).await?;
    for number in 1..3 {
        let incident = incident(&number.to_string());
        let entry = if number == 1 { desk.closed(&incident).await? } else { desk.held(&incident).await? };
        desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await?;
        desk.move_away(&incident, &entry).await?;
    }
    let call = || gate::back(&desk.a, super::desk::AGENT, Limits::DEFAULT, LEASE, Duration::from_secs(60));
    ensure!(desk.words(call()).await? == ["0", "3"]);
    // More than a minute later.
    let mut client = desk.client().await?;
    for number in 1..3 {
        let key = record_key(&incident(&number.to_string()));
        client.cmd(&["HINCRBY", &key, "waiting_since", "-70000"]).await?;
    }
    client.cmd(&["HINCRBY", HEALTH, "closed_since", "-70000"]).await?;
    ensure!(desk.words(call()).await? == ["0", "3"], "whole entries are not read in every round");
    client.cmd(&["HDEL", HEALTH, "looked_until"]).await?;
    ensure!(desk.words(call()).await? == ["3", "0"]);
    let since = desk.books.field("incident:dispatch:old-investigation", "waiting_since").await?.parse::<i64>()?;
    ensure!(desk.session.redis_now_ms() - since > 60_000, "the worker gives it up by this");
    ensure!(desk.books.field("incident:dispatch:old-investigation", "state").await? == "sending");
    Ok(())
}

#[tokio::test]
async fn no_more_wait_for_a_short_trouble_than_the_agent_may_run() -> Result<()> {
    let desk = Desk::open().await?;
    for (number, expected) in [(1, Stay::Here), (2, Stay::Here), (3, Stay::Crowded)] {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        // Somebody may have sent it: the agent is asked before the gate.
        desk.client().await?.cmd(&["HSET", &record_key(&incident), "state", "sending"]).await?;
        ensure!(desk.fails(&incident, &entry, &unsent(Blame::Agent)).await? == expected, "{number}");
    }
    Ok(())
}

#[tokio::test]
async fn a_closed_agent_is_not_asked_for_a_run_either_until_a_try_is_due() -> Result<()> {
    let desk = Desk::open().await?;
    desk.closed(&incident("1")).await?;
    let second = incident("2");
    let entry = desk.held(&second).await?;
    desk.client().await?.cmd(&["HSET", &record_key(&second), "state", "sending"]).await?;
    let Taken::Begun(_, since) = desk.take(&desk.a, &second, &entry).await? else { anyhow::bail!("not begun") };
    let (waited, words) = since.closed.ok_or_else(|| anyhow::anyhow!("not closed"))?;
    ensure!(waited < Duration::from_secs(1) && words == "refused", "{waited:?} {words}");

    desk.probe_is_due().await?;
    let Taken::Begun(_, since) = desk.take(&desk.a, &second, &entry).await? else { anyhow::bail!("not begun") };
    ensure!(since.closed.is_none(), "it may ask");
    // That it could not is a failed try.
    desk.fails(&second, &entry, &Unsent { fresh: false, ..unsent(Blame::Agent) }).await?;
    let Taken::Begun(_, since) = desk.take(&desk.a, &second, &entry).await? else { anyhow::bail!("not begun") };
    ensure!(since.closed.is_some());
    Ok(())
}

#[tokio::test]
async fn the_trouble_of_an_incident_alone_takes_no_place_from_others() -> Result<()> {
    let desk = Desk::open().await?;
    for number in 1..4 {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        ensure!(desk.ask(&desk.a, &incident, &entry, limits(1, None)).await? == Leave::Granted, "{number}");
        ensure!(desk.fails(&incident, &entry, &unsent(Blame::Incident)).await? == Stay::Here, "{number}");
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_that_asks_to_be_left_alone_for_a_lease_is_closed_at_once() -> Result<()> {
    let desk = Desk::open().await?;
    for (wish, expected) in [(1_999, Stay::Here), (2_000, Stay::Closed)] {
        let incident = incident(&wish.to_string());
        let entry = desk.held(&incident).await?;
        desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await?;
        let how = Unsent { wish: Some(Duration::from_millis(wish)), ..unsent(Blame::Agent) };
        ensure!(desk.fails(&incident, &entry, &how).await? == expected, "{wish}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_long_after_the_last_one_begins_a_new_series() -> Result<()> {
    let (desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    for (failed_at, expected) in [("-4200", Stay::Here), ("-3900", Stay::Closed)] {
        desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await?;
        let mut client = desk.client().await?;
        client.cmd(&["DEL", HEALTH]).await?;
        let now = desk.session.redis_now_ms();
        let before = |text: &str| anyhow::Ok((now + text.parse::<i64>()?).to_string());
        client
            .cmd(&["HSET", HEALTH, "failing_since", "1000", "paused", "100", "failed_at", &before(failed_at)?])
            .await?;
        ensure!(desk.fails(&incident, &entry, &unsent(Blame::Agent)).await? == expected, "{failed_at}");
    }
    Ok(())
}

#[tokio::test]
async fn a_clock_that_was_set_back_closes_no_agent() -> Result<()> {
    let desk = Desk::open().await?;
    let (first, second) = (incident("1"), incident("2"));
    let entry = desk.closed(&first).await?;
    desk.move_away(&first, &entry).await?;
    let other = desk.held(&second).await?;
    let later = (desk.session.redis_now_ms() + 3_600_000).to_string();
    let mut client = desk.client().await?;
    for field in ["next_probe", "probe_until", "candidate_until"] {
        client.cmd(&["HSET", HEALTH, field, &later]).await?;
    }
    client.cmd(&["ZADD", &desk.runs(), &later, "somebody"]).await?;
    ensure!(desk.back(limits(1, None)).await? == ["1", "0"]);
    ensure!(desk.ask(&desk.a, &second, &other, limits(1, None)).await? == Leave::Granted);
    Ok(())
}

#[tokio::test]
async fn of_a_closed_agent_that_is_full_too_nothing_goes_round() -> Result<()> {
    let mut desk = Desk::open().await?;
    let (first, second) = (incident("1"), incident("2"));
    let running = desk.held(&second).await?;
    desk.ask(&desk.a, &second, &running, limits(1, None)).await?;
    let entry = desk.held(&first).await?;
    desk.client().await?.cmd(&["HSET", HEALTH, "open", "1", "words", "refused"]).await?;
    ensure!(why(&desk.ask(&desk.a, &first, &entry, limits(1, None)).await?) == Some(Closed::Full));
    let since = (desk.session.redis_now_ms() - 5_000).to_string();
    desk.client().await?.cmd(&["HSET", &record_key(&first), "waiting_since", &since]).await?;
    ensure!(why(&desk.ask(&desk.a, &first, &entry, limits(1, None)).await?) == Some(Closed::Full));
    ensure!(desk.field(&first, "waiting_since").await? == since, "it goes on waiting for the closed agent");
    desk.move_away(&first, &entry).await?;
    ensure!(desk.back(limits(1, None)).await? == ["0", "1"]);
    Ok(())
}

#[tokio::test]
async fn keys_of_another_type_leave_nothing_half_done() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.ask(&desk.a, &incident, &entry, Limits::DEFAULT).await?;
    let mut client = desk.client().await?;
    for key in [HEALTH, &desk.runs()] {
        client.cmd(&["DEL", key]).await?;
        client.cmd(&["SET", key, "something else"]).await?;
    }
    let known = Run { task_id: Some("t".into()), attempts: 1, ..run(&incident) };
    client.cmd(&["SET", HEALTH, "something else"]).await?;
    desk.words(record::accepted(&desk.a, &subject(&incident, &entry), &known, "stream", LEASE, true)).await?;
    ensure!(desk.field(&incident, "task_id").await? == "t");
    client.cmd(&["SET", HEALTH, "something else"]).await?;
    let words = desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await?;
    ensure!(words.starts_with(&["finished".into(), "1".into()]) && desk.books.pending().await? == 0, "{words:?}");
    Ok(())
}
