//! `replay drop`.

use std::sync::Arc;

use daemon::Mistakes;

use super::change::{Change, Meant, change};
use super::{Manner, Place, with_desk};
use crate::commands::{Failure, process};
use crate::replay::drop::Dropper;

/// Longest reason, bytes.
const LONGEST_REASON: usize = 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    meant: Meant,
    /// Why, for those who look at the dead letter later
    #[arg(long, value_name = "TEXT", value_parser = reason, help_heading = "Changing")]
    reason: String,
    #[command(flatten)]
    manner: Manner,
    /// Also what a worker is at work on
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is needed".to_owned()),
        text if text.len() > LONGEST_REASON => Err(format!("at most {LONGEST_REASON} bytes")),
        text => Ok(text.to_owned()),
    }
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { meant, reason, manner, force, place } = args;
    let mut mistakes = Mistakes::new();
    manner.check(&mut mistakes);
    meant.check(&mut mistakes);
    with_desk(place, Some(&meant.filters), mistakes, async |desk, filter| {
        let dropper = Dropper {
            link: desk.link.clone(),
            names: Arc::clone(desk.names()),
            agents: process::Process::agents(&desk.setup)?,
            namespace: desk.setup.agents.namespace.clone(),
            force,
            reason,
        };
        change(desk, filter, &meant.ids, &manner, Change::Drop(dropper)).await
    })
    .await
}
