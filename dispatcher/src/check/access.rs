//! Which commands each program needs of Redis, and a form of each that changes nothing (pure).
//!
//! A server checks permissions after the number of arguments and before everything else, so a command with an argument
//! that cannot be read is refused either for lack of permission or for that argument, and never carried out
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>).

use super::finding::{Finding, Subject};
use crate::dispatch::names::{Names, OUTCOMES};

/// For which program is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `hook`
    Hook,
    /// `work`
    Work,
    /// `stream-scaler`
    Scaler,
    /// All of them with one user.
    All,
}

impl Role {
    /// Its name, as it is given.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Work => "work",
            Self::Scaler => "scaler",
            Self::All => "all",
        }
    }

    /// Whether what `letters` names (h, w, s) is needed.
    fn needs(self, letters: &str) -> bool {
        match self {
            Self::Hook => letters.contains('h'),
            Self::Work => letters.contains('w'),
            Self::Scaler => letters.contains('s'),
            Self::All => true,
        }
    }

    /// Whether it speaks to agents.
    pub fn dispatches(self) -> bool {
        self != Self::Scaler
    }
}

/// Name as ACLs have it, who needs it, and its harmless form. `{key}` is a string with an expiry that the check has
/// written itself, `{none}` a key that does not exist.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("role", "hws", "ROLE"),
    ("ping", "hws", "PING"),
    ("info", "hws", "INFO server"),
    ("time", "hws", "TIME"),
    ("select", "hws", "SELECT {db}"),
    ("client|id", "hws", "CLIENT ID"),
    ("client|setname", "hws", "CLIENT SETNAME stream-dispatcher-check"),
    ("client|unblock", "w", "CLIENT UNBLOCK 0"),
    ("evalsha", "hw", "EVALSHA 0000000000000000000000000000000000000000 0"),
    ("script|load", "hw", "SCRIPT LOAD return(1)"),
    ("hget", "hw", "HGET {none} f"),
    ("hmget", "hw", "HMGET {none} f"),
    ("hgetall", "w", "HGETALL {none}"),
    ("hset", "hw", "HSET {none} f v odd"),
    ("hsetnx", "hw", "HSETNX {key} f v"),
    ("hdel", "hw", "HDEL {none} f"),
    ("hexists", "w", "HEXISTS {none} f"),
    ("hincrby", "w", "HINCRBY {none} f bad"),
    ("expire", "hw", "EXPIRE {none} bad"),
    ("del", "hw", "DEL {none}"),
    ("get", "w", "GET {none}"),
    ("set", "hw", "SET {none} v NX XX"),
    ("exists", "h", "EXISTS {none}"),
    ("zadd", "w", "ZADD {none} bad m"),
    ("zrem", "hw", "ZREM {none} m"),
    ("zcard", "w", "ZCARD {none}"),
    ("zscore", "w", "ZSCORE {none} m"),
    ("zremrangebyscore", "w", "ZREMRANGEBYSCORE {none} bad bad"),
    ("scan", "w", "SCAN 0 COUNT 1"),
    ("sadd", "w", "SADD {key} m"),
    ("srem", "w", "SREM {none} m"),
    ("smembers", "hws", "SMEMBERS {none}"),
    ("touch", "hw", "TOUCH {none}"),
    ("xtrim", "hw", "XTRIM {none} MAXLEN bad"),
    ("xadd", "hw", "XADD {none} bad f v"),
    ("xdel", "w", "XDEL {none} bad"),
    ("xlen", "ws", "XLEN {none}"),
    ("xrange", "hws", "XRANGE {none} bad bad"),
    ("xrevrange", "h", "XREVRANGE {none} bad bad"),
    ("xread", "hs", "XREAD COUNT 1 STREAMS {none} 0"),
    ("xreadgroup", "w", "XREADGROUP GROUP g c COUNT 1 STREAMS {none} >"),
    ("xack", "w", "XACK {none} g 1-0"),
    ("xclaim", "w", "XCLAIM {none} g c 1 1-0"),
    ("xautoclaim", "w", "XAUTOCLAIM {none} g c 1 0"),
    ("xpending", "hws", "XPENDING {none} g"),
    ("xgroup|create", "w", "XGROUP CREATE {none} g 0"),
    ("xgroup|delconsumer", "w", "XGROUP DELCONSUMER {none} g c"),
    ("xinfo|groups", "hws", "XINFO GROUPS {none}"),
    ("xinfo|consumers", "w", "XINFO CONSUMERS {none} g"),
    ("xinfo|stream", "hs", "XINFO STREAM {none}"),
    ("type", "hw", "TYPE {none}"),
    ("wait", "h", "WAIT 0 1"),
];

/// The commands that a program needs, as ACLs name them.
pub fn commands(role: Role) -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().filter(move |(_, letters, _)| role.needs(letters)).map(|(name, ..)| *name)
}

/// One thing to ask permission for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The command as ACLs name it, or the key.
    pub name: String,
    /// Its harmless form.
    pub words: Vec<String>,
    /// It is harmless only where `{key}` could be written.
    pub needs_key: bool,
}

/// The commands of a program; `key` has been written, `none` does not exist.
pub fn trials(role: Role, db: u16, key: &str) -> Vec<Trial> {
    let none = format!("{key}:none");
    let trial = |(name, _, form): &(&str, &str, &str)| Trial {
        name: (*name).to_owned(),
        words: form
            .split(' ')
            .map(|word| match word {
                "{key}" => key.to_owned(),
                "{none}" => none.clone(),
                "{db}" => db.to_string(),
                word => word.to_owned(),
            })
            .collect(),
        needs_key: form.contains("{key}"),
    };
    COMMANDS.iter().filter(|(_, letters, _)| role.needs(letters)).map(trial).collect()
}

