//! The settings file: what is agreed with single agents.
//!
//! ```toml
//! [defaults]                       # every agent
//! max_runs = 20
//!
//! [agents."kagent/triage-agent"]   # one agent
//! recovery = "message-id"
//! context = "server"
//! ```

use std::collections::HashMap;
use std::path::Path;

use a2a::{Bearer, Mode, Version};
use daemon::settings::parse;
use daemon::{Mistakes, Secret};
use toml::{Table, Value};

use crate::dispatch::agents::{AgentName, UrlTemplate};
use crate::dispatch::outcome::OnUncertain;
use crate::dispatch::profile::{ContextPolicy, Limits, Profile, Profiles, Recovery};

/// A larger file is a wrong path.
const LONGEST: u64 = 1024 * 1024;
/// The section for every agent.
const DEFAULTS: &str = "defaults";
/// Every key of a profile.
const KEYS: [&str; 12] = [
    "url",
    "version",
    "mode",
    "recovery",
    "context",
    "on_uncertain",
    "user_id",
    "token_file",
    "send_timeout",
    "run_deadline",
    "max_runs",
    "max_runs_per_hour",
];

/// Reads the settings file, if there is one; `general` is what the variables say of every agent.
pub(super) fn profiles(path: Option<&str>, general: Profile, namespace: &str, mistakes: &mut Mistakes) -> Profiles {
    let table = path.and_then(|path| match read(Path::new(path)) {
        Ok(table) => Some(table),
        Err(problem) => {
            mistakes.add("CONFIG", format!("{path}: {problem}"));
            None
        }
    });
    of_table(&table.unwrap_or_default(), general, namespace, mistakes)
}

fn read(path: &Path) -> Result<Table, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LONGEST {
        return Err(format!("it has {length} bytes; is it the right file?"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    text.parse::<Table>().map_err(|error| error.to_string().trim_end().to_owned())
}

fn of_table(table: &Table, general: Profile, namespace: &str, mistakes: &mut Mistakes) -> Profiles {
    for key in table.keys().filter(|key| !matches!(key.as_str(), "defaults" | "agents")) {
        mistakes.add(key.as_str(), "unknown section; there are defaults and agents");
    }
    let general = match table.get("defaults") {
        Some(section) => Section::open(DEFAULTS, section, mistakes).over(&general, mistakes),
        None => general,
    };
    let mut named = HashMap::new();
    for (name, section) in entries(table.get("agents"), mistakes) {
        let path = format!("agents.{name:?}");
        let profile = Section::open(&path, section, mistakes).over(&general, mistakes);
        match AgentName::parse(name, namespace) {
            Ok(agent) => {
                if named.insert(agent.clone(), profile).is_some() {
                    mistakes.add(path, format!("{agent} has two sections"));
                }
            }
            Err(error) => mistakes.add(path, error.to_string()),
        }
    }
    Profiles::new(general, named)
}

fn entries<'a>(agents: Option<&'a Value>, mistakes: &mut Mistakes) -> Vec<(&'a str, &'a Value)> {
    match agents {
        None => Vec::new(),
        Some(Value::Table(table)) => table.iter().map(|(name, section)| (name.as_str(), section)).collect(),
        Some(_) => {
            mistakes.add("agents", "expected sections such as [agents.\"kagent/triage-agent\"]");
            Vec::new()
        }
    }
}

/// One section, all values as text.
struct Section<'a> {
    path: &'a str,
    /// How an address is read: for one agent it needs no placeholder.
    url: fn(&str) -> Result<UrlTemplate, String>,
    values: HashMap<&'a str, String>,
}

