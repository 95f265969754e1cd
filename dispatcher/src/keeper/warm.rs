//! Keeps what the line needs from eviction: `allkeys-lru` takes the keys that nobody has touched for longest
//! (<https://redis.io/docs/latest/develop/reference/eviction/>). Records are touched by renewals.

use std::time::Duration;

use redis::Pipeline;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::value;
use tokio_util::sync::CancellationToken;

use super::Keeper;
use crate::dispatch::names::{Names, OUTCOMES};

const EVERY: Duration = Duration::from_secs(10);
/// Waiting streams that are touched at most.
const MOST_WAITING: usize = 1_000;

/// Runs until `stop`.
pub(super) async fn run(keeper: Keeper, stop: CancellationToken) {
    let (mut failing, mut waiting) = (false, Vec::new());
    loop {
        let work = keeper.round("the keys are not kept warm", &mut failing, async |session| {
            waiting = touch(&session, &keeper.names, &waiting).await?;
            Ok(())
        });
        tokio::select! {
            () = async { work.await; tokio::time::sleep(EVERY).await } => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One round trip. `waiting`: the waiting streams as the last one answered them. A key that is not there is none.
pub async fn touch(session: &Session, names: &Names, waiting: &[String]) -> Result<Vec<String>, Error> {
    let set = names.waiting_set();
    let fixed = [&names.group.stream, &names.dead_letters, &names.parked, &names.routing, &set];
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("TOUCH").arg(OUTCOMES).arg(&fixed).arg(waiting);
    pipeline.cmd("SMEMBERS").arg(&set);
    let mut replies = session.pipe(&pipeline).await?.into_iter();
    let mut next = || replies.next().unwrap_or_else(|| Err(Error::unexpected("TOUCH", &"too few answers")));
    next()?;
    let members = next()?;
    let streams = value::items(&members).unwrap_or_default().iter().filter_map(value::text);
    // Whatever else somebody put into the set is not ours to keep.
    let ours = streams.filter(|stream| names.agent_of(stream).is_some());
    Ok(ours.take(MOST_WAITING).map(ToOwned::to_owned).collect())
}
