//! The road: whoever begins at its Sentinels stays on it, and its weather is felt.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::sentinel::MASTER_NAME;
use line_tests::{Client, Road, Trio, TrioOptions, Weather};

const SHORT: Duration = Duration::from_millis(300);

async fn master_on(road: &Road) -> Result<String> {
    let sentinel = road.sentinels().into_iter().next().context("a road without Sentinels")?;
    let words = ["SENTINEL", "get-master-addr-by-name", MASTER_NAME];
    Ok(Client::connect(&sentinel).await?.cmd(&words).await?.texts()?.join(":"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_road_leads_to_the_master_through_its_own_ports() -> Result<()> {
    let trio = Trio::start(TrioOptions::default()).await?;
    let road = Road::open(&trio.addresses(), &trio.sentinels()).await?;
    let (real, here) = (trio.master_address().await?, master_on(&road).await?);
    ensure!(real != here && !trio.addresses().contains(&here), "{here} is the master's own address");
    Client::connect(&here).await?.cmd(&["SET", "by", "road"]).await?;
    ensure!(trio.client(0).await?.cmd(&["GET", "by"]).await?.text()? == "road", "another server was written to");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weather_blocks_and_cuts() -> Result<()> {
    let trio = Trio::start(TrioOptions::default()).await?;
    let road = Road::open(&trio.addresses(), &trio.sentinels()).await?;
    let (real, here) = (trio.master_address().await?, master_on(&road).await?);
    let mut client = Client::connect_within(&here, SHORT).await?;
    client.cmd(&["PING"]).await?;
    road.at(&real, Weather::Blocked);
    ensure!(client.cmd(&["SET", "late", "1"]).await.is_err(), "an answer came through");
    ensure!(trio.client(0).await?.cmd(&["GET", "late"]).await?.is_nil(), "the question came through");
    road.everywhere(Weather::CutAnswers);
    ensure!(Client::connect(&here).await?.cmd(&["PING"]).await.is_err(), "a whole answer came");
    road.at_nodes(Weather::Slow(SHORT));
    let begun = std::time::Instant::now();
    Client::connect(&here).await?.cmd(&["PING"]).await?;
    ensure!(begun.elapsed() >= SHORT, "the answer came at once");
    Ok(())
}
