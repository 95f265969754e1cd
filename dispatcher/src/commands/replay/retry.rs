//! `replay retry`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use daemon::{Mistakes, exit};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior};

use super::{Desk, Filters, Manner, Place, Trouble, complain, with_desk};
use crate::commands::{Failure, process};
use crate::replay::escape;
use crate::replay::filter::{Filter, Now};
use crate::replay::find;
use crate::replay::id::Id;
use crate::replay::item::Item;
use crate::replay::retry::{Did, Retrier};
use crate::replay::scan::Scan;

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

struct Order {
    ids: Vec<Id>,
    force: bool,
    manner: Manner,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { ids, all, filters, force, manner, place } = args;
    let mut mistakes = Mistakes::new();
    if manner.asks() && !std::io::stdin().is_terminal() {
        mistakes.add("--yes", "nobody can be asked here: give --yes, or --dry-run to see what would be done");
    }
    if !all && filters.are_given() {
        mistakes.add("--all", "--state, --older-than and --agent go with --all, not with ids");
    }
    let order = Order { ids, force, manner };
    with_desk(place, Some(&filters), mistakes, async |desk, filter| retry(desk, filter, order).await).await
}

async fn retry(desk: &Desk, filter: Filter, order: Order) -> Result<u8, Trouble> {
    let session = desk.session().await?;
    let now = desk.now(&session);
    let (found, unknown) = lookup(desk, &order.ids, now).await?;
    let whole = order.ids.is_empty();
    let total = match whole {
        true if order.manner.asks() || std::io::stderr().is_terminal() => Some(count(desk, filter.clone(), now).await?),
        true => None,
        false => Some(found.len()),
    };
    let total = total.map(|total| total.min(order.manner.limit()));
    if order.manner.asks() && !confirmed(total.unwrap_or_default())? {
        writeln!(anstream::stderr(), "nothing was changed")?;
        return Ok(exit::DONE);
    }
    let retrier = Retrier {
        link: desk.link.clone(),
        names: Arc::clone(desk.names()),
        agents: process::Process::agents(&desk.setup)?,
        force: order.force,
    };
    let mut run = Run::new(retrier, now, &order.manner, total);
    for id in unknown {
        run.report(&id.to_string(), &Did::Failed("nothing is known of it: finished, or retried already?".to_owned()))?;
    }
    let walked = if whole { walk(desk, filter, &mut run).await } else { run.items(&found).await.map(drop) };
    run.finish()?;
    match walked {
        Err(trouble) if run.tally.retried > 0 => {
            complain(&trouble);
            Ok(exit::PARTLY)
        }
        walked => walked.map(|()| run.tally.code()),
    }
}

async fn lookup(desk: &Desk, ids: &[Id], now: Now) -> Result<(Vec<Item>, Vec<Id>), Trouble> {
    if ids.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut items, mut unknown): (Vec<Item>, Vec<Id>) = (Vec::new(), Vec::new());
    for found in find::find(&desk.session().await?, desk.names(), ids, now).await? {
        if found.items.is_empty() {
            unknown.push(found.id);
        }
        // Two ids can mean the same entry.
        let new =
            |item: &Item| !items.iter().any(|known| known.stream == item.stream && known.entry.id == item.entry.id);
        let new: Vec<_> = found.items.into_iter().filter(new).collect();
        items.extend(new);
    }
    Ok((items, unknown))
}

async fn count(desk: &Desk, filter: Filter, now: Now) -> Result<usize, Trouble> {
    let mut scan = Scan::open(&desk.session().await?, desk.names(), filter, now).await?;
    let mut count = 0;
    while let Some(page) = desk.page(&mut scan).await? {
        count += page.len();
    }
    Ok(count)
}

async fn walk(desk: &Desk, filter: Filter, run: &mut Run) -> Result<(), Trouble> {
    let mut scan = Scan::open(&desk.session().await?, desk.names(), filter, run.now).await?;
    while let Some(page) = desk.page(&mut scan).await? {
        if !run.items(&page).await? {
            return Ok(());
        }
    }
    Ok(())
}

fn confirmed(count: usize) -> Result<bool, Trouble> {
    let entries = if count == 1 { "entry" } else { "entries" };
    write!(anstream::stderr(), "Retry {count} {entries}? [y/N] ")?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[derive(Debug, Default)]
struct Tally {
    retried: u64,
    skipped: u64,
    failed: u64,
}

impl Tally {
    fn code(&self) -> u8 {
        match (self.failed, self.retried + self.skipped) {
            (0, _) => exit::DONE,
            (_, 0) => exit::FAILED,
            _ => exit::PARTLY,
        }
    }
}

/// A retry that is going on.
struct Run {
    retrier: Retrier,
    now: Now,
    preview: bool,
    left: usize,
    pace: Option<Interval>,
    bar: ProgressBar,
    tally: Tally,
}

impl Run {
    fn new(retrier: Retrier, now: Now, manner: &Manner, total: Option<usize>) -> Self {
        let pace = manner.rate.map(|rate| {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        // On stderr, and hidden where that is no terminal.
        let bar = total.map_or_else(ProgressBar::no_length, |total| ProgressBar::new(total as u64));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}") {
            bar.set_style(style);
        }
        Self { retrier, now, preview: manner.dry_run, left: manner.limit(), pace, bar, tally: Tally::default() }
    }

    /// Answers whether to go on.
    async fn items(&mut self, items: &[Item]) -> Result<bool, Trouble> {
        for item in items {
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            if let Some(pace) = &mut self.pace {
                pace.tick().await;
            }
            let did = if self.preview {
                self.retrier.preview(item, self.now)
            } else {
                self.retrier.retry(item, self.now).await?
            };
            let workflow_id = item.workflow_id().unwrap_or_default();
            self.report(&format!("{} {workflow_id}", item.entry.id), &did)?;
        }
        Ok(true)
    }

    fn report(&mut self, name: &str, did: &Did) -> Result<(), Trouble> {
        let (word, text) = match did {
            Did::Retried(text) => {
                self.tally.retried += 1;
                (if self.preview { "retry" } else { "retried" }, text)
            }
            Did::Skipped(text) => {
                self.tally.skipped += 1;
                ("skipped", text)
            }
            Did::Failed(text) => {
                self.tally.failed += 1;
                ("failed", text)
            }
        };
        self.bar.inc(1);
        let line = escape::line(&format!("{word} {name}: {text}"));
        Ok(self.bar.suspend(|| writeln!(anstream::stdout(), "{line}"))?)
    }

    fn finish(&self) -> Result<(), Trouble> {
        self.bar.finish_and_clear();
        let Tally { retried, skipped, failed } = self.tally;
        let dry = if self.preview { " (dry run: nothing was changed)" } else { "" };
        Ok(writeln!(anstream::stdout(), "replay: retried={retried} skipped={skipped} failed={failed}{dry}")?)
    }
}

impl Manner {
    fn asks(&self) -> bool {
        !self.yes && !self.dry_run
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

impl Filters {
    fn are_given(&self) -> bool {
        self.state != crate::replay::filter::Selection::All || self.older_than.is_some() || self.agent.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_decides_the_code() {
        let code = |retried, skipped, failed| Tally { retried, skipped, failed }.code();
        assert_eq!([code(0, 0, 0), code(3, 2, 0)], [exit::DONE, exit::DONE]);
        assert_eq!([code(0, 0, 1), code(1, 0, 1), code(0, 1, 1)], [exit::FAILED, exit::PARTLY, exit::PARTLY]);
    }
}
