//! The program, against this scaler: nothing fails and nothing is left out. And its page lists what it checks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::keda::conformance::CHECKS;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Program, Redis, RedisOptions};

use super::figure;

/// A whole run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn this_scaler_passes_every_check() -> Result<()> {
    let redis = Redis::start(RedisOptions::default()).await?;
    let mut client = redis.database(DATABASE).await?;
    client.cmd(&["XADD", "incident:events", "*", "f", "v"]).await?;
    let scaler = Member::scaler(&Settings::of_redis(&redis.address())).await?;
    let stop = format!("kill {}", scaler.program.pid());
    let arguments = [
        ["--address", &scaler.grpc],
        ["--metadata", "stream=incident:events"],
        ["--unreadable", "databaseIndex=99"],
        ["--bad", "target=marker-of-a-value"],
        ["--repeat-within", "30"],
        ["--stop", &stop],
    ];
    let arguments: Vec<&str> = arguments.iter().flatten().copied().chain(["--work"]).collect();
    let mut kit = Program::start("conformance", &arguments, &[])?;
    let code = kit.exit_code(PATIENCE).await?;
    let output = kit.output();
    figure(&output);
    let last = output.lines().last().context("it printed nothing")?;
    ensure!(code == 0, "exit {code}: {output}{}", kit.log());
    ensure!(last == format!("conformance: checks={} failed=0 advice=0", CHECKS.len()), "{output}");
    ensure!(!output.contains(" skip "), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_a_failure_with_the_address_in_it() -> Result<()> {
    let address = format!("127.0.0.1:{}", line_tests::ports::free_port()?);
    let mut kit = Program::start("conformance", &["--address", &address], &[])?;
    ensure!(kit.exit_code(PATIENCE).await? == 1);
    ensure!(kit.log().contains(&address), "{}", kit.log());
    Ok(())
}

#[test]
fn the_page_lists_every_check() -> Result<()> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md"))?;
    let (page, _) = page.split_once("\n## The emulated KEDA\n").context("the page has no second part")?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: Vec<&str> = rows.map(|(id, _)| id).filter(|id| !id.starts_with("--")).collect();
    let known: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    ensure!(listed == known, "docs/conformance.md lists {listed:?}, there are {known:?}");
    Ok(())
}
