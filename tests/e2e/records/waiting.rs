//! `move` and `back`: entries of an agent that takes nothing now.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::line::STREAM;
use redis_stream::entry::Entry;
use stream_dispatcher::dispatch::gate;
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::profile::Limits;
use stream_dispatcher::dispatch::publish::{Begun, Published};
use stream_dispatcher::dispatch::record::{self, Run, Taken};
use stream_dispatcher::incident::Incident;

use super::desk::{AGENT, Desk, LEASE, WAITING, finish, incident, run, subject};

impl Desk {
    pub(crate) async fn move_away(&self, incident: &Incident, entry: &Entry) -> Result<String> {
        self.word(gate::move_to_waiting(&self.a, &subject(incident, entry), AGENT, entry)).await
    }

    /// How many came back, and how many are left.
    pub(crate) async fn back(&self, limits: Limits) -> Result<Vec<String>> {
        self.words(gate::back(&self.a, AGENT, limits, LEASE, Duration::from_secs(60))).await
    }
}

#[tokio::test]
async fn a_waiting_incident_is_not_lost_not_doubled_and_comes_back() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let moved = desk.move_away(&incident, &entry).await?;
    ensure!(moved == "moved" && desk.books.pending().await? == 0 && desk.books.length(WAITING).await? == 1);
    ensure!(desk.field(&incident, "stream").await? == WAITING);
    ensure!(desk.client().await?.cmd(&["SMEMBERS", "incident:events:waiting"]).await?.texts()? == [WAITING]);
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Duplicate, "waiting counts as taken care of");

    ensure!(desk.back(Limits::DEFAULT).await? == ["1", "0"]);
    ensure!(desk.field(&incident, "stream").await? == STREAM);
    ensure!(desk.client().await?.cmd(&["EXISTS", WAITING, "incident:events:waiting"]).await?.int()? == 0);
    let again = desk.read(&desk.b).await?;
    ensure!(matches!(desk.take(&desk.b, &incident, &again).await?, Taken::Fresh(_)));
    Ok(())
}

#[tokio::test]
async fn what_was_finished_meanwhile_does_not_come_back() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.move_away(&incident, &entry).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    ensure!(desk.back(Limits::DEFAULT).await? == ["0", "0"]);
    ensure!(desk.books.unread().await? == 0);
    Ok(())
}

#[tokio::test]
async fn they_come_back_in_order_and_as_many_as_there_is_room_for() -> Result<()> {
    let mut desk = Desk::open().await?;
    let mut ids = Vec::new();
    for number in 0..5 {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        desk.move_away(&incident, &entry).await?;
        ids.push(incident.workflow_id);
    }
    let two = Limits { runs: 2, runs_per_hour: None };
    ensure!(desk.back(two).await? == ["2", "3"]);
    ensure!(desk.books.unread().await? == 2);
    // Their places are kept until they have run.
    ensure!(desk.back(two).await? == ["0", "3"]);
    for id in &ids[..2] {
        ensure!(desk.read(&desk.b).await?.get("workflow_id") == Some(id.as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn after_an_outage_they_come_back_at_a_rate() -> Result<()> {
    let mut desk = Desk::open().await?;
    for number in 0..170 {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        desk.move_away(&incident, &entry).await?;
    }
    let many = Limits { runs: 1_000, runs_per_hour: None };
    ensure!(desk.back(many).await? == ["100", "70"], "a page, while there was no outage");
    let mut client = desk.client().await?;
    client.cmd(&["HSET", "incident:events:agent:kagent:triage-agent", "open", "1"]).await?;
    let known = Run { task_id: Some("t".into()), ..run(&incident("0")) };
    let entry = desk.read(&desk.a).await?;
    desk.words(record::accepted(&desk.a, &subject(&incident("0"), &entry), &known, "stream", LEASE, true)).await?;
    ensure!(desk.back(many).await? == ["50", "20"]);
    ensure!(desk.back(many).await? == ["0", "20"]);
    // A second later.
    client.cmd(&["HINCRBY", "incident:events:agent:kagent:triage-agent:pace", "since", "-1000"]).await?;
    ensure!(desk.back(many).await? == ["20", "0"]);
    ensure!(desk.books.unread().await? == 169);
    Ok(())
}
