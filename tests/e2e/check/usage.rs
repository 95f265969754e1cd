//! Exit codes, the two forms of the output, the agents' credentials.

use anyhow::{Context, Result, ensure};
use line_tests::{Agent, AgentKind, AgentOptions};

use super::counter::{MARKER, agent, check, json, server, settings, without_redis};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_64_and_no_redis_is_the_hook_s_alone() -> Result<()> {
    let bad = [("MIN_IDLE_MS", "x".to_owned()), ("A2A_VERSION", "9".to_owned())];
    let said = check(&[], &bad).await?;
    ensure!(said.code == 64 && said.out.is_empty(), "{said:?}");
    for word in ["MIN_IDLE_MS", "A2A_VERSION", "REDIS_SENTINELS"] {
        ensure!(said.err.contains(word), "{word}: {said:?}");
    }
    ensure!(check(&["--for", "nobody"], &[]).await?.code == 64);
    let agent = agent().await?;
    let alone = without_redis(&agent);
    let said = check(&["--for", "hook", "-o", "json"], &alone).await?;
    ensure!(said.code == 0 && said.amiss()? == ["no-redis"], "{said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_say_the_same() -> Result<()> {
    let (redis, agent) = (server(&["maxmemory 0"]).await?, agent().await?);
    let mut settings = settings(&redis, &agent);
    settings.push(("GIVE_UP_AFTER", "10s".to_owned()));
    let (text, document) = (check(&[], &settings).await?, json(&settings).await?);
    ensure!(text.code == 0 && document.code == 0 && text.err.is_empty(), "{text:?}");
    ensure!(!text.out.contains('\u{1b}'), "no colours in a file: {}", text.out);
    for (level, id, _) in document.findings()? {
        let line = text.out.lines().find(|line| line.split_whitespace().take(2).eq([level.as_str(), id.as_str()]));
        line.with_context(|| format!("{level} {id} is missing in {}", text.out))?;
    }
    document.expect("warning", "give-up-after", &["24h"])?;
    let document = document.document()?;
    let summary = format!(
        "check: ok={} warnings={} problems=0 skipped=0",
        document["ok"].as_u64().context("ok")?,
        document["warnings"].as_u64().context("warnings")?
    );
    ensure!(text.out.lines().last() == Some(&*summary), "{summary}: {}", text.out);
    ensure!(document["version"] == 1 && document["for"] == "all" && document["exit_code"] == 0, "{document}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_refuses_the_token_is_a_problem() -> Result<()> {
    let redis = server(&[]).await?;
    let token = Some("right".to_owned());
    let agent = Agent::start(AgentKind::V03, AgentOptions { token, ..AgentOptions::default() }).await?;
    let mut settings = settings(&redis, &agent);
    settings.push(("INTERNAL_A2A_BEARER_TOKEN", MARKER.to_owned()));
    let said = json(&settings).await?;
    ensure!(said.code == 1 && said.amiss()? == ["agent"], "{said:?}");
    said.expect("problem", "agent", &["401", "INTERNAL_A2A_BEARER_TOKEN_FILE"])?;
    settings.pop();
    settings.push(("INTERNAL_A2A_BEARER_TOKEN", "right".to_owned()));
    settings.push(("A2A_VERSION", "1.0".to_owned()));
    let said = json(&settings).await?;
    said.expect("warning", "card", &["0.3", "A2A_VERSION is 1.0"])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_the_outbox_is_tried() -> Result<()> {
    let agent = agent().await?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let at = |path: &str| {
        let mut settings = without_redis(&agent);
        settings.retain(|(name, _)| *name != "OUTBOX_PATH");
        settings.push(("OUTBOX_PATH", path.to_owned()));
        settings
    };
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let said = check(&["--for", "hook", "-o", "json"], &at(&path("outbox.redb"))).await?;
    ensure!(said.code == 0 && said.amiss()? == ["no-redis"], "{said:?}");
    said.expect("ok", "outbox", &["not there yet"])?;
    said.expect("ok", "space", &["MiB are free"])?;
    ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "something is left behind");
    std::fs::create_dir(path("folder"))?;
    let said = check(&["--for", "hook", "-o", "json"], &at(&path("folder"))).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("problem", "outbox", &["not a file", "OUTBOX_PATH"])?;
    let said = check(&["--for", "hook", "-o", "json"], &at(&path("nowhere/outbox.redb"))).await?;
    ensure!(said.code == 0, "{said:?}");
    said.expect("warning", "outbox", &["not there", "mount the volume"])?;
    let said = check(&["--for", "hook", "-o", "json"], &at("/proc/outbox.redb")).await?;
    ensure!(said.code == 1, "{said:?}");
    said.expect("problem", "fsync", &["nothing can be written"])?;
    let said = check(&["--for", "hook", "-o", "json"], &at("")).await?;
    said.expect("warning", "outbox", &["OUTBOX_PATH is not set"])
}
