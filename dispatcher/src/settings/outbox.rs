//! What belongs to the outbox and to publishing from it.

use std::path::PathBuf;
use std::time::Duration;

use daemon::Mistakes;
use daemon::settings::parse;

use super::args::OutboxArgs;
use crate::outbox::OutboxSettings;

/// How incidents are put onto the stream.
#[derive(Debug, Clone)]
pub struct PublishSettings {
    /// The outbox.
    pub outbox: OutboxSettings,
    /// Replicas that must have what was published.
    pub wait_for_replicas: usize,
}

/// Reads `OutboxArgs`.
pub fn outbox(args: &OutboxArgs, mistakes: &mut Mistakes) -> PublishSettings {
    let seconds = Duration::from_secs;
    let keep =
        mistakes.take("OUTBOX_KEEP", args.outbox_keep.as_deref(), seconds(7 * 24 * 3600), parse::positive_duration);
    let number = |top: usize| parse::number(1..=top);
    PublishSettings {
        outbox: OutboxSettings {
            path: args.outbox_path.clone().filter(|path| !path.is_empty()).map(PathBuf::from),
            keep,
            most_open: mistakes.take("OUTBOX_MAX_OPEN", args.outbox_max_open.as_deref(), 500_000, number(10_000_000)),
            most_published: mistakes.take(
                "STREAM_MAX_OPEN",
                args.stream_max_open.as_deref(),
                10_000,
                number(10_000_000),
            ),
            round_every: mistakes.take(
                "OUTBOX_ROUND",
                args.outbox_round.as_deref(),
                seconds(60),
                parse::positive_duration,
            ),
            direct_after: mistakes.take("DIRECT_AFTER", args.direct_after.as_deref(), seconds(5), parse::duration),
            direct_after_uncertain: mistakes.take(
                "DIRECT_AFTER_UNCERTAIN",
                args.direct_after_uncertain.as_deref(),
                seconds(60),
                parse::duration,
            ),
        },
        wait_for_replicas: mistakes.take(
            "PUBLISH_WAIT_REPLICAS",
            args.publish_wait_replicas.as_deref(),
            0,
            parse::number(0..=100),
        ),
    }
}

/// The file that `run` uses by itself: in the user's state directory (XDG base directory specification).
#[expect(clippy::disallowed_methods, reason = "a default that depends on the user is a setting")]
pub fn state_file() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = given("XDG_STATE_HOME").or_else(|| given("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("stream-dispatcher/outbox.redb"))
}
