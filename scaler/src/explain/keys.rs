//! Which keys a trigger's metadata may have, and what was probably meant by another one (pure).

use crate::trigger::KEYS;

/// Too general to tell whose trigger it is.
const TARGET: &str = "target";

/// Keys that KEDA itself reads of an external trigger.
pub(super) const KEDAS: [&str; 3] = ["enableTLS", "scalerAddress", "unsafeSsl"];

/// Keys of a `TriggerAuthentication` that KEDA does not read in the metadata.
pub(super) const AUTHENTICATION: [&str; 3] = ["caCert", "tlsClientCert", "tlsClientKey"];

/// Keys of KEDA's own trigger that say how Redis is reached: the scaler has settings for that.
pub(super) const CREDENTIALS: [&str; 5] =
    ["username", "password", "sentinelUsername", "sentinelPassword", "keyPassword"];

/// A key without `FromEnv`.
pub(super) fn plain(key: &str) -> &str {
    key.strip_suffix("FromEnv").filter(|rest| !rest.is_empty()).unwrap_or(key)
}

/// Whether the scaler or KEDA reads it.
pub(super) fn is_known(key: &str) -> bool {
    KEYS.contains(&plain(key)) || KEDAS.contains(&key)
}

/// Whether only a trigger of this scaler has it.
pub(super) fn is_ours(key: &str) -> bool {
    KEYS.contains(&plain(key)) && plain(key) != TARGET
}

/// The known key that is nearest, if one is near.
pub(super) fn meant(key: &str) -> Option<&'static str> {
    let wrong = plain(key);
    let lower = wrong.to_lowercase();
    let known = KEYS.into_iter().chain(KEDAS);
    let distance = |known: &&str| strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
    let nearest = known.min_by_key(distance)?;
    // Two slips, and no more than a third of the word.
    (distance(&nearest) <= 2.min(wrong.len() / 3)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The keys that the trigger's own code asks for, taken out of its source.
    #[test]
    fn the_list_has_every_key_that_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/trigger");
        let mut read = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            collect(&std::fs::read_to_string(path).unwrap(), &mut read);
        }
        collect(include_str!("../trigger.rs"), &mut read);
        assert_eq!(read, KEYS.map(str::to_owned).into());
    }

    /// Words in quotation marks that are arguments of a call of `keys`, one or, for a pair, two.
    fn collect(source: &str, keys: &mut BTreeSet<String>) {
        for rest in source.split("keys.").skip(1) {
            let call: String = rest.chars().take_while(|c| !matches!(c, ';' | '{')).collect();
            let Some((name, arguments)) = call.split_once('(') else { continue };
            let most = if name == "hosts_and_ports" { 2 } else { 1 };
            let words = arguments.split('"').skip(1).step_by(2).take(most);
            keys.extend(words.filter(|word| word.chars().all(char::is_alphanumeric)).map(str::to_owned));
        }
        for pair in ["[\"addresses\", \"address\"]", "(\"hosts\", \"ports\")", "(\"host\", \"port\")"] {
            if source.contains(pair) {
                keys.extend(pair.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }

    #[test]
    fn what_was_meant() {
        let rows = [
            ("Target", Some("target")),
            ("consumergroup", Some("consumerGroup")),
            ("adresses", Some("addresses")),
            ("targte", Some("target")),
            ("databaseIndx", Some("databaseIndex")),
            ("metrics", Some("metric")),
            ("streamFromEnvv", None),
            ("x", None),
            ("threshold", None),
            ("enableTls", Some("enableTLS")),
        ];
        for (key, expected) in rows {
            assert_eq!(meant(key), expected, "{key}");
        }
        for key in ["target", "streamFromEnv", "scalerAddress", "targetFromEnv"] {
            assert!(is_known(key), "{key}");
        }
        assert!(!is_known("scalerAddressFromEnv") && !is_known("FromEnv"));
    }
}
