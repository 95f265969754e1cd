//! Leases on pending entries. Every step that depends on ownership checks it in its script.

use std::sync::LazyLock;
use std::time::Duration;

use crate::connection::Session;
use crate::error::Error;
use crate::id::EntryId;
use crate::reader::Group;
use crate::script::Script;
use crate::value;

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new("renew", &[include_str!("scripts/renew.lua")]));
static GIVE_BACK: LazyLock<Script> =
    LazyLock::new(|| Script::new("give back", &[include_str!("scripts/give_back.lua")]));
static CLAIM_NAME: LazyLock<Script> =
    LazyLock::new(|| Script::new("claim name", &[include_str!("scripts/claim_name.lua")]));
static DROP_NAME: LazyLock<Script> =
    LazyLock::new(|| Script::new("drop name", &[include_str!("scripts/drop_name.lua")]));
static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new("leave", &[include_str!("scripts/leave.lua")]));

/// Entries that were given back belong to this consumer until somebody claims them, so that the
/// consumer that gave them back can be removed.
pub const HEIR: &str = "handed-back";

/// Renews what we hold; answers the ids that are no longer ours (acknowledged, claimed, forgotten).
pub async fn renew(session: &Session, of: &Group, ids: &[EntryId]) -> Result<Vec<EntryId>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let call =
        ids.iter().fold(RENEW.call().key(&of.stream).arg(&of.group).arg(&of.consumer), crate::script::Call::number);
    let lost = session.invoke(&call).await?;
    let lost = value::items(&lost).unwrap_or_default();
    Ok(lost.iter().filter_map(|id| value::text(id)?.parse().ok()).collect())
}

/// Gives back what we hold, claimable at once by whoever claims after `lease` of idleness; the
/// delivery is not counted. Answers how many were still ours.
pub async fn give_back(session: &Session, of: &Group, lease: Duration, ids: &[EntryId]) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let call = GIVE_BACK.call().key(&of.stream).arg(&of.group).arg(&of.consumer).arg(HEIR).number(lease.as_millis());
    let call = ids.iter().fold(call, crate::script::Call::number);
    let given = session.invoke(&call).await?;
    value::int(&given).and_then(|count| u64::try_from(count).ok()).ok_or_else(|| Error::unexpected("give back", &given))
}

/// Takes our consumer's name for this process, or keeps it for another `lease`; `nonce` is the process. `false`: another
/// process has it.
pub async fn claim_name(session: &Session, of: &Group, nonce: &str, lease: Duration) -> Result<bool, Error> {
    let call = CLAIM_NAME.call().key(guard_key(of)).arg(nonce).number(lease.as_millis());
    Ok(value::int(&session.invoke(&call).await?) == Some(1))
}

/// Gives our consumer's name free.
pub async fn drop_name(session: &Session, of: &Group, nonce: &str) -> Result<(), Error> {
    session.invoke(&DROP_NAME.call().key(guard_key(of)).arg(nonce)).await.map(drop)
}

/// Whether a live process has its consumer's name for itself.
pub async fn is_guarded(session: &Session, of: &Group) -> Result<bool, Error> {
    let mut cmd = redis::Cmd::new();
    cmd.arg("GET").arg(guard_key(of));
    Ok(value::bytes(&session.run(&cmd).await?).is_some())
}

fn guard_key(of: &Group) -> String {
    format!("{}:consumer:{}:{}", of.stream, of.group, of.consumer)
}

/// Removes a consumer from the group, only if nothing is pending in its name.
pub async fn leave(session: &Session, of: &Group) -> Result<bool, Error> {
    let call = LEAVE.call().key(&of.stream).arg(&of.group).arg(&of.consumer);
    Ok(value::int(&session.invoke(&call).await?) == Some(1))
}
