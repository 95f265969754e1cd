//! A master that is there and refuses, or is slow.

use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::{Client, eventually_ok};

use super::{Effect, WHOLE, lasts, picked, unknown};
use crate::schedule::Planned;
use crate::stage::Stage;

const FOR: Duration = Duration::from_secs(3);
/// A pause of writes ends by itself: a short one, or one beyond every deadline.
const PAUSES: [u64; 3] = [3_000, 6_000, 22_000];
const RDB: &str = "dump.rdb";

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    let mut client = stage.master().await?;
    match planned.kind.id {
        "oom" => {
            let option = ["CONFIG", "SET", "maxmemory"];
            refused(&mut client, &[&option[..], &["1mb"]].concat(), &[&option[..], &["0"]].concat()).await?;
        }
        "noreplicas" => {
            let option = ["CONFIG", "SET", "min-replicas-to-write"];
            refused(&mut client, &[&option[..], &["3"]].concat(), &[&option[..], &["0"]].concat()).await?;
        }
        "noperm" => {
            let user = ["ACL", "SETUSER", "default"];
            refused(&mut client, &[&user[..], &["-xadd"]].concat(), &[&user[..], &["+@all"]].concat()).await?;
        }
        "misconf" => misconf(stage, &mut client).await?,
        "pause-write" => {
            let length = PAUSES.get(picked(planned.pick, PAUSES.len())).copied().unwrap_or(3_000);
            client.cmd(&["CLIENT", "PAUSE", &length.to_string(), "WRITE"]).await?;
            lasts(Duration::from_millis(length)).await;
            return Ok(Effect::note(format!("{} s", length / 1000)));
        }
        "sleep" => {
            client.cmd(&["DEBUG", "SLEEP", "0.6"]).await?;
        }
        _ => return unknown(planned),
    }
    Ok(Effect::default())
}

async fn refused(client: &mut Client, begin: &[&str], end: &[&str]) -> Result<()> {
    client.cmd(begin).await?;
    lasts(FOR).await;
    client.cmd(end).await.map(drop)
}

/// A folder where the RDB should be makes saving fail; Redis then refuses writes while it is to save by itself.
async fn misconf(stage: &mut Stage, client: &mut Client) -> Result<()> {
    let address = stage.trio.master_address().await?;
    let rdb = stage.trio.node(&address)?.folder().join(RDB);
    std::fs::remove_file(&rdb).ok();
    std::fs::create_dir(&rdb)?;
    client.cmd(&["CONFIG", "SET", "save", "3600 1000000"]).await?;
    client.cmd(&["BGSAVE"]).await?;
    eventually_ok("a save that fails", WHOLE, async || {
        let info = client.cmd(&["INFO", "persistence"]).await?;
        ensure!(info.text()?.contains("rdb_last_bgsave_status:err"), "the last save did not fail");
        Ok(())
    })
    .await?;
    lasts(FOR).await;
    client.cmd(&["CONFIG", "SET", "save", ""]).await?;
    std::fs::remove_dir(&rdb)?;
    Ok(())
}
