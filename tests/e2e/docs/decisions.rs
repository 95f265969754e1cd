//! `docs/decisions.md` is the table that the program decides by.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use stream_dispatcher::dispatch::decision::Row;

use super::page;

const PAGE: &str = "docs/decisions.md";

fn table() -> Result<String> {
    let mut text = String::from("| row | when | what is done |\n|---|---|---|\n");
    for row in Row::ALL {
        writeln!(text, "| `{}` | {} | {} |", row.id(), row.when(), row.then())?;
    }
    Ok(text)
}

#[test]
fn the_page_of_decisions_is_the_table() -> Result<()> {
    let (page, table) = (page::read(PAGE)?, table()?);
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/decisions.md"), &table)?;
    ensure!(page.contains(&table), "the program decides by another table; take it over from target/tmp/decisions.md");
    Ok(())
}
