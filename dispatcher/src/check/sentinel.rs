//! Looks at every Sentinel, the configured ones and those that they name.

mod judge;

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Value;
use redis_stream::endpoint::{Endpoint, HostPort};
use redis_stream::error::Error;
use redis_stream::probe::Probe;
use redis_stream::sentinel::{Report, elect};
use redis_stream::value;

pub use judge::judge;

/// No more Sentinels than the programs follow.
const MOST: usize = 16;

/// What one Sentinel says.
#[derive(Debug, Clone)]
pub struct Word {
    /// The master it names, if it knows the name.
    pub report: Report,
    /// Its view of the master; absent where it does not know the name.
    pub view: Option<View>,
    /// Names that it knows, where it may be asked.
    pub names: Vec<String>,
    /// Whether a failover could be agreed on (`SENTINEL CKQUORUM`): its words, or its refusal; absent if it may not be asked.
    pub quorum: Option<Result<String, String>>,
}

/// How a Sentinel is set up for the master (`SENTINEL MASTER`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// It considers the master down.
    pub down: bool,
    /// All Sentinels of this master, itself included.
    pub sentinels: i64,
    /// Milliseconds.
    pub down_after_ms: i64,
    /// Milliseconds.
    pub failover_timeout_ms: i64,
}

/// One Sentinel and what came of asking it.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Where.
    pub address: HostPort,
    /// It stands in the settings.
    pub configured: bool,
    /// Its answer.
    pub word: Result<Word, Error>,
}

/// Asks all of them at once, then those that they named.
pub async fn look(endpoint: &Endpoint, configured: &[HostPort], master: &str, within: Duration) -> Vec<Sight> {
    let mut known: BTreeSet<HostPort> = configured.iter().take(MOST).cloned().collect();
    let (mut sights, peers) = ask_all(endpoint, known.iter().cloned().collect(), master, within, true).await;
    let new: Vec<_> = peers.into_iter().filter(|peer| !known.contains(peer)).take(MOST - known.len()).collect();
    known.extend(new.iter().cloned());
    sights.extend(ask_all(endpoint, new, master, within, false).await.0);
    sights
}

/// Whom they name, by the rule that the programs follow.
pub fn master(sights: &[Sight]) -> Option<HostPort> {
    let reports = sights.iter().filter_map(|sight| sight.word.as_ref().ok()).map(|word| &word.report);
    elect(reports, sights.len()).map(|verdict| verdict.master)
}

async fn ask_all(
    endpoint: &Endpoint,
    addresses: Vec<HostPort>,
    master: &str,
    within: Duration,
    configured: bool,
) -> (Vec<Sight>, BTreeSet<HostPort>) {
    let mut asking = tokio::task::JoinSet::new();
    for address in addresses {
        let (endpoint, master) = (endpoint.clone(), master.to_owned());
        asking.spawn(async move {
            let answer = match Probe::sentinel(&endpoint, &address, within).await {
                Ok(probe) => ask(&probe, &master).await.map_err(|error| error.while_doing(&address.to_string())),
                Err(error) => Err(error),
            };
            let (word, peers) = answer.map_or_else(|error| (Err(error), Vec::new()), |(word, peers)| (Ok(word), peers));
            (Sight { address, configured, word }, peers)
        });
    }
    let (mut sights, peers): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
    sights.sort_by(|a, b| a.address.cmp(&b.address));
    (sights, peers.into_iter().flatten().collect())
}

async fn ask(probe: &Probe, name: &str) -> Result<(Word, Vec<HostPort>), Error> {
    let of = async |what: &str| probe.words(&["SENTINEL", what, name]).await;
    let address = of("GET-MASTER-ADDR-BY-NAME").await?;
    let Some(master) = pair(&address) else {
        let masters = probe.words(&["SENTINEL", "MASTERS"]).await;
        let names = masters.as_ref().ok().and_then(value::items).unwrap_or_default();
        let names = names.iter().filter_map(|row| value::text(value::field(row, "name")?).map(str::to_owned)).collect();
        let report = Report { master: None, epoch: 0, failing_over: false };
        return Ok((Word { report, view: None, names, quorum: None }, Vec::new()));
    };
    let row = of("MASTER").await?;
    let epoch = value::field(&row, "config-epoch").and_then(value::int).and_then(|epoch| u64::try_from(epoch).ok());
    let report = Report { master: Some(master), epoch: epoch.unwrap_or(0), failing_over: false };
    let peers = of("SENTINELS").await;
    let peers = peers.as_ref().ok().and_then(value::items).unwrap_or_default();
    let peers = peers.iter().filter_map(|peer| host_port(value::field(peer, "ip")?, value::field(peer, "port")?));
    let quorum = match of("CKQUORUM").await {
        Ok(words) => Some(Ok(value::text(&words).unwrap_or_default().to_owned())),
        Err(error) if error.code() == Some("NOQUORUM") => Some(Err(error.to_string())),
        Err(_) => None,
    };
    Ok((Word { report, view: Some(view(&row)), names: Vec::new(), quorum }, peers.collect()))
}

fn view(row: &Value) -> View {
    let number = |name| value::field(row, name).and_then(value::int).unwrap_or(0);
    let flags = value::field(row, "flags").and_then(value::text).unwrap_or_default();
    View {
        down: flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down")),
        sentinels: number("num-other-sentinels") + 1,
        down_after_ms: number("down-after-milliseconds"),
        failover_timeout_ms: number("failover-timeout"),
    }
}

fn pair(reply: &Value) -> Option<HostPort> {
    match value::items(reply)? {
        [host, port] => host_port(host, port),
        _ => None,
    }
}

fn host_port(host: &Value, port: &Value) -> Option<HostPort> {
    let host = value::text(host)?.to_owned();
    let port = u16::try_from(value::int(port)?).ok()?;
    (!host.is_empty()).then_some(HostPort { host, port })
}
