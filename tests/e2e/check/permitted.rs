//! Permissions: the users of `docs/operating.md` suffice, and what is missing is named.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use line_tests::Redis;
use line_tests::line::DATABASE;
use stream_dispatcher::check::access::{Role, commands};

use super::counter::{MARKER, agent, check, server, without_redis};

/// The line of the page that defines a user, with [`MARKER`] as the password.
fn user(name: &str) -> Result<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md"))?;
    let begin = format!("user {name} ");
    let line = page.lines().find(|line| line.starts_with(&begin)).with_context(|| format!("no user {name}"))?;
    Ok(line.replace(">PASSWORD", &format!(">{MARKER}")))
}

const USERS: [(&str, &str, Role); 3] = [
    ("hook", "incident-hook", Role::Hook),
    ("work", "incident-worker", Role::Work),
    ("scaler", "incident-scaler", Role::Scaler),
];

fn as_user(redis: &Redis, name: &str) -> Vec<(&'static str, String)> {
    vec![
        ("REDIS_URL", format!("redis://{}/{DATABASE}", redis.address())),
        ("REDIS_USERNAME", name.to_owned()),
        ("REDIS_PASSWORD", MARKER.to_owned()),
    ]
}

#[test]
fn the_commands_asked_for_are_those_of_the_page() -> Result<()> {
    for (_, name, role) in USERS {
        let line = user(name)?;
        let page: BTreeSet<&str> = line.split(' ').filter_map(|word| word.strip_prefix('+')).collect();
        let asked: BTreeSet<&str> = commands(role).collect();
        ensure!(page == asked, "{name}: only on the page {:?}, only asked for {:?}", &page - &asked, &asked - &page);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_the_page_suffice_and_a_missing_command_is_named() -> Result<()> {
    let agent = agent().await?;
    let lines = USERS.iter().map(|(_, name, _)| user(name)).collect::<Result<Vec<_>>>()?;
    let redis = server(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let agents = without_redis(&agent);
    for (role, name, _) in USERS {
        let settings = [as_user(&redis, name), agents.clone()].concat();
        let said = check(&["--for", role, "-o", "json"], &settings).await?;
        ensure!(said.code == 0 && said.amiss()?.is_empty(), "{role}: {said:?}");
        said.expect("ok", "permissions", &[name])?;
    }
    let settings = [as_user(&redis, "incident-worker"), agents].concat();
    let mut client = redis.client().await?;
    client.cmd(&["ACL", "SETUSER", "incident-worker", "-xautoclaim", "-hsetnx"]).await?;
    let said = check(&["--for", "work", "-o", "json"], &settings).await?;
    ensure!(said.code == 1 && said.amiss()? == ["permissions"], "{said:?}");
    said.expect("problem", "permissions", &["HSETNX, XAUTOCLAIM", "ACL SETUSER incident-worker +hsetnx +xautoclaim"])?;

    // Who may ask about users is told the same without trying.
    client.cmd(&["ACL", "SETUSER", "incident-worker", "+acl|dryrun", "resetkeys", "~incident:events*"]).await?;
    let said = check(&["--for", "work", "-o", "json"], &settings).await?;
    said.expect("problem", "permissions", &["may not run HSETNX, XAUTOCLAIM", "+hsetnx +xautoclaim"])?;
    said.expect(
        "problem",
        "keys",
        &["incident:routing", "incident:dispatch:", "ACL SETUSER incident-worker ~incident:*"],
    )
}
