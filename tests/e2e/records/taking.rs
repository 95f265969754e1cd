//! `take`, `sending`, `unsent`, `accepted`, `hold`: who may, and what is known.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use line_tests::line::{GROUP, STREAM};
use redis_stream::entry::Entry;
use stream_dispatcher::dispatch::decision::Blame;
use stream_dispatcher::dispatch::gate::{self, Leave};
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::profile::Limits;
use stream_dispatcher::dispatch::publish::{Begun, Published};
use stream_dispatcher::dispatch::record::{self, Run, Taken};
use stream_dispatcher::incident::Incident;

use super::desk::{AGENT, Desk, LEASE, finish, incident, record_key, run, subject, unsent};

fn begun(taken: Taken) -> Result<Run> {
    match taken {
        Taken::Begun(run, _) => Ok(run),
        other => bail!("not begun: {other:?}"),
    }
}

async fn send(desk: &Desk, incident: &Incident, entry: &Entry, attempts: u32) -> Result<Leave> {
    let run = Run { attempts, ..run(incident) };
    let call = gate::sending(&desk.a, &subject(incident, entry), &run, Limits::DEFAULT, LEASE);
    Ok(gate::leave(&desk.session.invoke(&call).await?)?)
}

#[tokio::test]
async fn an_entry_read_for_the_first_time_is_fresh() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    desk.publish(&incident, &Begun::Queued).await?;
    let entry = desk.read(&desk.a).await?;
    let Taken::Fresh(run) = desk.take(&desk.a, &incident, &entry).await? else { bail!("not fresh") };
    ensure!(run.message_id == incident.message_id() && run.attempts == 0 && run.task_id.is_none());
    ensure!(desk.field(&incident, "state").await? == "queued" && desk.field(&incident, "owner").await? == "a");
    Ok(())
}

#[tokio::test]
async fn what_another_worker_holds_cannot_be_taken() -> Result<()> {
    let (desk, incident) = (Desk::open().await?, incident("1"));
    desk.publish(&incident, &Begun::Queued).await?;
    let entry = desk.read(&desk.a).await?;
    let before = desk.record(&incident).await?;
    ensure!(desk.take(&desk.b, &incident, &entry).await? == Taken::Lost);
    ensure!(desk.record(&incident).await? == before);
    Ok(())
}

#[tokio::test]
async fn an_id_that_names_another_incident_by_now_cannot_be_taken() -> Result<()> {
    let (desk, first, second) = (Desk::open().await?, incident("1"), incident("2"));
    desk.publish(&first, &Begun::Queued).await?;
    let entry = desk.read(&desk.a).await?;
    ensure!(desk.take(&desk.a, &second, &entry).await? == Taken::Lost);
    Ok(())
}

#[tokio::test]
async fn two_entries_of_one_incident_give_one_run() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    desk.publish(&incident, &Begun::Queued).await?;
    let fields = incident.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    desk.books.add(STREAM, &fields).await?;
    let first = desk.read(&desk.a).await?;
    let second = desk.read(&desk.b).await?;
    ensure!(
        desk.take(&desk.b, &incident, &second).await? == Taken::Duplicate,
        "the record names the pending first one"
    );
    ensure!(matches!(desk.take(&desk.a, &incident, &first).await?, Taken::Fresh(_)));
    ensure!(desk.books.pending().await? == 1, "the duplicate is acknowledged");
    Ok(())
}

#[tokio::test]
async fn a_second_entry_takes_over_when_the_first_is_gone() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let first = desk.held(&incident).await?;
    desk.client().await?.cmd(&["XDEL", STREAM, &first.id.to_string()]).await?;
    desk.publish(&incident, &Begun::Queued).await?;
    let second = desk.read(&desk.b).await?;
    ensure!(matches!(desk.take(&desk.b, &incident, &second).await?, Taken::Fresh(_)));
    ensure!(desk.field(&incident, "entry_id").await? == second.id.to_string());
    // The first holder finds that the record names another entry.
    ensure!(send(&desk, &incident, &first, 1).await? == Leave::Changed);
    Ok(())
}

#[tokio::test]
async fn a_final_record_gives_no_run() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Failed))).await?;
    let fields = incident.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    desk.books.add(STREAM, &fields).await?;
    let again = desk.read(&desk.b).await?;
    ensure!(desk.take(&desk.b, &incident, &again).await? == Taken::Duplicate);
    ensure!(desk.books.pending().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_queued_record_of_another_history_counts_as_begun() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    desk.publish(&incident, &Begun::Queued).await?;
    desk.client().await?.cmd(&["HSET", &record_key(&incident), "replid", &"0".repeat(40)]).await?;
    let entry = desk.read(&desk.a).await?;
    begun(desk.take(&desk.a, &incident, &entry).await?)?;
    ensure!(desk.field(&incident, "state").await? == "sending");
    ensure!(desk.field(&incident, "replid").await? == desk.session.replid());
    Ok(())
}

