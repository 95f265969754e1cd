//! `work`: the worker alone.

use daemon::Mistakes;

use super::Failure;
use super::process::{self, Process};
use crate::settings::{self, args};

/// Arguments of `work`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    line: args::LineArgs,
    #[command(flatten)]
    work: args::WorkArgs,
    #[command(flatten)]
    keep: args::KeepArgs,
    #[command(flatten)]
    process: args::ProcessArgs,
}

/// Runs the worker.
pub(super) fn main(args: Args) -> Result<u8, Failure> {
    let mut mistakes = Mistakes::new();
    let work = settings::work(&args.work, &mut mistakes);
    let process = settings::process(&args.process, &mut mistakes);
    let keep = settings::keep(&args.keep, &mut mistakes);
    let setup = settings::line(args.line, &mut mistakes);
    settings::require_redis(setup.as_ref(), &mut mistakes);
    let (Some(setup), true) = (setup, mistakes.is_empty()) else { return Err(mistakes.into()) };
    let Some(endpoint) = setup.endpoint.clone() else { return Err(mistakes.into()) };
    process::run(process, async move |process| {
        let agents = Process::agents(&setup)?;
        let link = process.link(endpoint, "stream-dispatcher-work");
        process.start_keeper(link.clone(), &setup, keep);
        process.start_worker(link, &setup, agents, work);
        Ok(())
    })
}
