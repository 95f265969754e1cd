//! `move` and `back`: entries of an agent that cannot be reached.

use anyhow::{Result, ensure};
use line_tests::line::STREAM;
use stream_dispatcher::dispatch::outcome::Reason;
use stream_dispatcher::dispatch::publish::{Begun, Published};
use stream_dispatcher::dispatch::record::{self, Taken};

use super::desk::{Desk, WAITING, finish, incident, subject};

#[tokio::test]
async fn a_waiting_incident_is_not_lost_not_doubled_and_comes_back() -> Result<()> {
    let (mut desk, incident) = (Desk::open().await?, incident("1"));
    let entry = desk.held(&incident).await?;
    let moved = desk.word(record::move_to_waiting(&desk.a, &subject(&incident, &entry), WAITING, &entry)).await?;
    ensure!(moved == "moved" && desk.books.pending().await? == 0 && desk.books.length(WAITING).await? == 1);
    ensure!(desk.field(&incident, "stream").await? == WAITING);
    ensure!(desk.client().await?.cmd(&["SMEMBERS", "incident:events:waiting"]).await?.texts()? == [WAITING]);
    ensure!(desk.publish(&incident, &Begun::Queued).await? == Published::Duplicate, "waiting counts as taken care of");

    ensure!(desk.words(record::back(&desk.a, WAITING, 10)).await? == ["1", "0"]);
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
    desk.words(record::move_to_waiting(&desk.a, &subject(&incident, &entry), WAITING, &entry)).await?;
    desk.words(record::finish(&desk.a, &finish(&incident, &entry, Reason::Completed))).await?;
    ensure!(desk.words(record::back(&desk.a, WAITING, 10)).await? == ["0", "0"]);
    ensure!(desk.books.unread().await? == 0);
    Ok(())
}

#[tokio::test]
async fn they_come_back_in_order_and_as_many_as_asked_for() -> Result<()> {
    let mut desk = Desk::open().await?;
    for number in 0..5 {
        let incident = incident(&number.to_string());
        let entry = desk.held(&incident).await?;
        desk.words(record::move_to_waiting(&desk.a, &subject(&incident, &entry), WAITING, &entry)).await?;
    }
    ensure!(desk.words(record::back(&desk.a, WAITING, 2)).await? == ["2", "3"]);
    ensure!(desk.books.unread().await? == 2);
    Ok(())
}