impl<'a> Section<'a> {
    fn open(path: &'a str, section: &'a Value, mistakes: &mut Mistakes) -> Self {
        let url = if path == DEFAULTS { str::parse } else { UrlTemplate::exact };
        let mut values = HashMap::new();
        let Value::Table(table) = section else {
            mistakes.add(path, "expected a section");
            return Self { path, url, values };
        };
        for (key, value) in table {
            if !KEYS.contains(&key.as_str()) {
                mistakes.add(format!("{path}.{key}"), format!("unknown; there are {}", KEYS.join(", ")));
                continue;
            }
            match value {
                Value::String(text) => drop(values.insert(key.as_str(), text.clone())),
                Value::Integer(number) => drop(values.insert(key.as_str(), number.to_string())),
                _ => mistakes.add(format!("{path}.{key}"), "expected a text in quotes or a whole number"),
            }
        }
        Self { path, url, values }
    }

    fn take<T>(&self, key: &str, default: T, mistakes: &mut Mistakes, read: impl Fn(&str) -> Result<T, String>) -> T {
        mistakes.take(&format!("{}.{key}", self.path), self.values.get(key).map(String::as_str), default, read)
    }

    /// The profile with what this section says in place of what `base` says.
    fn over(&self, base: &Profile, mistakes: &mut Mistakes) -> Profile {
        let profile = Profile {
            template: self.take("url", base.template.clone(), mistakes, self.url),
            version: self.take("version", base.version, mistakes, version),
            mode: self.take("mode", base.mode, mistakes, parse::one_of(MODES)),
            recovery: self.take("recovery", base.recovery, mistakes, parse::one_of(RECOVERIES)),
            context: self.take("context", base.context, mistakes, parse::one_of(CONTEXTS)),
            on_uncertain: self.take("on_uncertain", base.on_uncertain, mistakes, parse::one_of(POLICIES)),
            user_id: self.take("user_id", base.user_id.clone(), mistakes, super::header_text),
            bearer: self.token(base, mistakes),
            send_timeout: self.take("send_timeout", base.send_timeout, mistakes, parse::positive_duration),
            run_deadline: self.take("run_deadline", base.run_deadline, mistakes, parse::positive_duration),
            limits: Limits {
                runs: self.take("max_runs", base.limits.runs, mistakes, parse::number(1..=100_000)),
                runs_per_hour: self.take("max_runs_per_hour", base.limits.runs_per_hour, mistakes, per_hour),
            },
        };
        if profile.recovery == Recovery::List && profile.context == ContextPolicy::Server {
            let problem = "list looks for a run in the context we chose; use context = \"per-incident\"";
            mistakes.add(format!("{}.recovery", self.path), problem);
        }
        profile
    }

    fn token(&self, base: &Profile, mistakes: &mut Mistakes) -> Option<Bearer> {
        let Some(path) = self.values.get("token_file") else { return base.bearer.clone() };
        let secret = Secret::File(path.into());
        if let Err(error) = secret.read() {
            mistakes.add(format!("{}.token_file", self.path), format!("{path:?} cannot be read: {error}"));
        }
        Some(Bearer::new(move || secret.read()))
    }
}

/// The words of `mode`.
const MODES: &[(&str, Mode)] = &[("poll", Mode::NonBlocking), ("blocking", Mode::Blocking)];
/// The words of `recovery`.
const RECOVERIES: &[(&str, Recovery)] = &[
    ("auto", Recovery::Auto),
    ("list", Recovery::List),
    ("message-id", Recovery::MessageId),
    ("none", Recovery::None),
];
/// The words of `context`.
const CONTEXTS: &[(&str, ContextPolicy)] =
    &[("per-incident", ContextPolicy::PerIncident), ("server", ContextPolicy::Server)];
/// The words of `on_uncertain`.
pub(super) const POLICIES: &[(&str, OnUncertain)] = &[("resend", OnUncertain::Resend), ("park", OnUncertain::Park)];

/// Reads an A2A version.
pub(super) fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_| format!("expected auto, 0.3 or 1.0, got {text:?}"))
}

fn per_hour(text: &str) -> Result<Option<u32>, String> {
    match text {
        "off" => Ok(None),
        text => parse::number(1..=1_000_000)(text).map(Some),
    }
}

#[cfg(test)]
#[path = "profiles/tests.rs"]
mod tests;
