//! The agents by name, and what has been learned of each.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use a2a::{Agent, AgentOptions, Bearer, Version};

/// No more agents than this are remembered; names come from entries.
const MOST_AGENTS: usize = 1_024;

/// An agent's namespace and name, both DNS labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgentName {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name within it.
    pub name: String,
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Not an agent's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected agent or namespace/agent, each a DNS label (a-z, 0-9, -, at most 63 characters)")]
pub struct NotAnAgent;

impl AgentName {
    /// `agent` or `namespace/agent`.
    pub fn parse(target: &str, default_namespace: &str) -> Result<Self, NotAnAgent> {
        let (namespace, name) = target.split_once('/').unwrap_or((default_namespace, target));
        if !is_label(namespace) || !is_label(name) {
            return Err(NotAnAgent);
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Where agents are: a URL with `{namespace}` and `{agent}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

impl UrlTemplate {
    /// The URL of one agent.
    pub fn url(&self, agent: &AgentName) -> String {
        self.0.replace("{namespace}", &agent.namespace).replace("{agent}", &agent.name)
    }
}

impl FromStr for UrlTemplate {
    type Err = String;

    /// Without `{agent}`, `/agents/{agent}/` is appended.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let template = if text.contains("{agent}") {
            text.to_owned()
        } else {
            format!("{}/agents/{{agent}}/", text.trim_end_matches('/'))
        };
        let template = Self(template);
        let probe = AgentName { namespace: "n".into(), name: "a".into() };
        a2a::agent_url(&template.url(&probe)).map_err(|error| error.to_string())?;
        Ok(template)
    }
}

/// What all agents have in common.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Where they are.
    pub template: UrlTemplate,
    /// Namespace of a target without one.
    pub namespace: String,
    /// Which version they speak.
    pub version: Version,
    /// `X-User-Id`.
    pub user_id: String,
    /// Bearer token.
    pub bearer: Option<Bearer>,
}

/// All agents that were asked for so far.
pub struct Agents {
    http: reqwest::Client,
    settings: AgentSettings,
    known: Mutex<HashMap<AgentName, Arc<Contact>>>,
}

/// One agent, and whether it can be asked for its tasks and reached at all.
pub struct Contact {
    /// Who it is.
    pub name: AgentName,
    /// How it is called.
    pub agent: Agent,
    lists: Mutex<Option<bool>>,
    health: Mutex<Health>,
}

/// When an agent was last reached, and since when it has not been.
#[derive(Debug, Clone, Copy, Default)]
struct Health {
    failing_since: Option<Instant>,
    reached: bool,
}

impl Contact {
    /// Whether it can list its tasks; `None`: not found out yet.
    pub fn lists(&self) -> Option<bool> {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask anew next time: a gateway's passing answer can look like "no such method".
    pub fn forget_lists(&self) {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It answered a list call, or said that it has none.
    pub fn set_lists(&self, lists: bool) {
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = Some(lists);
    }

    /// It took a request.
    pub fn reached(&self) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Health { failing_since: None, reached: true };
    }

    /// It could not be reached; answers for how long now.
    pub fn unreached(&self) -> Duration {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.reached = false;
        health.failing_since.get_or_insert_with(Instant::now).elapsed()
    }

    /// The last request reached it.
    pub fn is_reachable(&self) -> bool {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).reached
    }
}

impl Agents {
    /// No agent is known yet.
    pub fn new(http: reqwest::Client, settings: AgentSettings) -> Self {
        Self { http, settings, known: Mutex::default() }
    }

    /// The agent of a target, `agent` or `namespace/agent`.
    pub fn find(&self, target: &str) -> Result<Arc<Contact>, NotAnAgent> {
        let name = AgentName::parse(target, &self.settings.namespace)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contact) = known.get(&name) {
            return Ok(Arc::clone(contact));
        }
        let contact = Arc::new(self.contact(&name)?);
        if known.len() < MOST_AGENTS {
            known.insert(name, Arc::clone(&contact));
        }
        Ok(contact)
    }

    fn contact(&self, name: &AgentName) -> Result<Contact, NotAnAgent> {
        let url = a2a::agent_url(&self.settings.template.url(name)).map_err(|_| NotAnAgent)?;
        let options = AgentOptions {
            version: self.settings.version,
            user_id: Some(self.settings.user_id.clone()),
            bearer: self.settings.bearer.clone(),
            ..AgentOptions::new(url)
        };
        Ok(Contact {
            name: name.clone(),
            agent: Agent::new(self.http.clone(), options),
            lists: Mutex::new(None),
            health: Mutex::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let parse = |target| AgentName::parse(target, "kagent").map(|name| name.to_string());
        assert_eq!(parse("triage-agent").as_deref(), Ok("kagent/triage-agent"));
        assert_eq!(parse("ops/triage-agent").as_deref(), Ok("ops/triage-agent"));
        for target in ["", "/", "a/", "/a", "a/b/c", "../x", "A", "a_b", "-a", "a%2f..", "a?x=1", "a\n"] {
            assert_eq!(parse(target), Err(NotAnAgent), "{target:?}");
        }
    }

    #[test]
    fn templates() {
        let agent = AgentName { namespace: "ops".into(), name: "triage".into() };
        let url = |template: &str| template.parse::<UrlTemplate>().map(|template| template.url(&agent));
        assert_eq!(
            url("http://h:8083/api/a2a/{namespace}/{agent}/").as_deref(),
            Ok("http://h:8083/api/a2a/ops/triage/")
        );
        assert_eq!(url("http://gateway:8080").as_deref(), Ok("http://gateway:8080/agents/triage/"));
        assert_eq!(url("http://gateway:8080/").as_deref(), Ok("http://gateway:8080/agents/triage/"));
        assert!(url("not a url").is_err());
    }
}
