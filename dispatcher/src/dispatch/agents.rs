//! The agents by name, and what has been learned of each.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use a2a::{Agent, AgentOptions, Mode};

use super::polls::Turns;
use super::profile::{ContextPolicy, Profile, Profiles, Recovery};

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
        if text.contains("{agent}") {
            return Self::exact(text);
        }
        Self::exact(&format!("{}/agents/{{agent}}/", text.trim_end_matches('/')))
    }
}

impl UrlTemplate {
    /// The address as it is written, for one agent.
    pub fn exact(text: &str) -> Result<Self, String> {
        let template = Self(text.trim().to_owned());
        let probe = AgentName { namespace: "n".into(), name: "a".into() };
        a2a::agent_url(&template.url(&probe)).map_err(|error| error.to_string())?;
        Ok(template)
    }
}

/// Who the agents are and how they are spoken to.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Namespace of a target without one.
    pub namespace: String,
    /// What is agreed with each.
    pub profiles: Profiles,
}

/// All agents that were asked for so far.
pub struct Agents {
    http: reqwest::Client,
    settings: AgentSettings,
    known: Mutex<HashMap<AgentName, Arc<Contact>>>,
}

/// One agent, and what has been learned of it.
pub struct Contact {
    /// Who it is.
    pub name: AgentName,
    /// How it is called.
    pub agent: Agent,
    /// What is agreed with it.
    pub profile: Arc<Profile>,
    pub(super) turns: Turns,
    lists: Mutex<Option<bool>>,
    asked_in_vain: tokio::sync::Mutex<Option<Instant>>,
}

impl Contact {
    /// Whether it can be asked for its tasks; `None`: not found out yet.
    pub fn lists(&self) -> Option<bool> {
        match (self.profile.recovery, self.profile.context) {
            // A run is looked for in its context, and the agent's own is known only once it has answered.
            (_, ContextPolicy::Server) | (Recovery::MessageId | Recovery::None, _) => Some(false),
            (Recovery::List, _) => Some(true),
            // It may not know its own tasks: that is what the mode is for.
            (Recovery::Auto, _) if self.profile.mode == Mode::Blocking => Some(false),
            (Recovery::Auto, _) => *lock(&self.lists),
        }
    }

    /// Ask anew next time: a gateway's passing answer can look like "no such method".
    pub fn forget_lists(&self) {
        *lock(&self.lists) = None;
    }

    /// It answered a list call, or said that it has none.
    pub fn set_lists(&self, lists: bool) {
        *lock(&self.lists) = Some(lists);
    }

    /// Finds out whether it lists its tasks, by `ask`; `None`: it could not say. One asks, the others wait for the answer.
    /// An agent that could not say is not asked again within `once_in`: it may be long in answering.
    pub(super) async fn find_out_whether_it_lists(
        &self,
        once_in: Duration,
        ask: impl Future<Output = Option<bool>>,
    ) -> Option<bool> {
        let mut in_vain = self.asked_in_vain.lock().await;
        if self.lists().is_some() || in_vain.is_some_and(|at: Instant| at.elapsed() < once_in) {
            return self.lists();
        }
        match ask.await {
            Some(lists) => self.set_lists(lists),
            None => *in_vain = Some(Instant::now()),
        }
        self.lists()
    }

    /// A repeated message id is not run again.
    pub fn recognises(&self) -> bool {
        self.profile.recovery == Recovery::MessageId
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agents {
    /// No agent is known yet.
    pub fn new(http: reqwest::Client, settings: AgentSettings) -> Self {
        Self { http, settings, known: Mutex::default() }
    }

    /// What is agreed with every agent that has no profile of its own.
    pub fn general(&self) -> &Profile {
        self.settings.profiles.general()
    }

    /// The profile of an agent, `namespace/agent`; the general one for what is no agent.
    pub fn profile(&self, target: &str) -> Arc<Profile> {
        match AgentName::parse(target, &self.settings.namespace) {
            Ok(name) => self.settings.profiles.of(&name),
            Err(_) => Arc::new(self.general().clone()),
        }
    }

    /// The agent of a target, `agent` or `namespace/agent`.
    pub fn find(&self, target: &str) -> Result<Arc<Contact>, NotAnAgent> {
        let name = AgentName::parse(target, &self.settings.namespace)?;
        let mut known = lock(&self.known);
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
        let profile = self.settings.profiles.of(name);
        let url = a2a::agent_url(&profile.template.url(name)).map_err(|_| NotAnAgent)?;
        let options = AgentOptions {
            version: profile.version,
            user_id: Some(profile.user_id.clone()),
            bearer: profile.bearer.clone(),
            send_timeout: profile.send_timeout,
            blocking_timeout: profile.run_deadline,
            ..AgentOptions::new(url)
        };
        Ok(Contact {
            name: name.clone(),
            agent: Agent::new(self.http.clone(), options),
            profile,
            turns: Turns::new(),
            lists: Mutex::default(),
            asked_in_vain: tokio::sync::Mutex::default(),
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
