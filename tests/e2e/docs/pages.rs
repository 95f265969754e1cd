//! What holds for all pages: links lead somewhere, and every script is described.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::page;

/// Folders with pages, from the root.
const FOLDERS: [&str; 5] = ["", "docs", "deploy", "a2a", "tests/agents"];
/// Folders with scripts, and the parts that are no scripts of their own.
const SCRIPTS: [&str; 2] = ["dispatcher/src/dispatch/scripts", "stream/src/scripts"];
const PARTS: [&str; 3] = ["prelude", "start_again", "agent"];

/// The anchor that a heading has on the usual sites.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    heading
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

#[test]
fn every_link_between_pages_leads_somewhere() -> Result<()> {
    let mut seen = 0;
    for folder in FOLDERS {
        for file in std::fs::read_dir(page::root().join(folder))? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            for link in links(&text).filter(|link| !link.contains("://")) {
                let (file, heading) =
                    link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
                let target = if file.is_empty() { path.clone() } else { path.with_file_name("").join(file) };
                ensure!(target.exists(), "{}: {link} leads nowhere", path.display());
                if let Some(heading) = heading {
                    let text = std::fs::read_to_string(&target)?;
                    let found = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                    ensure!(found, "{}: {link} is no heading", path.display());
                }
                seen += 1;
            }
        }
    }
    ensure!(seen > 10, "only {seen} links were found");
    Ok(())
}

#[test]
fn every_script_is_described_and_nothing_else() -> Result<()> {
    let mut scripts = BTreeSet::new();
    for folder in SCRIPTS {
        for file in std::fs::read_dir(page::root().join(folder))? {
            let name = file?.path().file_stem().context("a file without a name")?.to_string_lossy().into_owned();
            scripts.extend(Some(name).filter(|name| !PARTS.contains(&&**name)));
        }
    }
    let text = page::read("docs/records.md")?;
    let described =
        page::rows(page::section(&text, "## Scripts")?).into_iter().filter_map(|row| row.into_iter().next());
    let described: BTreeSet<_> = described.collect();
    ensure!(described == scripts, "docs/records.md describes {described:?}, there are {scripts:?}");
    Ok(())
}
