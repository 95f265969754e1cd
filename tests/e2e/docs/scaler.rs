//! `docs/scaler.md` names exactly the keys that a trigger may have, and the metrics.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use stream_scaler::trigger::KEYS;

use super::page;

const PAGE: &str = "docs/scaler.md";

#[test]
fn the_page_of_the_scaler_names_the_keys_of_the_metadata() -> Result<()> {
    let page = page::read(PAGE)?;
    let rows = page::rows(page::section(&page, "## Metadata")?);
    let (keys, metrics): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.len() == 3);
    for row in &keys {
        ensure!(row.iter().all(|cell| !cell.is_empty()), "{PAGE}: {row:?} lacks its default or its meaning");
    }
    let written: BTreeSet<_> = keys.iter().filter_map(|row| row.first()).map(String::as_str).collect();
    let known = BTreeSet::from(KEYS);
    ensure!(written == known, "only in {PAGE}: {:?}, only known: {:?}", &written - &known, &known - &written);
    let metrics: Vec<_> = metrics.iter().filter_map(|row| row.first()).map(String::as_str).collect();
    ensure!(metrics == ["backlog", "pending", "lag", "length", "age"], "{metrics:?}");
    Ok(())
}
