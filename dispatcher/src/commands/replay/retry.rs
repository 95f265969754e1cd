//! `replay retry`.

use std::sync::Arc;

use daemon::Mistakes;

use super::change::{Change, Meant, change};
use super::{Manner, Place, with_desk};
use crate::commands::{Failure, process};
use crate::replay::retry::Retrier;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    manner: Manner,
    /// Also what a worker is at work on, or what has settled since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { meant, force, manner, place } = args;
    let mut mistakes = Mistakes::new();
    manner.check(&mut mistakes);
    meant.check(&mut mistakes);
    with_desk(place, Some(&meant.filters), mistakes, async |desk, filter| {
        let retrier = Retrier {
            link: desk.link.clone(),
            names: Arc::clone(desk.names()),
            agents: process::Process::agents(&desk.setup)?,
            force,
        };
        change(desk, filter, &meant.ids, &manner, Change::Retry(retrier)).await
    })
    .await
}
