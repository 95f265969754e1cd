//! `publish`, row by row.

use anyhow::{Result, ensure};
use line_tests::line::{GROUP, STREAM};
use stream_dispatcher::dispatch::gate;
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::profile::Limits;
use stream_dispatcher::dispatch::publish::{self, Begun, Published};
use stream_dispatcher::dispatch::record::{self, Run, Taken};

use super::desk::{Desk, LEASE, finish, incident, record_key, run, subject};

#[tokio::test]
async fn an_unknown_incident_goes_onto_the_stream_with_its_record_and_text() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::New);
    ensure!(desk.field(&incident, "state").await? == "queued" && desk.field(&incident, "v").await? == "1");
    ensure!(desk.field(&incident, "replid").await? == desk.session.replid());
    let ids = desk.client().await?.cmd(&["XRANGE", STREAM, "-", "+"]).await?;
    ensure!(ids.items()?[0].items()?[0].text()? == desk.field(&incident, "entry_id").await?);
    let key = format!("incident:artifact:{}:alert", incident.workflow_id);
    ensure!(desk.client().await?.cmd(&["GET", &key]).await?.text()? == incident.text);
    let ttl = desk.client().await?.cmd(&["TTL", &key]).await?.int()?;
    ensure!((86_000..=86_400).contains(&ttl), "{ttl}");
    ensure!(desk.client().await?.cmd(&["TTL", &record_key(&incident)]).await?.int()? == -1, "no expiry until final");
    Ok(())
}

#[tokio::test]
async fn while_its_entry_is_unread_or_pending_it_is_a_duplicate() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    desk.publish(&incident, &Begun::Queued).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Duplicate);
    let entry = desk.read(&desk.a).await?;
    ensure!(desk.publish(&incident, &Begun::Offered).await? == Published::Duplicate);
    desk.take(&desk.a, &incident, &entry).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Duplicate);
    ensure!(desk.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_record_whose_entry_was_deleted_is_published_again_and_keeps_what_it_knows() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let begun = Run { attempts: 1, ..run(&incident) };
    desk.words(gate::sending(&desk.a, &subject(&incident, &entry), &begun, Limits::DEFAULT, LEASE)).await?;
    desk.client().await?.cmd(&["XDEL", STREAM, &entry.id.to_string()]).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Again);
    ensure!(desk.field(&incident, "state").await? == "sending" && desk.field(&incident, "attempts").await? == "1");
    ensure!(desk.field(&incident, "entry_id").await? != entry.id.to_string());
    ensure!(desk.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn an_entry_that_was_delivered_and_is_pending_nowhere_is_published_again() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    // Acknowledged by somebody who did not finish it.
    desk.client().await?.cmd(&["XACK", STREAM, GROUP, &entry.id.to_string()]).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Again);
    ensure!(desk.books.length(STREAM).await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_final_incident_is_a_duplicate_and_its_record_lives_on() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    desk.client().await?.cmd(&["EXPIRE", &record_key(&incident), "100"]).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Final);
    let ttl = desk.client().await?.cmd(&["TTL", &record_key(&incident)]).await?.int()?;
    ensure!(ttl > 600_000, "{ttl}");
    ensure!(desk.books.length(STREAM).await? == 1);
    Ok(())
}

#[tokio::test]
async fn an_incident_that_went_directly_is_handed_over_as_what_it_is() -> Result<()> {
    let mut desk = Desk::open().await?;
    let (asked, ran) = (incident("1"), incident("2"));
    desk.publish(&asked, &Begun::Unanswered).await?;
    ensure!(desk.field(&asked, "state").await? == "sending" && desk.field(&asked, "via").await? == "direct");
    let direct = Run { task_id: Some("task-9".into()), attempts: 1, ..run(&ran) };
    desk.publish(&ran, &Begun::Accepted(direct)).await?;
    ensure!(desk.field(&ran, "state").await? == "accepted");
    desk.read(&desk.a).await?;
    let entry = desk.read(&desk.a).await?;
    let Taken::Begun(known, _) = desk.take(&desk.a, &ran, &entry).await? else { anyhow::bail!("not begun") };
    ensure!(known.task_id.as_deref() == Some("task-9"));
    Ok(())
}

#[tokio::test]
async fn after_its_deadline_it_changes_nothing() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let passed = desk.session.redis_now_ms() - 1;
    ensure!(desk.publish_by(&incident, &Begun::Queued, passed, None).await? == Published::Expired);
    ensure!(desk.books.length(STREAM).await? == 0 && desk.record(&incident).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_publish_that_a_stopped_master_gets_to_see_too_late_changes_nothing() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let deadline = desk.session.redis_now_ms() + 700;
    desk.redis.pause()?;
    let call = publish::publish(&desk.a, &incident, &Begun::Queued, deadline, None);
    // The request is in the socket of the stopped server; no answer comes, and the hook cannot know.
    let error = desk.session.invoke(&call).await.err().map(|error| error.uncertain());
    ensure!(error == Some(true), "{error:?}");
    desk.redis.resume()?;
    // Redis works off what it has before it answers this.
    let known = desk.client().await?.cmd(&["EXISTS", &record_key(&incident)]).await?.int()?;
    ensure!(known == 0, "the late publish was applied");
    ensure!(desk.books.length(STREAM).await? == 0);
    Ok(())
}

#[tokio::test]
async fn an_alert_that_fires_on_is_run_again_when_that_is_wanted() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    let deadline = desk.session.redis_now_ms() + 5_000;
    let hour = Some(std::time::Duration::from_secs(3600));
    ensure!(desk.publish_by(&incident, &Begun::Queued, deadline, hour).await? == Published::Final);
    let two_hours_ago = (desk.session.redis_now_ms() - 7_200_000).to_string();
    for run in ["-r1", "-r2"] {
        let key = record_key(&incident);
        desk.client().await?.cmd(&["HSET", &key, "updated_at", &two_hours_ago, "state", "settled"]).await?;
        ensure!(desk.publish_by(&incident, &Begun::Queued, deadline, hour).await? == Published::New);
        ensure!(desk.field(&incident, "message_id").await? == format!("{}{run}", incident.message_id()));
        ensure!(desk.field(&incident, "attempts").await? == "0" && desk.field(&incident, "task_id").await?.is_empty());
        ensure!(desk.client().await?.cmd(&["TTL", &key]).await?.int()? == -1);
    }
    Ok(())
}

#[tokio::test]
async fn a_record_of_a_later_version_is_left_alone() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    desk.client().await?.cmd(&["HSET", &record_key(&incident), "v", "2", "state", "something new"]).await?;
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Duplicate);
    ensure!(desk.books.length(STREAM).await? == 0 && desk.field(&incident, "state").await? == "something new");
    Ok(())
}