#[tokio::test]
async fn an_absent_record_counts_as_begun_unless_a_foreign_entry_is_young_and_new() -> Result<()> {
    let mut desk = Desk::open().await?;
    for (fingerprint, foreign, old, fresh) in
        [("1", false, false, false), ("2", true, false, true), ("3", true, true, false)]
    {
        let incident = incident(fingerprint);
        let id = if old { "1000-0" } else { "*" };
        desk.client().await?.cmd(&["DEL", STREAM]).await?;
        redis_stream::group::ensure(&desk.session, &desk.a.group).await?;
        desk.client().await?.cmd(&["XADD", STREAM, id, "workflow_id", &incident.workflow_id]).await?;
        let entry = desk.read(&desk.a).await?;
        let taken = desk.take_as(&desk.a, &incident, &entry, foreign).await?;
        ensure!(matches!(taken, Taken::Fresh(_)) == fresh, "{fingerprint}: {taken:?}");
        let attempts = if fresh { "0" } else { "1" };
        ensure!(desk.field(&incident, "attempts").await? == attempts, "{fingerprint}");
    }
    Ok(())
}

#[tokio::test]
async fn sending_counts_an_attempt_once_even_if_its_answer_was_lost() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    for _ in 0..2 {
        ensure!(send(&desk, &incident, &entry, 1).await? == Leave::Granted);
        ensure!(desk.field(&incident, "attempts").await? == "1" && desk.field(&incident, "state").await? == "sending");
    }
    let call = gate::unsent(
        &desk.a,
        &subject(&incident, &entry),
        &run(&incident),
        &unsent(Blame::Incident),
        Limits::DEFAULT,
        LEASE,
    );
    ensure!(desk.word(call).await? == "ok");
    ensure!(desk.field(&incident, "attempts").await? == "0" && desk.field(&incident, "state").await? == "queued");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_no_longer_owns_the_entry_changes_nothing_but_the_truth() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    desk.client().await?.cmd(&["XCLAIM", STREAM, GROUP, "b", "0", &entry.id.to_string()]).await?;
    let before = desk.record(&incident).await?;
    let of = subject(&incident, &entry);
    ensure!(send(&desk, &incident, &entry, 1).await? == Leave::Lost);
    ensure!(
        desk.word(gate::unsent(&desk.a, &of, &run(&incident), &unsent(Blame::Agent), Limits::DEFAULT, LEASE)).await?
            == "lost"
    );
    ensure!(desk.word(gate::move_to_waiting(&desk.a, &of, AGENT, &entry)).await? == "lost");
    ensure!(desk.take(&desk.a, &incident, &entry).await? == Taken::Lost);
    ensure!(desk.record(&incident).await? == before && desk.books.pending().await? == 1);

    // A task id and an outcome are true whoever says them; the entry stays its new holder's.
    let known = Run { task_id: Some("task-1".into()), attempts: 1, ..run(&incident) };
    ensure!(desk.word(record::accepted(&desk.a, &of, &known, "stream", LEASE, true)).await? == "ok");
    ensure!(desk.field(&incident, "task_id").await? == "task-1");
    let words = desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    ensure!(words == ["finished", "0", "-"] && desk.books.pending().await? == 1, "{words:?}");
    ensure!(desk.take(&desk.b, &incident, &entry).await? == Taken::Duplicate && desk.books.pending().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_renewal_that_comes_too_late_does_not_undo_that_a_send_did_not_reach_the_agent() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let (of, sending) = (subject(&incident, &entry), Run { attempts: 1, ..run(&incident) });
    ensure!(send(&desk, &incident, &entry, 1).await? == Leave::Granted);
    desk.words(gate::unsent(&desk.a, &of, &run(&incident), &unsent(Blame::Agent), Limits::DEFAULT, LEASE)).await?;
    ensure!(desk.word(record::hold(&desk.a, &of, &sending, LEASE)).await? == "unsent");
    ensure!(desk.field(&incident, "state").await? == "queued" && desk.field(&incident, "attempts").await? == "0");
    // A record of another history says `queued` because Redis has forgotten the send.
    desk.client().await?.cmd(&["HSET", &record_key(&incident), "replid", &"0".repeat(40)]).await?;
    ensure!(desk.word(record::hold(&desk.a, &of, &sending, LEASE)).await? == "restored");
    ensure!(desk.field(&incident, "state").await? == "sending");
    Ok(())
}

