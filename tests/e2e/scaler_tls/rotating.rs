//! Files that change under open streams and polls.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use line_tests::eventually_ok;
use tokio::time::{sleep, timeout};

use super::{Authority, Desk, Mount, PATIENCE, object, value};

const HOST: &str = "stream-scaler.stream-dispatcher";
const EXPIRY: &str = "scaler_tls_expiry_timestamp_seconds";
const UNUSABLE: &str = "scaler_tls_files_unusable";
/// The scaler looks at its files so often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections_and_open_ones_go_on() -> Result<()> {
    let (first, second) = (Authority::new("first")?, Authority::new("second")?);
    let mount = Mount::new(&first, HOST, 2050)?;
    let desk = Desk::open(&mount, true).await?;
    let polling = desk.keda(HOST, &first, Some(first.identity()?)).await?;
    let mut pushed = polling.stream_is_active(&object()).await?;
    let told = timeout(PATIENCE, pushed.message()).await??.context("the stream has ended")?;
    ensure!(!told.result);
    let before = desk.scaler.metric(EXPIRY, "").await?;
    ensure!(before > 1e9, "{before}");

    mount.renew(&second, HOST, 2055)?;
    eventually_ok("the new certificate", PATIENCE, async || {
        // Polls never fail meanwhile.
        if value(&polling).await.is_err() {
            return Ok(Err("a poll failed"));
        }
        let fresh = desk.keda(HOST, &second, Some(second.identity()?)).await?;
        Ok(Ok(value(&fresh).await?))
    })
    .await?
    .map_err(|failed| anyhow::anyhow!(failed))?;
    desk.refused(HOST, &first, Some(first.identity()?)).await?;
    let after = desk.scaler.metric(EXPIRY, "").await?;
    ensure!(after - before > 4.0 * 365.0 * 86_400.0, "{before} {after}");

    desk.add().await?;
    let told = timeout(PATIENCE, pushed.message()).await??.context("the stream has ended")?;
    ensure!(told.result && value(&polling).await? == 1, "the open connection goes on");
    // A client of the first authority is refused.
    desk.refused(HOST, &second, Some(first.identity()?)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pair_is_said_once_and_not_taken() -> Result<()> {
    let authority = Authority::new("authority")?;
    let mount = Mount::new(&authority, HOST, 2050)?;
    let desk = Desk::open(&mount, false).await?;
    mount.break_it(&authority, HOST)?;
    until_unusable(&desk, 1.0).await?;
    ensure!(value(&desk.keda(HOST, &authority, None).await?).await? == 0, "the one before it stays in use");
    let said = "the new TLS files cannot be used";
    // Two more looks.
    sleep(LOOK_EVERY * 2).await;
    let log = desk.scaler.program.log();
    ensure!(log.matches(said).count() == 1 && log.contains("SCALER_TLS_KEY_FILE"), "{log}");
    mount.renew(&authority, HOST, 2060)?;
    until_unusable(&desk, 0.0).await?;
    let log = desk.scaler.program.log();
    ensure!(log.matches(said).count() == 1 && log.contains("new TLS files are in use"), "{log}");
    ensure!(!log.contains("PRIVATE KEY"), "{log}");
    Ok(())
}

async fn until_unusable(desk: &Desk, expected: f64) -> Result<()> {
    eventually_ok("the metric", PATIENCE, async || {
        let found = desk.scaler.metric(UNUSABLE, "").await?;
        if (found - expected).abs() > 0.1 {
            bail!("{found}: {}", desk.scaler.program.tail());
        }
        Ok(())
    })
    .await
}
