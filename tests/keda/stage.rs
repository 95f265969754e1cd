//! `make keda`: KEDA's own client code asks this scaler, and KEDA's built-in trigger reads the same stream beside it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use line_tests::screen::{Screen, heading, print};
use line_tests::signals::unless_interrupted;

#[path = "stage/answers.rs"]
mod answers;
#[path = "stage/client.rs"]
mod client;
#[path = "stage/costs.rs"]
mod costs;
#[path = "stage/desk.rs"]
mod desk;
#[path = "stage/outages.rs"]
mod outages;
#[path = "stage/states.rs"]
mod states;

use desk::Desk;

/// Prints what this scaler and KEDA's built-in trigger answer to KEDA, side by side
#[derive(Debug, Parser)]
#[command(name = "keda-stage")]
struct Options {
    /// The program built from tests/keda (`tools/keda.sh`)
    #[arg(long, default_value = "target/tools/keda-clients/keda-clients")]
    client: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let screen = Screen::start();
    match unless_interrupted(run(&screen, &Options::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error("keda-stage", &error);
            ExitCode::FAILURE
        }
    }
}

async fn run(screen: &Screen, options: &Options) -> Result<()> {
    let mut desk = Desk::open(&options.client).await.context("the stage could not be set up")?;
    screen.say(&format!("a Sentinel trio (Redis {}) and this scaler are up", desk.version().await?))?;
    heading("What KEDA is told (value / active), target 10")?;
    let mut rows = states::all(&mut desk).await?;
    print(&answers::render(&rows))?;
    heading("Push")?;
    print(&states::push(&mut desk).await?)?;
    heading("Commands and connections")?;
    print(&costs::all(&mut desk).await?)?;
    heading("When Redis goes")?;
    let outages = outages::all(&mut desk).await?;
    print(&answers::render(&outages))?;
    rows.extend(outages);
    print(&format!("\nkeda: rows={} wrong={}\n", rows.len(), rows.iter().filter(|row| row.ours_is_wrong).count()))?;
    anyhow::ensure!(rows.iter().all(|row| !row.ours_is_wrong), "this scaler told KEDA something wrong");
    Ok(())
}
