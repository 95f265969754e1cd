//! Looks at agents: the card, and a list of the tasks of a conversation that nobody has. No message is sent.

mod judge;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use a2a::{Card, CardError, ListError};
use http::HeaderMap;
use tokio::time::timeout;

use super::finding::Finding;
use crate::dispatch::agents::{Agents, Contact};
use crate::settings::LineSettings;

/// No more agents than this are asked.
const MOST: usize = 64;

/// What one agent answered; `None`: nothing within the deadline.
#[derive(Debug)]
pub struct Answers {
    /// Its card. Many agents serve none.
    pub card: Option<Result<Card, CardError>>,
    /// Whether it lists tasks.
    pub list: Option<Result<(), ListError>>,
}

/// The agents that the settings name: the default one and those of the settings file.
pub fn named(line: &LineSettings) -> BTreeSet<String> {
    let namespace = &line.agents.namespace;
    let default = &line.default_agent;
    let default = if default.contains('/') { default.clone() } else { format!("{namespace}/{default}") };
    let file = line.agents.profiles.named().map(|(name, _)| name.to_string());
    std::iter::once(default).chain(file).collect()
}

/// Asks them all at once.
pub async fn look(agents: &Agents, names: impl IntoIterator<Item = String>, within: Duration) -> Vec<Finding> {
    let mut looks = tokio::task::JoinSet::new();
    for contact in names.into_iter().take(MOST).filter_map(|name| agents.find(&name).ok()) {
        looks.spawn(async move {
            let answers = ask(&contact, within).await;
            (contact, answers)
        });
    }
    let mut looked: Vec<(Arc<Contact>, Answers)> = looks.join_all().await;
    looked.sort_by_key(|(contact, _)| contact.name.to_string());
    looked.iter().flat_map(|(contact, answers)| judge::judge(contact, answers, within)).collect()
}

async fn ask(contact: &Contact, within: Duration) -> Answers {
    let (headers, nobody) = (HeaderMap::new(), uuid::Uuid::new_v4().to_string());
    let card = timeout(within, contact.agent.card(&headers));
    let list = timeout(within, contact.agent.list(&nobody, None, &headers));
    let (card, list) = tokio::join!(card, list);
    Answers { card: card.ok(), list: list.ok().map(|list| list.map(drop)) }
}