#[tokio::test]
async fn who_comes_back_late_changes_nothing_of_a_deliberate_new_run() -> Result<()> {
    let (desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let (of, known) = (subject(&incident, &entry), Run { task_id: Some("t".into()), attempts: 1, ..run(&incident) });
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    // Five seconds later it still fires.
    desk.client().await?.cmd(&["HINCRBY", &record_key(&incident), "updated_at", "-5000"]).await?;
    let (deadline, after) = (desk.session.redis_now_ms() + 5_000, Duration::from_secs(1));
    ensure!(desk.publish_by(&incident, &Begun::Queued, deadline, Some(after)).await? == Published::New);
    let before = desk.record(&incident).await?;
    ensure!(desk.word(record::hold(&desk.a, &of, &known, LEASE)).await? == "other");
    ensure!(desk.word(record::accepted(&desk.a, &of, &known, "stream", LEASE, false)).await? == "other");
    let words = desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Canceled))).await?;
    ensure!(words == ["other", "0"], "{words:?}");
    ensure!(desk.record(&incident).await? == before, "{before:?}");
    let again = desk.read(&desk.b).await?;
    ensure!(matches!(desk.take(&desk.b, &incident, &again).await?, Taken::Fresh(_)));
    Ok(())
}

#[tokio::test]
async fn a_renewal_writes_back_what_redis_has_forgotten_and_no_more() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let (of, known) = (subject(&incident, &entry), Run { task_id: Some("t".into()), attempts: 2, ..run(&incident) });
    desk.words(record::accepted(&desk.a, &of, &known, "stream", LEASE, true)).await?;
    ensure!(desk.word(record::hold(&desk.a, &of, &known, LEASE)).await? == "ok");
    desk.client().await?.cmd(&["DEL", &record_key(&incident)]).await?;
    ensure!(desk.word(record::hold(&desk.a, &of, &known, LEASE)).await? == "restored");
    ensure!(desk.field(&incident, "task_id").await? == "t" && desk.field(&incident, "attempts").await? == "2");
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    ensure!(desk.words(record::hold(&desk.a, &of, &known, LEASE)).await? == ["final", "settled"]);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_jumps_makes_no_run_older_than_its_renewals() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let run = Run { task_id: Some("t".into()), attempts: 1, ..run(&incident) };
    let subject = subject(&incident, &entry);
    desk.word(record::accepted(&desk.a, &subject, &run, "stream", LEASE, true)).await?;
    let hour_ago = (desk.session.redis_now_ms() - 3_600_000).to_string();
    let key = record_key(&incident);
    for _ in 0..2 {
        desk.client().await?.cmd(&["HSET", &key, "updated_at", &hour_ago, "accepted_at", &hour_ago]).await?;
        desk.word(record::hold(&desk.a, &subject, &run, LEASE)).await?;
    }
    let leases = 2 * i64::try_from(LEASE.as_millis())?;
    ensure!(desk.field(&incident, "ran_ms").await?.parse::<i64>()? == leases);
    // Set back, it makes it no younger.
    let in_an_hour = (desk.session.redis_now_ms() + 3_600_000).to_string();
    desk.client().await?.cmd(&["HSET", &key, "updated_at", &in_an_hour]).await?;
    let Taken::Begun(_, since) = desk.take(&desk.a, &incident, &entry).await? else { bail!("not begun") };
    ensure!(since.running == Some(2 * LEASE), "{since:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_offered_under_another_history_was_not_sent_in_this_one() -> Result<()> {
    let desk = Desk::open().await?;
    for (number, begun, sent) in
        [("1", Begun::OfferedEarlier, false), ("2", Begun::Unanswered, true), ("3", Begun::Offered, true)]
    {
        let incident = incident(number);
        desk.publish(&incident, &begun).await?;
        let entry = desk.read(&desk.a).await?;
        let Taken::Begun(_, since) = desk.take(&desk.a, &incident, &entry).await? else { bail!("not begun") };
        ensure!(since.quiet.is_some() == sent, "{begun:?}: {since:?}");
        // Whoever took it may have sent it.
        let Taken::Begun(_, since) = desk.take(&desk.a, &incident, &entry).await? else { bail!("not begun") };
        ensure!(since.quiet.is_some(), "{begun:?}: {since:?}");
    }
    Ok(())
}
