//! Sentinels: all well, degraded, refused, unknown names.

use anyhow::{Result, ensure};
use line_tests::{Agent, Trio, TrioOptions};

use super::counter::{MARKER, agent, check, good, json, without_redis};

fn of_trio(trio: &Trio, agent: &Agent) -> Vec<(&'static str, String)> {
    let sentinels = ("REDIS_SENTINELS", trio.sentinels().join(","));
    std::iter::once(sentinels).chain(without_redis(agent)).collect()
}

fn secrets() -> [(&'static str, String); 2] {
    ["REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"].map(|name| (name, MARKER.to_owned()))
}

async fn trio(password: Option<&str>) -> Result<Trio> {
    let mut config = good();
    config.extend(["min-replicas-to-write 1", "min-replicas-max-lag 10"].map(str::to_owned));
    let (password, sentinel_password) = (password.map(str::to_owned), password.map(str::to_owned));
    Trio::start(TrioOptions { config, password, sentinel_password, ..TrioOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_trio_has_nothing_to_mend_and_one_sentinel_less_is_degraded() -> Result<()> {
    let (mut trio, agent) = (trio(Some(MARKER)).await?, agent().await?);
    let mut settings = of_trio(&trio, &agent);
    settings.extend(secrets());
    let said = json(&settings).await?;
    ensure!(said.code == 0 && said.amiss()?.is_empty(), "{said:?}");
    said.expect("ok", "count", &["3 Sentinels"])?;
    said.expect("ok", "quorum", &["3 usable"])?;
    said.expect("ok", "replicas", &["2 of 2"])?;
    said.expect("ok", "replica", &["127.0.0.1:"])?;
    said.expect("ok", "persistence", &["everysec"])?;
    said.expect("ok", "agent", &["lists its tasks"])?;
    said.expect("ok", "card", &["1.0"])?;

    // One is configured, the others are named by it.
    let one = trio.sentinels().swap_remove(0);
    settings.retain(|(name, _)| *name != "REDIS_SENTINELS");
    settings.push(("REDIS_SENTINELS", one));
    trio.sentinel_nodes()[2].kill9().await?;
    let said = json(&settings).await?;
    ensure!(said.code == 0, "{said:?}");
    said.expect("warning", "sentinel", &["refused", "sentinel announce-ip"])?;
    said.expect("warning", "count", &["degraded: 1 of 3"])?;
    ensure!(check(&["--strict"], &settings).await?.code == 1);

    trio.stop_all_sentinels().await?;
    let said = json(&settings).await?;
    ensure!(said.code == 69, "{said:?}");
    said.expect("problem", "sentinel", &["start Sentinel"])?;
    said.expect("skipped", "connect", &["no Sentinel names a master"])
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_names_are_problems_with_their_settings() -> Result<()> {
    let (trio, agent) = (trio(Some("right")).await?, agent().await?);
    let right = |name| (name, "right".to_owned());
    let rows = [
        (
            vec![right("REDIS_SENTINEL_PASSWORD"), ("REDIS_PASSWORD", MARKER.to_owned())],
            "connect",
            "REDIS_PASSWORD_FILE",
        ),
        (
            vec![right("REDIS_PASSWORD"), ("REDIS_SENTINEL_PASSWORD", MARKER.to_owned())],
            "sentinel",
            "REDIS_SENTINEL_PASSWORD_FILE",
        ),
        (vec![right("REDIS_SENTINEL_PASSWORD")], "connect", "REDIS_PASSWORD_FILE"),
        (
            vec![right("REDIS_SENTINEL_PASSWORD"), ("REDIS_SENTINEL_MASTER_NAME", "other".to_owned())],
            "master-name",
            "it knows mymaster",
        ),
    ];
    for (extra, id, words) in rows {
        let settings = [of_trio(&trio, &agent), extra].concat();
        let said = json(&settings).await?;
        ensure!(said.code == 1, "{said:?}");
        said.expect("problem", id, &[words])?;
    }
    Ok(())
}
