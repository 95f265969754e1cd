//! `run`: hook and worker in one process; the hook alone where no Redis is given.

use daemon::Mistakes;

use super::Failure;
use super::process::{self, HookParts, Process};
use crate::settings::{self, args};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    line: args::LineArgs,
    #[command(flatten)]
    work: args::WorkArgs,
    #[command(flatten)]
    alerts: args::AlertArgs,
    #[command(flatten)]
    hook: args::HookArgs,
    #[command(flatten)]
    outbox: args::OutboxArgs,
    #[command(flatten)]
    keep: args::KeepArgs,
    #[command(flatten)]
    process: args::ProcessArgs,
}

/// Runs both.
pub(super) fn main(mut args: Args) -> Result<u8, Failure> {
    let mut mistakes = Mistakes::new();
    args.line.stream.stream_name = args.line.stream.stream_name.or(args.hook.redis_stream_name.clone());
    let work = settings::work(&args.work, &mut mistakes);
    let process = settings::process(&args.process, &mut mistakes);
    let keep = settings::keep(&args.keep, &mut mistakes);
    let setup = settings::line(args.line, &mut mistakes);
    let target = setup.as_ref().map_or("", |setup| setup.default_agent.as_str());
    let hook = settings::hook(&args.hook, &args.alerts, target, &mut mistakes);
    let mut publish = settings::outbox(&args.outbox, &mut mistakes);
    let (Some(setup), true) = (setup, mistakes.is_empty()) else { return Err(mistakes.into()) };
    let by_itself = publish.outbox.path.is_none();
    if by_itself {
        publish.outbox.path = settings::state_file();
    }
    process::run(process, async move |process| {
        let agents = Process::agents(&setup)?;
        let link = setup.endpoint.clone().map(|endpoint| process.link(endpoint, "stream-dispatcher-run"));
        if let Some(link) = &link {
            process.start_keeper(link.clone(), &setup, keep);
            process.start_worker(link.clone(), &setup, agents.clone(), work);
        } else {
            tracing::warn!("no Redis is given: alerts are dispatched directly only");
        }
        process.start_hook(link, &setup, agents, HookParts { hook, publish, may_do_without: by_itself }).await
    })
}
