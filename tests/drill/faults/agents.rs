//! Agents that fail in every way they have.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Effect, lasts, picked, unknown};
use crate::kinds::Sight;
use crate::load::Load;
use crate::schedule::Planned;
use crate::stage::Stage;

/// Longer than a send may take.
const FOR: Duration = Duration::from_secs(4);
/// Calls that suffer, at most.
const CALLS: u64 = 12;

pub(super) async fn inject(stage: &mut Stage, load: &Load, planned: &Planned) -> Result<Effect> {
    let index = picked(planned.pick, stage.agents.len());
    let sight = Sight::BOTH.get(index).copied().context("more agents than kinds")?;
    let agent = stage.agents.get_mut(index).context("a stage without agents")?;
    match planned.kind.id {
        "agent-kill" => {
            agent.kill9().await?;
            lasts(FOR).await;
            agent.restart().await?;
        }
        "agent-stop" => {
            agent.pause()?;
            lasts(FOR).await;
            agent.resume()?;
        }
        "agent-hang" => load.order_next(sight, "hang"),
        id => {
            let Some(fault) = fault(id) else { return unknown(planned) };
            agent.fault(fault).await?;
            lasts(FOR).await;
            agent.clear_faults().await?;
        }
    }
    Ok(Effect { sight: Some(sight), ..Effect::note(sight.agent()) })
}

/// What the control plane of the agent is told (`tests/agents/README.md`).
fn fault(id: &str) -> Option<Value> {
    let fault = match id {
        "agent-500" => json!({"mode": "status", "status": 500, "count": CALLS}),
        "agent-503" => json!({"mode": "status", "status": 503, "retryAfter": 2, "count": CALLS}),
        "agent-429" => json!({"mode": "status", "status": 429, "count": CALLS}),
        "agent-reset" => json!({"mode": "drop_before", "count": CALLS}),
        "agent-lost" => json!({"mode": "drop_after", "count": CALLS}),
        "agent-garbage" => json!({"mode": "garbage", "count": CALLS}),
        "agent-empty" => json!({"mode": "empty", "count": CALLS}),
        "agent-cut" => json!({"mode": "truncate", "count": CALLS}),
        "agent-slow" => json!({"mode": "delay", "seconds": 6, "count": CALLS}),
        _ => return None,
    };
    Some(fault)
}
