//! What eviction and people can take away.

use std::time::Duration;

use anyhow::Result;
use line_tests::line::{DEAD, GROUP, STREAM};

use super::{Effect, lasts, unknown};
use crate::schedule::Planned;
use crate::stage::Stage;

const WRONG_FOR: Duration = Duration::from_secs(2);
const DELETE: &str = "local n = 0 for _, key in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('DEL', key) end \
                      return n";

pub(super) async fn inject(stage: &mut Stage, planned: &Planned) -> Result<Effect> {
    let mut client = stage.master().await?;
    let pattern = match planned.kind.id {
        "stream-gone" => STREAM,
        "records-gone" => "incident:dispatch:*",
        "dead-gone" => DEAD,
        "parked-gone" => "incident:events:parked",
        "outcomes-gone" => "incident:outcomes",
        "texts-gone" => {
            client.cmd(&["DEL", "incident:routing"]).await?;
            "incident:artifact:*"
        }
        "group-gone" => {
            client.cmd(&["XGROUP", "DESTROY", STREAM, GROUP]).await?;
            return Ok(Effect::default());
        }
        "flushall" => {
            client.cmd(&["FLUSHALL"]).await?;
            return Ok(Effect::default());
        }
        "wrong-type" => {
            client.cmd(&["SET", STREAM, "not a stream"]).await?;
            lasts(WRONG_FOR).await;
            // Another connection: the master may have changed meanwhile.
            stage.master().await?.cmd(&["DEL", STREAM]).await?;
            return Ok(Effect::default());
        }
        _ => return unknown(planned),
    };
    let keys = client.cmd(&["EVAL", DELETE, "0", pattern]).await?.int()?;
    Ok(Effect::note(format!("{keys} keys")))
}
