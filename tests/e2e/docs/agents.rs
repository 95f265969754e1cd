//! `docs/agents.md` and the settings file of the manifests: the program accepts every example, and the table of keys
//! is what it knows.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::Program;

use super::page;

const PAGE: &str = "docs/agents.md";
const EXAMPLE: &str = "deploy/kustomize/base/agents.toml";
const PATIENCE: Duration = Duration::from_secs(15);
/// Where the examples' tokens are; it does not exist here.
const SECRETS: &str = "/run/secrets/stream-dispatcher/";
const TOKEN: &str = "a2a-token";
/// Keys whose values are words, and a value that is none of them.
const WORDS: [&str; 4] = ["mode", "recovery", "context", "on_uncertain"];
const NONSENSE: &str = "nonsense";

/// What a worker without a Redis says to a settings file: the mistakes, one a line.
async fn mistakes(config: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(TOKEN), "token")?;
    let secrets = folder.path().to_str().context("an odd folder")?;
    let file = folder.path().join("agents.toml");
    std::fs::write(&file, config.replace(SECRETS, &format!("{secrets}/")))?;
    said(&file).await
}

async fn said(file: &Path) -> Result<Vec<String>> {
    let file = file.to_str().context("an odd path")?;
    let mut program = Program::start("stream-dispatcher", &["work", "--config", file], &[])?;
    let code = program.exit_code(PATIENCE).await?;
    ensure!(code == 64, "it ended with {code}: {}", program.tail());
    // Below a heading.
    let (redis, others): (Vec<_>, Vec<_>) =
        program.log().lines().skip(1).map(str::to_owned).partition(|line| line.starts_with("REDIS_SENTINEL_HOST "));
    ensure!(redis.len() == 1, "the mistake that ends it is not there: {}", program.tail());
    Ok(others)
}

/// The examples of the page.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(example, _)| example).collect()
}

/// A file with the signs taken away from what is no prose.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn the_program_accepts_every_example() -> Result<()> {
    let (page, example) = (page::read(PAGE)?, page::read(EXAMPLE)?);
    let everything = uncommented(&example);
    ensure!(everything.matches("\n[agents.").count() >= 3, "the examples in {EXAMPLE} were not found: {everything}");
    let mut examples = examples(&page);
    ensure!(examples.len() >= 5, "only {} examples were found", examples.len());
    examples.extend([example.as_str(), everything.as_str()]);
    for example in examples {
        ensure!(example.contains('['), "not an example: {example}");
        let mistakes = mistakes(example).await?;
        ensure!(mistakes.is_empty(), "{mistakes:#?} in\n{example}");
    }
    Ok(())
}

/// The keys that the program says there are.
async fn known() -> Result<BTreeSet<String>> {
    let mistakes = mistakes("[defaults]\nnonsense = 1\n").await?;
    let [mistake] = mistakes.as_slice() else { anyhow::bail!("{mistakes:?}") };
    let (_, keys) = mistake.split_once("there are ").with_context(|| mistake.clone())?;
    Ok(keys.split(", ").map(|key| key.trim().to_owned()).collect())
}

#[tokio::test]
async fn the_page_of_agents_has_every_key_and_nothing_else() -> Result<()> {
    let page = page::read(PAGE)?;
    let table = page::rows(page::section(&page, "## The settings file")?);
    let written: BTreeSet<_> = table.iter().filter_map(|row| row.first().cloned()).collect();
    ensure!(written.len() == table.len(), "a key stands there twice");
    ensure!(written == known().await?, "the page has {written:?}, the program {:?}", known().await?);
    for key in WORDS {
        let row = table.iter().find(|row| row.first().is_some_and(|first| first == key)).context(key)?;
        let written: BTreeSet<_> = page::code_words(row.get(1).context(key)?).collect();
        let mistakes = mistakes(&format!("[defaults]\n{key} = {NONSENSE:?}\n")).await?;
        let [mistake] = mistakes.as_slice() else { anyhow::bail!("{key}: {mistakes:?}") };
        let (_, words) = mistake.split_once("; accepted: ").with_context(|| mistake.clone())?;
        let accepted: BTreeSet<_> = words.split(", ").map(|word| word.trim().to_owned()).collect();
        ensure!(written == accepted, "{key}: the page has {written:?}, the program {accepted:?}");
    }
    Ok(())
}

/// What the table says of numbers and words besides.
#[tokio::test]
async fn the_limits_of_the_page_are_those_of_the_program() -> Result<()> {
    for good in ["max_runs = 1", "max_runs = 100000", "max_runs_per_hour = \"off\"", "max_runs_per_hour = 1000000"] {
        let mistakes = mistakes(&format!("[defaults]\n{good}\n")).await?;
        ensure!(mistakes.is_empty(), "{good}: {mistakes:?}");
    }
    for bad in ["max_runs = 0", "max_runs = 100001", "max_runs_per_hour = 1000001", "version = \"0.2\""] {
        let mistakes = mistakes(&format!("[defaults]\n{bad}\n")).await?;
        ensure!(mistakes.len() == 1, "{bad}: {mistakes:?}");
    }
    Ok(())
}