/// The keys of a program, each with a command that changes nothing whatever stands there.
pub fn key_trials(role: Role, names: &Names, agent: &str) -> Vec<Trial> {
    let stream = names.group.stream.as_str();
    let guard = format!("{stream}:consumer:{}:check", names.group.group);
    let keys = [
        ("hws", stream.to_owned()),
        ("hws", names.waiting_set()),
        ("hws", names.waiting(agent)),
        ("hw", names.agent_keys(agent).health),
        ("hw", names.dead_letters.clone()),
        ("hw", names.parked.clone()),
        ("hw", names.routing.clone()),
        ("w", guard),
        ("hw", "incident:dispatch:check-investigation".to_owned()),
        ("hw", "incident:artifact:check:alert".to_owned()),
        ("h", "incident:alert:check".to_owned()),
        ("hw", OUTCOMES.to_owned()),
    ];
    let writes = role != Role::Scaler;
    let words = |key: &String| {
        let words: &[&str] = if writes { &["XADD", key, "bad", "f", "v"] } else { &["XLEN", key] };
        words.iter().map(|word| (*word).to_owned()).collect()
    };
    keys.into_iter()
        .filter(|(letters, _)| role.needs(letters))
        .map(|(_, key)| Trial { words: words(&key), name: key, needs_key: false })
        .collect()
}

/// What the server says of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// Not this command.
    NoCommand,
    /// Not this key.
    NoKey,
}

impl Verdict {
    /// Reads the words of a refusal, which are much the same in `NOPERM` errors and in `ACL DRYRUN` answers.
    pub fn of_refusal(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let key = words.contains("key") && !words.contains("run the");
        if key { Self::NoKey } else { Self::NoCommand }
    }
}

/// What is missing, with the line that gives it.
pub fn judge(user: &str, commands: &[(Trial, Verdict)], keys: &[(Trial, Verdict)]) -> Vec<Finding> {
    let denied = |trials: &[(Trial, Verdict)], what: Verdict| -> Vec<String> {
        trials.iter().filter(|(_, verdict)| *verdict == what).map(|(trial, _)| trial.name.clone()).collect()
    };
    let (no_commands, no_keys) = (denied(commands, Verdict::NoCommand), denied(keys, Verdict::NoKey));
    let mut findings = Vec::new();
    if no_commands.is_empty() {
        let text = format!("user {user} may run the {} commands that are needed", commands.len());
        findings.push(Finding::ok(Subject::Redis, "permissions", text));
    } else {
        let text = format!("user {user} may not run {}", no_commands.join(", ").to_uppercase());
        let rules: Vec<_> = no_commands.iter().map(|name| format!("+{name}")).collect();
        findings.push(Finding::problem(Subject::Redis, "permissions", text, grant(user, &rules)));
    }
    if no_keys.is_empty() {
        let text = format!("user {user} may use the keys that are needed");
        findings.push(Finding::ok(Subject::Redis, "keys", text));
    } else {
        let text = format!("user {user} may not use {}", no_keys.join(", "));
        let mut rules: Vec<_> = no_keys.iter().map(|key| format!("~{}*", pattern(key))).collect();
        rules.sort();
        rules.dedup();
        findings.push(Finding::problem(Subject::Redis, "keys", text, grant(user, &rules)));
    }
    findings
}

/// The part of a key that all keys of its kind have.
fn pattern(key: &str) -> &str {
    key.split_once(':').map_or(key, |(first, _)| key.get(..=first.len()).unwrap_or(key))
}

fn grant(user: &str, rules: &[String]) -> String {
    let rules = rules.join(" ");
    format!("on every node: ACL SETUSER {user} {rules}; then ACL SAVE, or the same in users.acl or redis.conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        use redis_stream::reader::Group;
        let group = Group { stream: "incident:events".into(), group: "g".into(), consumer: "c".into() };
        let (dead_letters, parked) = ("incident:events:dlq".into(), "incident:events:parked".into());
        Names { group, dead_letters, parked, routing: "incident:routing".into() }
    }

    #[test]
    fn refusals_of_all_versions() {
        for words in [
            "this user has no permissions to run the 'xautoclaim' command",
            "User x has no permissions to run the 'client|id' command",
        ] {
            assert_eq!(Verdict::of_refusal(words), Verdict::NoCommand, "{words}");
        }
        for words in [
            "this user has no permissions to access one of the keys used as arguments",
            "No permissions to access a key",
            "User x has no permissions to access the 'x' key",
        ] {
            assert_eq!(Verdict::of_refusal(words), Verdict::NoKey, "{words}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_that_gives_it() {
        let commands: Vec<_> = trials(Role::Work, 4, "k")
            .into_iter()
            .map(|trial| {
                let verdict = if trial.name == "xautoclaim" { Verdict::NoCommand } else { Verdict::Allowed };
                (trial, verdict)
            })
            .collect();
        let keys: Vec<_> =
            key_trials(Role::Work, &names(), "n/a").into_iter().map(|trial| (trial, Verdict::NoKey)).collect();
        let findings = judge("w", &commands, &keys);
        assert_eq!(findings[0].text, "user w may not run XAUTOCLAIM");
        assert!(findings[0].fix.as_deref().is_some_and(|fix| fix.contains("ACL SETUSER w +xautoclaim;")));
        assert!(findings[1].fix.as_deref().is_some_and(|fix| fix.contains("ACL SETUSER w ~incident:*;")));
    }

    #[test]
    fn what_would_write_without_the_key_says_so() {
        let careful: Vec<_> =
            trials(Role::All, 4, "k").into_iter().filter(|trial| trial.needs_key).map(|trial| trial.name).collect();
        assert_eq!(careful, ["hsetnx", "sadd"]);
    }
}
