//! Brings entries back from waiting streams: as many as their agents have room for, one to try an agent that is
//! closed. All workers do so; the script makes it one probe and one rate for the group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Cmd;
use redis_stream::connection::Session;
use redis_stream::error::Error;
use redis_stream::value;

use super::crew::Crew;
use crate::dispatch::{gate, record};

const EVERY: Duration = Duration::from_secs(1);
/// From one search for forgotten waiting streams to the next.
const SEARCH_EVERY: Duration = Duration::from_secs(300);
/// Streams of one round trip at most.
const BATCH: usize = 100;
/// Keys looked at in one step of a search.
const SCAN_COUNT: u32 = 1_000;

/// Runs until the soft stop.
pub async fn run(crew: Arc<Crew>) {
    let mut searched: Option<(u64, Instant)> = None;
    loop {
        let pause = EVERY.mul_f64(0.75 + 0.5 * fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = crew.room.notified() => {}
            () = crew.stops.soft.cancelled() => return,
        }
        let Some(session) = crew.link.current() else { continue };
        if searched.is_none_or(|(id, at)| id != session.id() || at.elapsed() >= SEARCH_EVERY) {
            match find_forgotten(&crew, &session).await {
                Ok(()) => searched = Some((session.id(), Instant::now())),
                Err(error) => report(&crew, &error),
            }
        }
        if let Err(error) = round(&crew, &session).await {
            report(&crew, &error);
        }
    }
}

fn report(crew: &Crew, error: &Error) {
    crew.metrics.redis_error(error.class());
    tracing::warn!(%error, "waiting entries are not brought back");
}

async fn round(crew: &Crew, session: &Session) -> Result<(), Error> {
    let mut cmd = Cmd::new();
    cmd.arg("SMEMBERS").arg(crew.names.waiting_set());
    let members = session.run(&cmd).await?;
    let agents: Vec<String> = value::items(&members)
        .unwrap_or_default()
        .iter()
        .filter_map(|waiting| crew.names.agent_of(value::text(waiting)?))
        .collect();
    let mut waiting = 0;
    for agents in agents.chunks(BATCH) {
        let calls: Vec<_> = agents.iter().map(|agent| back(crew, agent)).collect();
        for (agent, reply) in agents.iter().zip(session.invoke_all(&calls).await?) {
            match reply.map(|reply| record::words(&reply)) {
                Ok(words) => {
                    announce(agent, &words);
                    waiting += words.get(1).and_then(|left| left.parse::<u64>().ok()).unwrap_or(0);
                }
                Err(error) => report(crew, &error),
            }
        }
    }
    crew.metrics.waiting(waiting);
    Ok(())
}

fn back<'a>(crew: &Crew, agent: &str) -> redis_stream::script::Call<'a> {
    let limits = crew.agents.profile(agent).limits;
    gate::back(&crew.names, agent, limits, crew.lease, crew.give_up_after)
}

fn announce(agent: &str, words: &[String]) {
    if let [came, left] = words
        && came != "0"
    {
        tracing::info!(agent, came, left, "brought back from waiting");
    }
}

/// Eviction or a failover can take the set that lists the waiting streams and leave the streams.
async fn find_forgotten(crew: &Crew, session: &Session) -> Result<(), Error> {
    let pattern = format!("{}:*", glob_escaped(&crew.names.waiting_set()));
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = Cmd::new();
        scan.arg("SCAN").arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT).arg("TYPE").arg("stream");
        let reply = session.run(&scan).await?;
        let [next, keys] = value::items(&reply).unwrap_or_default() else {
            return Err(Error::unexpected("SCAN", &reply));
        };
        let keys = value::items(keys).unwrap_or_default().iter().filter_map(value::text);
        let keys: Vec<_> = keys.filter(|key| crew.names.agent_of(key).is_some()).collect();
        if !keys.is_empty() {
            let mut add = Cmd::new();
            add.arg("SADD").arg(crew.names.waiting_set()).arg(&keys);
            if value::int(&session.run(&add).await?).is_some_and(|added| added > 0) {
                tracing::warn!("Redis had forgotten which agents have waiting entries; found again");
            }
        }
        match value::text(next) {
            Some("0") | None => return Ok(()),
            Some(next) => next.clone_into(&mut cursor),
        }
    }
}

/// A name as a pattern that means itself.
fn glob_escaped(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::glob_escaped;

    #[test]
    fn a_name_means_itself() {
        assert_eq!(glob_escaped("incident:events"), "incident:events");
        assert_eq!(glob_escaped("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }
}
