//! `finish`, `bury`, and what holds out of memory.

use std::sync::Arc;

use anyhow::{Result, ensure};
use line_tests::line::{DEAD, STREAM};
use redis_stream::lease;
use stream_dispatcher::dispatch::outcome::{Outcome, Reason};
use stream_dispatcher::dispatch::record;

use super::desk::{Desk, finish, incident, record_key};

#[tokio::test]
async fn an_outcome_is_recorded_announced_and_acknowledged_at_once() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let words = desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    ensure!(words == ["finished", "1", "-"]);
    ensure!(desk.books.pending().await? == 0 && desk.books.length(DEAD).await? == 0);
    ensure!(desk.books.column("incident:outcomes", "state").await? == ["settled"]);
    ensure!(desk.field(&incident, "result_head").await? == "the answer");
    let result = format!("incident:artifact:{}:result", incident.workflow_id);
    ensure!(desk.client().await?.cmd(&["GET", &result]).await?.text()? == "the answer");
    let ttl = desk.client().await?.cmd(&["TTL", &record_key(&incident)]).await?.int()?;
    ensure!((604_000..=604_800).contains(&ttl), "{ttl}");
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_has_the_entry_unchanged_and_why() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    for word in ["finished", "already"] {
        let answer = desk.word(record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await?;
        ensure!(answer == word);
    }
    ensure!(desk.books.length(DEAD).await? == 1, "one, however often it is said");
    for (name, value) in incident.fields() {
        ensure!(desk.books.column(DEAD, name).await? == [value], "{name}");
    }
    for (name, value) in [
        ("error", "why".to_owned()),
        ("original_id", entry.id.to_string()),
        ("reason", "failed".to_owned()),
        ("attempts", "0".to_owned()),
        ("task_id", "task-1".to_owned()),
    ] {
        ensure!(desk.books.column(DEAD, name).await? == [value], "{name}");
    }
    ensure!(desk.books.column(DEAD, "failed_at").await?[0].len() == 10, "Unix seconds");
    Ok(())
}

#[tokio::test]
async fn what_is_finished_again_makes_its_dead_letter_only_where_that_is_gone() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let dead = finish(&incident, &entry, Reason::Failed);
    let words = desk.words(record::finish(&desk.a, &dead)).await?;
    let [_, _, copy] = words.as_slice() else { anyhow::bail!("{words:?}") };
    let mut client = desk.client().await?;
    client.cmd(&["DEL", &record_key(&incident)]).await?;
    let again = desk.words(record::finish_again(&desk.a, &dead, copy)).await?;
    ensure!(again == ["finished", "0", copy] && desk.books.length(DEAD).await? == 1, "{again:?}");
    client.cmd(&["DEL", &record_key(&incident), DEAD]).await?;
    let again = desk.words(record::finish_again(&desk.a, &dead, copy)).await?;
    ensure!(again.first().is_some_and(|word| word == "finished") && desk.books.length(DEAD).await? == 1, "{again:?}");
    // Another incident's dead letter is none of this one's.
    let other = client.cmd(&["XADD", DEAD, "*", "workflow_id", "another"]).await?.text()?.to_owned();
    client.cmd(&["DEL", &record_key(&incident)]).await?;
    desk.words(record::finish_again(&desk.a, &dead, &other)).await?;
    ensure!(desk.books.length(DEAD).await? == 3);
    Ok(())
}

#[tokio::test]
async fn parked_ones_go_elsewhere() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::InputRequired))).await?;
    ensure!(desk.books.column("incident:events:parked", "reason").await? == ["input-required"]);
    ensure!(desk.books.length(DEAD).await? == 0 && desk.field(&incident, "state").await? == "parked");
    Ok(())
}

#[tokio::test]
async fn an_entry_without_an_incident_is_buried_by_its_holder_only() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.client().await?.cmd(&["XADD", STREAM, "*", "junk", "1"]).await?;
    let entry = desk.read(&desk.a).await?;
    let outcome = Outcome::new(Reason::Undecodable, "workflow_id is missing");
    ensure!(desk.word(record::bury(&desk.b, &entry, &outcome)).await? == "lost");
    ensure!(desk.word(record::bury(&desk.a, &entry, &outcome)).await? == "buried");
    ensure!(desk.word(record::bury(&desk.a, &entry, &outcome)).await? == "lost");
    ensure!(desk.books.column(DEAD, "junk").await? == ["1"] && desk.books.pending().await? == 0);
    Ok(())
}

#[tokio::test]
async fn out_of_memory_leases_are_renewed_and_outcomes_wait() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let mut client = desk.client().await?;
    client.cmd(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await?;
    client.cmd(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    ensure!(lease::renew(&desk.session, &desk.a.group, &[entry.id]).await?.is_empty(), "renewed");
    let refused = desk.session.invoke(&record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await;
    ensure!(refused.err().and_then(|error| error.code().map(str::to_owned)).as_deref() == Some("OOM"));
    ensure!(desk.books.length(DEAD).await? == 0 && desk.books.pending().await? == 1, "nothing was half done");
    client.cmd(&["CONFIG", "SET", "maxmemory", "0"]).await?;
    ensure!(desk.word(record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await? == "finished");
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_leaves_everything_as_it_was() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.client().await?.cmd(&["SET", DEAD, "no stream"]).await?;
    let before = desk.record(&incident).await?;
    let refused = desk.session.invoke(&record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await;
    ensure!(refused.err().and_then(|error| error.code().map(str::to_owned)).as_deref() == Some("WRONGTYPE"));
    ensure!(desk.record(&incident).await? == before && desk.books.pending().await? == 1);
    desk.client().await?.cmd(&["DEL", DEAD]).await?;
    ensure!(desk.word(record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await? == "finished");
    ensure!(desk.books.length(DEAD).await? == 1);
    Ok(())
}

#[tokio::test]
async fn an_end_that_may_not_be_written_whole_is_not_written_at_all() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let names = Arc::clone(&desk.a);
    let call = record::finish(&names, &finish(&incident, &entry, Reason::Failed));
    let before = desk.record(&incident).await?;
    let mut client = desk.client().await?;
    client.cmd(&["ACL", "SETUSER", "default", "-xadd"]).await?;
    let refused = desk.session.invoke(&call).await;
    ensure!(refused.as_ref().is_err_and(|error| error.code() == Some("NOPERM")), "{refused:?}");
    ensure!(desk.record(&incident).await? == before, "half of it was written");
    client.cmd(&["ACL", "SETUSER", "default", "+xadd"]).await?;
    desk.words(call).await?;
    ensure!(desk.books.length("incident:outcomes").await? == 1 && desk.books.length(DEAD).await? == 1);
    Ok(())
}
