//! Shortens the stream by what was taken care of long ago. Dead letters and parked incidents are an operator's.

use std::time::Duration;

use redis::Value;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::script::Call;
use redis_stream::value;
use tokio_util::sync::CancellationToken;

use super::Keeper;
use crate::dispatch::names::Names;
use crate::dispatch::scripts;

const EVERY: Duration = Duration::from_secs(60);
/// Entries of one call at most: Redis serves nobody else meanwhile.
const AT_ONCE: u32 = 10_000;
/// Calls of one round at most.
const CALLS: usize = 10;

/// Runs until `stop`.
pub(super) async fn run(keeper: Keeper, keep: Duration, stop: CancellationToken) {
    let (mut failing, mut told) = (false, String::new());
    loop {
        let work = keeper.round("the stream is not trimmed", &mut failing, async |session| {
            let held_by = round(&keeper, &session, keep).await?;
            if held_by != told {
                if !held_by.is_empty() {
                    tracing::info!(group = held_by, ?keep, "older entries stay in the stream: this group needs them");
                }
                told = held_by;
            }
            Ok(())
        });
        let pause = EVERY.mul_f64(0.75 + 0.5 * fastrand::f64());
        tokio::select! {
            () = async { work.await; tokio::time::sleep(pause).await } => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Answers which group keeps more from being removed; empty: none does.
async fn round(keeper: &Keeper, session: &Session, keep: Duration) -> Result<String, Error> {
    let mut held_by = String::new();
    for _ in 0..CALLS {
        let reply = session.invoke(&trim(&keeper.names, keep, AT_ONCE)).await?;
        let (removed, group) = trimmed(&reply)?;
        keeper.metrics.trimmed(removed);
        held_by = group;
        if removed == 0 {
            break;
        }
    }
    Ok(held_by)
}

/// The call of `trim`; at most `most` entries go.
pub fn trim<'a>(names: &Names, keep: Duration, most: u32) -> Call<'a> {
    scripts::TRIM.call().key(&names.group.stream).number(keep.as_millis()).number(most)
}

/// Reads the answer of `trim`: how many entries are gone, and which group needs more that is as old; empty: none.
pub fn trimmed(reply: &Value) -> Result<(u64, String), Error> {
    let unexpected = || Error::unexpected("script TRIM", reply);
    let [removed, group] = value::items(reply).ok_or_else(unexpected)? else { return Err(unexpected()) };
    let removed = value::int(removed).and_then(|count| u64::try_from(count).ok()).ok_or_else(unexpected)?;
    Ok((removed, String::from_utf8_lossy(value::bytes(group).unwrap_or_default()).into_owned()))
}
