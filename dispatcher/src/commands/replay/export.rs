//! `replay export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use daemon::{Mistakes, exit};
use redis::Cmd;
use redis_stream::value;

use super::{Desk, Filters, Place, Trouble, named, with_desk};
use crate::commands::Failure;
use crate::replay::filter::{Filter, Now};
use crate::replay::item::Item;
use crate::replay::portable::{Portable, artifact_key, is_portable};
use crate::replay::scan::Scan;

/// Longest message text that is kept under a key, bytes; longer ones are not handed to agents either.
const LONGEST_TEXT: usize = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that is not there yet, or - for the standard output
    file: String,
    #[command(flatten)]
    filters: Filters,
    /// At most this many
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<usize>,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { file, filters, limit, place } = args;
    with_desk(place, Some(&filters), Mistakes::new(), async |desk, filter| {
        let limit = limit.unwrap_or(usize::MAX);
        if file == "-" {
            let count = export(desk, filter, limit, &mut BufWriter::new(io::stdout().lock())).await?;
            writeln!(anstream::stderr(), "replay: exported={count}")?;
            return Ok(exit::DONE);
        }
        // Alerts can say what not everybody may know.
        let mut out =
            BufWriter::new(File::options().write(true).create_new(true).mode(0o600).open(&file).map_err(named(&file))?);
        let exported = export(desk, filter, limit, &mut out).await;
        let exported = exported.and_then(|count| out.get_ref().sync_all().map(|()| count).map_err(Trouble::from));
        if exported.is_err() {
            // Half a file would be taken for a whole one.
            std::fs::remove_file(&file)?;
        }
        writeln!(anstream::stdout(), "replay: exported={}", exported?)?;
        Ok(exit::DONE)
    })
    .await
}

/// Writes what is meant; how many there were.
async fn export(desk: &Desk, filter: Filter, limit: usize, out: &mut impl Write) -> Result<usize, Trouble> {
    let session = desk.session().await?;
    let now = desk.now(&session);
    let mut scan = Scan::open(&session, desk.names(), filter, now).await?;
    let mut count = 0;
    while let Some(page) = desk.page(&mut scan).await? {
        for item in page.into_iter().filter(is_portable) {
            if count == limit {
                break;
            }
            writeln!(out, "{}", line(desk, &item, now).await?)?;
            count += 1;
        }
        if count == limit {
            break;
        }
    }
    out.flush()?;
    Ok(count)
}

async fn line(desk: &Desk, item: &Item, now: Now) -> Result<String, Trouble> {
    let mut artifact = None;
    if let Some(key) = artifact_key(item) {
        let mut cmd = Cmd::new();
        cmd.arg("GETRANGE").arg(key).arg(0).arg(LONGEST_TEXT - 1);
        let text = desk.session().await?.run(&cmd).await?;
        artifact = value::text(&text).filter(|text| !text.is_empty()).map(str::to_owned);
    }
    Ok(Portable::of(item, now.state(&item.place), artifact).line())
}
