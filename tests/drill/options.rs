//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::kinds::{self, Kind};

/// What is switched off: the drill has to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Control {
    /// The hooks have no outbox
    Outbox,
    /// Workers renew no lease (needs the feature `controls`)
    Renewal,
    /// What somebody has begun is begun anew (needs the feature `controls`)
    Recovery,
}

/// Breaks the line in every way it must survive, and counts what was lost or done twice.
#[derive(Debug, Parser)]
#[command(name = "drill")]
pub(crate) struct Options {
    /// Decides which faults come when; random if not given, and printed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many faults
    #[arg(long, default_value_t = 50, conflicts_with = "seconds")]
    pub(crate) faults: usize,
    /// Faults for so long, in place of a number of them
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Post at least so many incidents; without it as many as fit beside the faults
    #[arg(long)]
    pub(crate) incidents: Option<usize>,
    /// Time between two alerts of each of the two senders, milliseconds
    #[arg(long, default_value_t = 200)]
    pub(crate) every: u64,
    /// Only these faults, comma separated
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    pub(crate) only: Vec<Kind>,
    /// Switch a part of the product off: the drill succeeds if it finds losses or second runs
    #[arg(long)]
    pub(crate) control: Option<Control>,
    /// List the faults and stop
    #[arg(long)]
    pub(crate) kinds: bool,
    /// Print the report as JSON before the last line
    #[arg(long)]
    pub(crate) json: bool,
    /// Longest wait at the end for everything to be final, seconds
    #[arg(long, default_value_t = 200)]
    pub(crate) patience: u64,
    /// `OUTBOX_ROUND` of the hooks, seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) round: u64,
    /// Keep the logs of hooks and workers in this folder
    #[arg(long)]
    pub(crate) logs: Option<std::path::PathBuf>,
}

impl Options {
    /// [`Options::patience`] as a time.
    pub(crate) fn drain_within(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// The kinds to choose from.
    pub(crate) fn chosen(&self) -> Vec<Kind> {
        if self.only.is_empty() { kinds::KINDS.to_vec() } else { self.only.clone() }
    }
}

fn kind(id: &str) -> Result<Kind, String> {
    kinds::find(id).ok_or_else(|| format!("no such fault: {id:?}; --kinds lists them"))
}
