//! `replay retry`.

use std::sync::Arc;

use daemon::Mistakes;

use super::change::{Change, change};
use super::{Filters, Manner, Place, with_desk};
use crate::commands::{Failure, process};
use crate::replay::id::Id;
use crate::replay::retry::Retrier;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Entry ids (in whatever stream) or workflow ids
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<Id>,
    /// All that the filters mean
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    manner: Manner,
    /// Also what a worker is at work on, or what has settled since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { ids, all, filters, force, manner, place } = args;
    let mut mistakes = Mistakes::new();
    manner.check(&mut mistakes);
    filters.check(all, &mut mistakes);
    with_desk(place, Some(&filters), mistakes, async |desk, filter| {
        let retrier = Retrier {
            link: desk.link.clone(),
            names: Arc::clone(desk.names()),
            agents: process::Process::agents(&desk.setup)?,
            force,
        };
        change(desk, filter, &ids, &manner, Change::Retry(retrier)).await
    })
    .await
}
