//! Which Redis: the scaler's own, or another one that it may talk to.

use redis_stream::endpoint::{HostPort, Locator};

use super::keys::Keys;
use super::{Own, Redis};

const DEFAULT_MASTER: &str = "mymaster";

/// Reads `addresses`, `hosts` and `ports` (`address`, `host` and `port` mean the same) and `sentinelMaster`.
///
/// Addresses are always Sentinels. A scaler that reaches its own Redis directly (`REDIS_URL`) has no use for a
/// master's name alone and passes it over, so that one `ScaledObject` serves a cluster and a port-forward.
pub(super) fn parse(keys: &mut Keys<'_>, own: &Own) -> Redis {
    let master = keys.name("sentinelMaster");
    let addresses = addresses(keys);
    let (own_sentinels, own_master) = match &own.locator {
        Locator::Sentinel { sentinels, master } => (sentinels.as_slice(), Some(master.as_str())),
        Locator::Direct(_) => (&[][..], None),
    };
    let master = master.unwrap_or_else(|| own_master.unwrap_or(DEFAULT_MASTER).to_owned());
    let mut sentinels = match addresses {
        Some((key, addresses)) => {
            reject_strangers(keys, &key, &addresses, own_sentinels, own);
            addresses
        }
        None if own_sentinels.is_empty() => return Redis::Own,
        None => own_sentinels.to_vec(),
    };
    let same_sentinels = sentinels.iter().all(|address| own_sentinels.contains(address));
    if same_sentinels && own_master == Some(master.as_str()) {
        return Redis::Own;
    }
    sentinels.sort();
    sentinels.dedup();
    Redis::Other { sentinels, master }
}

fn addresses(keys: &mut Keys<'_>) -> Option<(String, Vec<HostPort>)> {
    let list = ["addresses", "address"].into_iter().find(|key| keys.given(key).is_some());
    if let Some(key) = list {
        return keys.addresses(key);
    }
    let plural = keys.given("hosts").is_some() || keys.given("ports").is_some();
    let (hosts, ports) = if plural { ("hosts", "ports") } else { ("host", "port") };
    keys.hosts_and_ports(hosts, ports)
}

/// A trigger must not make the scaler send its credentials to a server of the trigger's choice.
fn reject_strangers(keys: &mut Keys<'_>, key: &str, addresses: &[HostPort], own_sentinels: &[HostPort], own: &Own) {
    let known = |address: &&HostPort| own_sentinels.contains(address) || own.allowed.contains(address);
    let strangers: Vec<_> = addresses.iter().filter(|address| !known(address)).map(ToString::to_string).collect();
    if !strangers.is_empty() {
        // What comes out of a variable may be a Secret that stands in the wrong place.
        let list = if key.ends_with("FromEnv") { "its value".to_owned() } else { strangers.join(",") };
        keys.reject(
            key,
            format!(
                "not the scaler's own Redis: add {list} to SCALER_ALLOWED_SENTINELS of the scaler, or leave {key} out"
            ),
        );
    }
}
