//! An agent, judged by its answers (pure).

use std::time::Duration;

use a2a::{Card, Cause, Failure, ListError, Version};
use daemon::escape;

use super::Answers;
use crate::check::finding::{Finding, Subject};
use crate::dispatch::agents::Contact;
use crate::dispatch::profile::{Profile, Recovery};

fn ok(id: &'static str, text: impl Into<String>) -> Finding {
    Finding::ok(Subject::Agents, id, text)
}

fn problem(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::problem(Subject::Agents, id, text, fix)
}

/// What is found of one agent.
pub(super) fn judge(contact: &Contact, answers: &Answers, within: Duration) -> Vec<Finding> {
    let url = contact.profile.template.url(&contact.name);
    let who = format!("{} at {url}", contact.name);
    let card = answers.card.as_ref().and_then(|card| card.as_ref().ok());
    let mut findings = vec![reached(&who, answers, &contact.profile, within)];
    if let Some(card) = card {
        findings.push(versions(&contact.name.to_string(), card, contact.profile.version));
    }
    findings
}

fn reached(who: &str, answers: &Answers, profile: &Profile, within: Duration) -> Finding {
    match &answers.list {
        Some(Ok(())) => ok("agent", format!("{who} answers and lists its tasks")),
        Some(Err(ListError::Unsupported(_))) => blind(who, profile),
        Some(Err(error)) => failed(who, error.failure()),
        None => {
            let text = format!("{who} does not answer within {within:?}");
            problem("agent", text, "look at the agent and at what is between (--timeout gives it longer)").unreachable()
        }
    }
}

/// It answers and cannot list its tasks.
fn blind(who: &str, profile: &Profile) -> Finding {
    match profile.recovery {
        Recovery::List => problem(
            "agent",
            format!("{who} cannot list its tasks, and recovery = \"list\" says that it can"),
            "set recovery to \"auto\", \"message-id\" or \"none\" in the settings file (CONFIG)",
        ),
        Recovery::MessageId => ok("agent", format!("{who} answers; it recognises a repeated message")),
        Recovery::Auto | Recovery::None => {
            ok("agent", format!("{who} answers and cannot list its tasks: after a lost answer ON_UNCERTAIN decides"))
        }
    }
}

fn failed(who: &str, failure: &Failure) -> Finding {
    let text = format!("{who}: {}", escape::line(&failure.to_string()));
    match (failure.cause(), failure.status().map(|status| status.as_u16())) {
        (Cause::Token(_), _) => {
            problem("agent", text, "let the program read the token file (INTERNAL_A2A_BEARER_TOKEN_FILE, token_file)")
        }
        (Cause::Connect(_) | Cause::Lost(_) | Cause::Timeout(_), _) => {
            let fix =
                "start the agent, or correct KAGENT_A2A_URL (url in the settings file); check DNS and NetworkPolicy";
            problem("agent", text, fix).unreachable()
        }
        (_, Some(401 | 403)) => problem(
            "agent",
            text,
            "renew the token in INTERNAL_A2A_BEARER_TOKEN_FILE (token_file), or correct A2A_USER_ID",
        ),
        (Cause::Http(..) | Cause::Protocol(..), Some(404)) => problem(
            "agent",
            text,
            "create the agent, or correct its name (ALERTMANAGER_TARGET_AGENT, AGENT_NAMESPACE, the routing hash) or KAGENT_A2A_URL",
        ),
        (_, Some(429 | 500..)) => problem("agent", text, "look at the agent's own log").unreachable(),
        _ => problem("agent", text, "is this an A2A agent? Look at KAGENT_A2A_URL, A2A_VERSION and the agent's log"),
    }
}

fn versions(name: &str, card: &Card, version: Version) -> Finding {
    let offered: Vec<_> = card.wires.iter().map(|wire| wire.as_str()).collect();
    let text = format!("{name}: card of {:?}, versions {}", escape::line(&card.name), offered.join(", "));
    match version {
        Version::Fixed(wire) if !card.wires.is_empty() && !card.wires.contains(&wire) => Finding::warning(
            Subject::Agents,
            "card",
            format!("{text}; A2A_VERSION is {}", wire.as_str()),
            "set A2A_VERSION (version in the settings file) to auto or to a version that it offers",
        ),
        _ => ok("card", text),
    }
}
