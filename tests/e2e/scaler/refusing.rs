//! What is asked wrongly, and what a person has to put right.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::eventually_ok;
use tonic::Code;

use super::{Desk, PATIENCE, object, until_refused, value};

#[tokio::test(flavor = "multi_thread")]
async fn bad_metadata_names_every_bad_key_on_every_call() -> Result<()> {
    let desk = Desk::open().await?;
    let secret = "marker-of-a-secret";
    let bad = object(&[
        ("metric", secret),
        ("target", "0"),
        ("activationTarget", "-1"),
        ("databaseIndex", "four"),
        ("lagCount", "many"),
        ("jobScalingStrategy", "quick"),
        ("addresses", "elsewhere:26379"),
        ("stream", &"s".repeat(600)),
    ]);
    let statuses = [
        desk.keda.metric_specs(&bad).await.err(),
        desk.keda.metrics(&bad, "any").await.err(),
        desk.keda.is_active(&bad).await.err(),
        desk.keda.stream_is_active(&bad).await.err(),
    ];
    for status in statuses {
        let status = status.context("bad metadata was taken")?;
        ensure!(status.code() == Code::InvalidArgument, "{status:?}");
        for key in bad.metadata.keys() {
            ensure!(status.message().contains(&format!("{key}:")), "{key} is not named: {}", status.message());
        }
        ensure!(!status.message().contains(secret), "a value is repeated: {}", status.message());
    }
    // What is left out or misspelt by KEDA's rules is no mistake here.
    ensure!(desk.keda.metric_specs(&object(&[("unknownKey", "1"), ("metric", " ")])).await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_metric_than_the_spec_s_is_refused() -> Result<()> {
    let desk = Desk::open().await?;
    for name in ["", "incident-events-dispatch-group-lag", "s0-incident-events-dispatch-group-backlog"] {
        let status = desk.keda.metrics(&object(&[]), name).await.err().context("taken")?;
        ensure!(status.code() == Code::InvalidArgument, "{status:?}");
        ensure!(status.message().contains("incident-events-dispatch-group-backlog"), "{}", status.message());
    }
    ensure!(desk.keda.metrics(&object(&[]), "incident-events-dispatch-group-backlog").await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_is_for_a_person_until_it_is_gone() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("SET incident:events text").await?;
    let asked = object(&[]);
    until_refused(&desk.keda, &asked, &["WRONGTYPE", "another program uses this key"]).await?;
    desk.redis("DEL incident:events").await?;
    desk.redis("XADD incident:events * f v").await?;
    eventually_ok("the number", PATIENCE, async || {
        let found = value(&desk.keda, &asked).await?;
        ensure!(found == 1, "{found}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_list_of_another_type_is_no_zero() -> Result<()> {
    let mut desk = Desk::open().await?;
    desk.redis("SET incident:events:waiting text").await?;
    until_refused(&desk.keda, &object(&[]), &["WRONGTYPE"]).await?;
    Ok(())
}

/// A database that Redis does not have is a setting of the trigger; other triggers are not harmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist() -> Result<()> {
    let desk = Desk::open().await?;
    let asked = object(&[("databaseIndex", "99")]);
    let waited = until_refused(&desk.keda, &asked, &["DB index is out of range"]).await?;
    ensure!(waited < Duration::from_secs(1), "{waited:?}");
    ensure!(value(&desk.keda, &object(&[])).await? == 0);
    Ok(())
}
