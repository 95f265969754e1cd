//! `replay list`.

use std::io::Write as _;

use daemon::{Mistakes, exit};

use super::{Desk, Filters, Format, Place, Trouble, print, with_desk};
use crate::commands::Failure;
use crate::replay::escape;
use crate::replay::filter::Filter;
use crate::replay::row::Row;
use crate::replay::scan::Scan;

/// Rows of a table unless told otherwise: a table is held in memory.
const TABLE_ROWS: usize = 1_000;

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
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { filters, limit, output, place } = args;
    with_desk(place, Some(&filters), Mistakes::new(), async |desk, filter| match output {
        Format::Table => as_table(desk, filter, limit.unwrap_or(TABLE_ROWS)).await,
        Format::Json => as_json(desk, filter, limit.unwrap_or(usize::MAX)).await,
    })
    .await
}

async fn as_table(desk: &Desk, filter: Filter, limit: usize) -> Result<u8, Trouble> {
    let mut rows = Vec::new();
    let cut = each(desk, filter, limit, |row| {
        rows.push(row);
        Ok(())
    })
    .await?;
    writeln!(anstream::stdout(), "{}", print::table(&rows))?;
    if cut {
        writeln!(anstream::stderr(), "there are more than {limit}: give --limit, or -o json for all")?;
    }
    Ok(exit::DONE)
}

async fn as_json(desk: &Desk, filter: Filter, limit: usize) -> Result<u8, Trouble> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    each(desk, filter, limit, |row| Ok(writeln!(out, "{}", escape::json(&row.json()))?)).await?;
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
