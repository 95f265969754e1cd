//! Putting what was exported onto the stream, unless Redis knows it: by the hook's own script.

use std::sync::Arc;
use std::time::Duration;

use redis_stream::connection::Link;
use redis_stream::error::Error;

use super::did::{Did, NEWER, PATIENCE, twice};
use super::portable::Arrival;
use crate::dispatch::names::{KEEP_ARTIFACT, KEEP_FINAL, Names};
use crate::dispatch::scripts;
use crate::incident::{artifact_key, record_key};

/// A script that comes later than this, by Redis' clock, changes nothing.
const IN_TIME: Duration = Duration::from_secs(60);

/// Imports incidents.
pub struct Importer {
    /// The way to Redis.
    pub link: Link,
    /// Streams, group and keys.
    pub names: Arc<Names>,
}

impl Importer {
    /// What an import would do, in words.
    pub async fn preview(&self, arrival: &Arrival) -> Result<Did, Error> {
        let mut cmd = redis::Cmd::new();
        cmd.arg("HGET").arg(record_key(&arrival.order.workflow_id, &arrival.order.step)).arg("state");
        let reply = self.link.session(PATIENCE).await?.run(&cmd).await?;
        Ok(match redis_stream::value::text(&reply) {
            Some(state) => Did::Skipped(format!("known: {state}")),
            None => Did::Done("would go onto the stream".to_owned()),
        })
    }

    /// Imports one.
    pub async fn import(&self, arrival: &Arrival) -> Result<Did, Error> {
        let Arrival { order, artifact, .. } = arrival;
        let deadline =
            self.link.session(PATIENCE).await?.redis_now_ms() + i64::try_from(IN_TIME.as_millis()).unwrap_or(i64::MAX);
        let (key, text) = match artifact {
            Some((key, text)) => (key.clone(), text.as_str()),
            None => (artifact_key(&order.workflow_id), ""),
        };
        let call = scripts::PUBLISH
            .call()
            .key(record_key(&order.workflow_id, &order.step))
            .key(&self.names.group.stream)
            .key(key)
            .arg(&self.names.group.group)
            .number(deadline)
            .number(KEEP_FINAL.as_secs())
            .number(KEEP_ARTIFACT.as_secs())
            .arg(arrival.state)
            .arg(&arrival.message_id)
            .arg(&arrival.context_id)
            .arg(&arrival.task_id)
            .arg(&arrival.wire)
            .arg(&arrival.agent)
            .arg("stream")
            .arg(text)
            .number(0);
        let call = arrival.fields.iter().fold(call, |call, (name, value)| call.arg(name).arg(value));
        let words = twice(&self.link, &call).await?;
        Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["published", id] => Did::Done(format!("on the stream as {id}")),
            ["republished", id] => Did::Done(format!("known, but its entry was gone: on the stream as {id}")),
            ["duplicate", state] => Did::Skipped(format!("known: {state}")),
            ["newer"] => Did::Skipped(NEWER.to_owned()),
            ["expired"] => Did::Failed("Redis took too long; import it again".to_owned()),
            _ => return Err(Error::unexpected("script PUBLISH", &words)),
        })
    }
}
