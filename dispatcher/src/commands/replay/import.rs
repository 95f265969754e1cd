//! `replay import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::sync::Arc;

use daemon::{Mistakes, exit};

use super::change::confirmed;
use super::progress::Progress;
use super::{Desk, Manner, Place, Trouble, complain, named, with_desk};
use crate::commands::Failure;
use crate::replay::did::Did;
use crate::replay::import::Importer;
use crate::replay::portable::{Arrival, Portable};

/// Longest line, bytes; Redis takes no entry as long as this.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What `replay export` wrote, or - for the standard input
    file: String,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { file, manner, place } = args;
    let mut mistakes = Mistakes::new();
    if file == "-" && manner.asks() {
        mistakes.add("--yes", "nobody can be asked where the standard input is the file: give --yes or --dry-run");
    } else {
        manner.check(&mut mistakes);
    }
    with_desk(place, None, mistakes, async |desk, _| {
        if file == "-" {
            return import(desk, &mut BufReader::new(io::stdin()), &manner, None).await;
        }
        let total = count(&file).map_err(named(&file))?.min(manner.limit());
        if manner.asks() && !confirmed("Import", total)? {
            writeln!(anstream::stderr(), "nothing was changed")?;
            return Ok(exit::DONE);
        }
        import(desk, &mut BufReader::new(File::open(&file)?), &manner, Some(total)).await
    })
    .await
}

async fn import(desk: &Desk, lines: &mut impl BufRead, manner: &Manner, total: Option<usize>) -> Result<u8, Trouble> {
    let importer = Importer { link: desk.link.clone(), names: Arc::clone(desk.names()) };
    // A way to Redis first: what it is not there for counts as nothing done.
    desk.session().await?;
    let mut progress = Progress::new(("import", "imported"), manner, total);
    let taken = each(&importer, lines, &mut progress).await;
    progress.finish()?;
    match taken {
        Err(trouble) if progress.has_done() => {
            complain(&trouble);
            Ok(exit::PARTLY)
        }
        taken => taken.map(|()| progress.code()),
    }
}

/// One bad line does not stop the others.
async fn each(importer: &Importer, lines: &mut impl BufRead, progress: &mut Progress) -> Result<(), Trouble> {
    let mut number = 0_u64;
    while let Some(line) = next_line(lines)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if !progress.turn().await {
            break;
        }
        match Portable::parse(&line).and_then(Portable::arrival) {
            Ok(arrival) => {
                let did = take(importer, &arrival, progress.is_preview()).await?;
                progress.report(&arrival.order.workflow_id, &did)?;
            }
            Err(why) => progress.report(&format!("line {number}"), &Did::Failed(why))?,
        }
    }
    Ok(())
}

async fn take(importer: &Importer, arrival: &Arrival, preview: bool) -> Result<Did, Trouble> {
    Ok(if preview { importer.preview(arrival).await? } else { importer.import(arrival).await? })
}

/// The next line; `None` at the end.
fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.len() as u64 == LONGEST_LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long; is it the right file?"));
    }
    Ok((!line.is_empty()).then_some(line))
}

fn count(file: &str) -> io::Result<usize> {
    let mut lines = BufReader::new(File::open(file)?);
    let mut count = 0;
    while let Some(line) = next_line(&mut lines)? {
        count += usize::from(!line.trim_ascii().is_empty());
    }
    Ok(count)
}
