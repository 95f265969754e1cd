//! `replay show`.

use std::io::Write as _;

use daemon::{Mistakes, escape, exit};

use super::{Format, Place, print, with_desk};
use crate::commands::Failure;
use crate::replay::id::Id;
use crate::replay::show::Portrait;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Entry id (in whatever stream) or workflow id
    id: Id,
    /// How it is printed; table: one page
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn main(args: Args) -> Result<u8, Failure> {
    let Args { id, output, place } = args;
    with_desk(place, None, Mistakes::new(), async |desk, _| {
        let session = desk.session().await?;
        let now = desk.now(&session);
        let Some(portrait) = Portrait::gather(&session, desk.names(), &id, now).await? else {
            writeln!(anstream::stderr(), "stream-dispatcher: nothing is known of {id}")?;
            return Ok(exit::FAILED);
        };
        let mut out = anstream::stdout();
        match output {
            Format::Table => write!(out, "{}", print::page(&portrait, now))?,
            Format::Json => writeln!(out, "{}", escape::json(&portrait.json(now)))?,
        }
        Ok(exit::DONE)
    })
    .await
}
