//! The matrix on real servers: all cases of a server at once, each with an agent of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use line_tests::{Agent, AgentKind, AgentOptions};

use super::case::{Case, Entry, Office, On};
use super::desk::{Desk, put_worn};
use super::play::play;
use super::table::cases;

#[tokio::test(flavor = "multi_thread")]
async fn every_case_on_the_sdk_of_0_3() -> Result<()> {
    play_all(AgentKind::V03).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_on_the_sdk_of_1_0() -> Result<()> {
    play_all(AgentKind::V10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_on_the_sdk_with_both_versions() -> Result<()> {
    play_all(AgentKind::V10Compat).await
}

async fn play_all(kind: AgentKind) -> Result<()> {
    let agent = Arc::new(Agent::start(kind, AgentOptions::default()).await?);
    let offices = [
        (Office::Usual, &[][..]),
        (Office::Strict, &[("MAX_ATTEMPTS", "2"), ("GIVE_UP_AFTER", "1s")]),
        (Office::Accepting, &[("ACK_ON", "accepted")]),
        (Office::Settling, &[("RESOLVED_SETTLES", "true")]),
    ];
    let played = join_all(offices.map(|(office, settings)| {
        let agent = Arc::clone(&agent);
        async move { play_office(&agent, kind, office, settings).await }
    }))
    .await;
    let failures: Vec<_> = played.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

async fn play_office(agent: &Arc<Agent>, kind: AgentKind, office: Office, settings: &[(&str, &str)]) -> Result<()> {
    let mut scenes: Vec<(Case, On)> = Vec::new();
    for case in cases().into_iter().filter(|case| case.office == office) {
        scenes.extend(case.on.iter().filter(|on| on.kind() == kind).map(|&on| (case.clone(), on)));
    }
    let desk =
        Desk::open(agent, &sections(&scenes), &[settings, &[("DISPATCHER_WORKERS", "300")]].concat(), async |books| {
            // Where nothing is routed, the default agent takes every step.
            books.0.cmd(&["HSET", "incident:routing", "another-step", "nobody"]).await?;
            for (case, on) in scenes.iter().filter(|(case, _)| case.entry == Entry::Worn) {
                let agent = case.agent(*on);
                put_worn(books, &agent, &format!("{agent}-0")).await?;
            }
            Ok(())
        })
        .await?;
    let ends = join_all(scenes.iter().map(|(case, on)| play(&desk, case, *on))).await;
    let mut failures = String::new();
    for error in ends.into_iter().filter_map(Result::err) {
        writeln!(failures, "{error:#}")?;
    }
    if !failures.is_empty() && desk.has_warned("had forgotten") {
        failures += "Redis forgot nothing, and a record was written back";
    }
    if !failures.is_empty() {
        bail!("{kind:?}, {office:?}:\n{failures}");
    }
    desk.counters_agree().await?;
    ensure!(!desk.has_warned("had forgotten"), "Redis forgot nothing, and a record was written back");
    let possible: usize = scenes.iter().map(|(case, _)| case.possible).sum();
    let counted = desk.worker.metric("dispatch_duplicate_possible_total", "").await?;
    ensure!(format!("{counted:.0}") == possible.to_string(), "{counted} possible second runs, not {possible}");
    Ok(())
}

fn sections(scenes: &[(Case, On)]) -> BTreeMap<String, String> {
    let section = |(case, on): &(Case, On)| {
        let version = if *on == On::Both03 { "version = \"0.3\"\n" } else { "" };
        (case.agent(*on), format!("{version}{}", case.profile))
    };
    scenes.iter().map(section).collect()
}
