//! The pages under `docs/`, held against the programs: settings, agents, metrics, metadata, permissions, scripts, links.

#[path = "docs/access.rs"]
mod access;
#[path = "docs/agents.rs"]
mod agents;
#[path = "docs/decisions.rs"]
mod decisions;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/scaler.rs"]
mod scaler;
#[path = "docs/settings.rs"]
mod settings;
