//! Reading a page of Markdown.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page's text, by its path from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// The cells of all table rows whose first cell is code, without the backticks of that cell.
pub(crate) fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.strip_prefix('|')?.strip_suffix('|')?;
        let mut cells: Vec<_> = inner.split('|').map(|cell| cell.trim().to_owned()).collect();
        let first = cells.first()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        *cells.first_mut()? = first;
        Some(cells)
    };
    page.lines().filter_map(cells).collect()
}

/// The part of a page below a heading, up to the next heading of the same or a higher level.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> Result<&'a str> {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let start = page.find(&format!("\n{heading}\n")).with_context(|| format!("no heading {heading:?}"))?;
    let body = page.get(start + heading.len() + 2..).unwrap_or_default();
    let end = (1..=level).filter_map(|level| body.find(&format!("\n{} ", "#".repeat(level)))).min();
    Ok(body.get(..end.unwrap_or(body.len())).unwrap_or_default())
}

/// The words between backticks.
pub(crate) fn code_words(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}
