//! Changing entries: the ones that are named, or all that a filter lets through.

use std::io::{IsTerminal as _, Write as _};

use daemon::{Mistakes, exit};
use redis_stream::error::Error;

use super::progress::{Progress, Words};
use super::{Desk, Filters, Manner, Trouble, complain};
use crate::replay::did::Did;
use crate::replay::drop::Dropper;
use crate::replay::filter::{Filter, Now, Selection};
use crate::replay::find;
use crate::replay::id::Id;
use crate::replay::item::Item;
use crate::replay::retry::Retrier;
use crate::replay::scan::Scan;

/// What is done to each entry.
pub(super) enum Change {
    /// Run it again.
    Retry(Retrier),
    /// Give it up.
    Drop(Dropper),
}

impl Change {
    fn words(&self) -> Words {
        match self {
            Self::Retry(_) => ("retry", "retried"),
            Self::Drop(_) => ("drop", "dropped"),
        }
    }

    fn question(&self) -> &'static str {
        match self {
            Self::Retry(_) => "Retry",
            Self::Drop(_) => "Drop",
        }
    }

    fn preview(&self, item: &Item, now: Now) -> Did {
        match self {
            Self::Retry(retrier) => retrier.preview(item, now),
            Self::Drop(dropper) => dropper.preview(item, now),
        }
    }

    async fn apply(&self, item: &Item, now: Now) -> Result<Did, Error> {
        match self {
            Self::Retry(retrier) => retrier.retry(item, now).await,
            Self::Drop(dropper) => dropper.drop(item, now).await,
        }
    }
}

impl Manner {
    /// Somebody is to be asked first.
    pub(super) fn asks(&self) -> bool {
        !self.yes && !self.dry_run
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// Notes that there is nobody to ask.
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        if self.asks() && !std::io::stdin().is_terminal() {
            mistakes.add("--yes", "nobody can be asked here: give --yes, or --dry-run to see what would be done");
        }
    }
}

/// What is to be changed.
#[derive(Debug, clap::Args)]
pub(super) struct Meant {
    /// Entry ids (in whatever stream) or workflow ids
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) ids: Vec<Id>,
    /// All that the filters mean
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(super) filters: Filters,
}

impl Meant {
    /// Notes filters that would be ignored.
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        let Filters { state, older_than, agent } = &self.filters;
        let given = *state != Selection::All || older_than.is_some() || agent.is_some();
        if !self.all && given {
            mistakes.add("--all", "--state, --older-than and --agent go with --all, not with ids");
        }
    }
}

/// Changes the ids, or without any all that the filter lets through.
pub(super) async fn change(
    desk: &Desk,
    filter: Filter,
    ids: &[Id],
    manner: &Manner,
    change: Change,
) -> Result<u8, Trouble> {
    let session = desk.session().await?;
    let now = desk.now(&session);
    let (found, unknown) = lookup(desk, ids, now).await?;
    let whole = ids.is_empty();
    let total = match whole {
        true if manner.asks() || std::io::stderr().is_terminal() => Some(count(desk, filter.clone(), now).await?),
        true => None,
        false => Some(found.len()),
    };
    let total = total.map(|total| total.min(manner.limit()));
    if manner.asks() && !confirmed(change.question(), total.unwrap_or_default())? {
        writeln!(anstream::stderr(), "nothing was changed")?;
        return Ok(exit::DONE);
    }
    let mut run = Run { progress: Progress::new(change.words(), manner, total), change, now };
    for id in unknown {
        let why = "nothing is known of it: finished, or retried already?".to_owned();
        run.progress.report(&id.to_string(), &Did::Failed(why))?;
    }
    let walked = if whole { walk(desk, filter, &mut run).await } else { run.items(&found).await.map(drop) };
    run.progress.finish()?;
    match walked {
        Err(trouble) if run.progress.has_done() => {
            complain(&trouble);
            Ok(exit::PARTLY)
        }
        walked => walked.map(|()| run.progress.code()),
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

/// Asks on the terminal.
pub(super) fn confirmed(question: &str, count: usize) -> Result<bool, Trouble> {
    let entries = if count == 1 { "entry" } else { "entries" };
    write!(anstream::stderr(), "{question} {count} {entries}? [y/N] ")?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// A change that is going on.
struct Run {
    progress: Progress,
    change: Change,
    now: Now,
}

impl Run {
    /// Answers whether to go on.
    async fn items(&mut self, items: &[Item]) -> Result<bool, Trouble> {
        for item in items {
            if !self.progress.turn().await {
                return Ok(false);
            }
            let did = if self.progress.is_preview() {
                self.change.preview(item, self.now)
            } else {
                self.change.apply(item, self.now).await?
            };
            let workflow_id = item.workflow_id().unwrap_or_default();
            self.progress.report(&format!("{} {workflow_id}", item.entry.id), &did)?;
        }
        Ok(true)
    }
}
