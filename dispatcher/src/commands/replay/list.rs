//! `replay list`.

use std::io::Write as _;
use std::time::Duration;

use daemon::{Mistakes, escape, exit};

use super::{Desk, Filters, Format, Place, Trouble, print, with_desk};
use crate::commands::Failure;
use crate::replay::filter::Filter;
use crate::replay::kept;
use crate::replay::row::Row;
use crate::replay::scan::Scan;

/// Rows of a table unless told otherwise: a table is held in memory.
const TABLE_ROWS: usize = 1_000;
/// Longest time for a connection to the hook.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filters: Filters,
    /// At most this many [default: 1000 as a table, all as JSON]
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<usize>,
    /// How they are printed
    #[arg(short, long, value_enum, default_value = "table", help_heading = "Output")]
    output: Format,
    /// Admin address of the hook, such as <http://stream-dispatcher-hook:9090>: what only its outbox has is listed too
    /// [default: the hook in the same container, where `OUTBOX_PATH` is set]
    #[arg(long, env = "OUTBOX_URL", hide_env_values = true, value_name = "URL", help_heading = "Output")]
    outbox_url: Option<String>,
    #[arg(long, env = "OUTBOX_PATH", hide = true, hide_env_values = true)]
    outbox_path: Option<String>,
    #[arg(long, env = "ADMIN_ADDR", hide = true, hide_env_values = true)]
    admin_addr: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let hook = hook_of(&args);
    let Args { filters, limit, output, place, .. } = args;
    with_desk(place, Some(&filters), Mistakes::new(), async |desk, filter| match output {
        Format::Table => as_table(desk, filter, hook, limit.unwrap_or(TABLE_ROWS)).await,
        Format::Json => as_json(desk, filter, hook, limit.unwrap_or(usize::MAX)).await,
    })
    .await
}

/// The admin address to ask for what is in an outbox.
fn hook_of(args: &Args) -> Option<String> {
    let here = || {
        args.outbox_path.as_ref()?;
        let port = args.admin_addr.as_deref().and_then(|addr| addr.rsplit(':').next()).unwrap_or("9090");
        Some(format!("http://127.0.0.1:{port}"))
    };
    args.outbox_url.clone().or_else(here)
}

/// What only the hook has. It is there to be asked also while Redis is not.
async fn kept(filter: &Filter, hook: Option<String>) -> Vec<Row> {
    let Some(hook) = hook.filter(|_| filter.is_everything()) else { return Vec::new() };
    let Ok(http) = a2a::http_client(CONNECT_WITHIN) else { return Vec::new() };
    match kept::rows(&http, &hook, jiff::Timestamp::now().as_millisecond()).await {
        Ok(rows) => rows,
        Err(error) => {
            let error = escape::line(&error);
            // Nobody may be reading.
            writeln!(anstream::stderr(), "the hook's outbox cannot be listed: {error}").ok();
            Vec::new()
        }
    }
}

async fn as_table(desk: &Desk, filter: Filter, hook: Option<String>, limit: usize) -> Result<u8, Trouble> {
    let mut rows = kept(&filter, hook).await;
    rows.truncate(limit);
    let kept = rows.len();
    let listed = each(desk, filter, limit - kept, |row| {
        rows.push(row);
        Ok(())
    })
    .await;
    if listed.is_err() && kept > 0 {
        writeln!(anstream::stdout(), "{}", print::table(&rows))?;
    }
    let cut = listed?;
    writeln!(anstream::stdout(), "{}", print::table(&rows))?;
    if cut {
        writeln!(anstream::stderr(), "there are more than {limit}: give --limit, or -o json for all")?;
    }
    Ok(exit::DONE)
}

async fn as_json(desk: &Desk, filter: Filter, hook: Option<String>, limit: usize) -> Result<u8, Trouble> {
    let kept = kept(&filter, hook).await;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for row in kept.iter().take(limit) {
        writeln!(out, "{}", escape::json(&row.json()))?;
    }
    each(desk, filter, limit.saturating_sub(kept.len()), |row| Ok(writeln!(out, "{}", escape::json(&row.json()))?))
        .await?;
    out.flush()?;
    Ok(exit::DONE)
}

/// Answers whether there were more than `limit`.
async fn each(
    desk: &Desk,
    filter: Filter,
    limit: usize,
    mut take: impl FnMut(Row) -> Result<(), Trouble>,
) -> Result<bool, Trouble> {
    let session = desk.session().await?;
    let now = desk.now(&session);
    let mut scan = Scan::open(&session, desk.names(), filter, now).await?;
    let mut left = limit;
    while let Some(page) = desk.page(&mut scan).await? {
        for item in page {
            if left == 0 {
                return Ok(true);
            }
            left -= 1;
            take(Row::of(&item, now))?;
        }
    }
    Ok(false)
}
