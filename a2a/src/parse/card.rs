//! Reading agent cards of both versions, and the cards that serve both.

use serde_json::Value;

use super::{items, text};
use crate::card::Card;
use crate::text::clean;
use crate::wire::Wire;

/// Longest name that is kept, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// The card, if it is one: some servers answer the card's address with a JSON-RPC error and HTTP 200.
pub(crate) fn card(value: &Value) -> Option<Card> {
    let name = Some(clean(text(value, "name")?, MAX_NAME)).filter(|name| !name.is_empty())?;
    let interfaces = items(value, "supportedInterfaces");
    if interfaces.is_empty() {
        text(value, "url")?;
    }
    let mut wires = Vec::new();
    let offered = interfaces.iter().filter_map(interface).chain(old_interface(value, interfaces));
    for wire in offered {
        if !wires.contains(&wire) {
            wires.push(wire);
        }
    }
    Some(Card { name, wires })
}

/// One element of 1.0's `supportedInterfaces`.
fn interface(value: &Value) -> Option<Wire> {
    if text(value, "protocolBinding").is_some_and(|binding| binding != "JSONRPC") {
        return None;
    }
    wire(text(value, "protocolVersion")?)
}

/// 0.3 has its one interface at the top level, where the version may be absent.
fn old_interface(card: &Value, interfaces: &[Value]) -> Option<Wire> {
    text(card, "url")?;
    if text(card, "preferredTransport").is_some_and(|transport| transport != "JSONRPC") {
        return None;
    }
    match text(card, "protocolVersion") {
        Some(version) => wire(version),
        None if interfaces.is_empty() => Some(Wire::V03),
        None => None,
    }
}

/// `0.2.x` and `0.3.x` are spoken like 0.3, `1.x` like 1.0.
fn wire(version: &str) -> Option<Wire> {
    match version.split_once('.').map_or((version, ""), |(major, rest)| (major, rest)) {
        ("1", _) => Some(Wire::V10),
        ("0", rest) if rest.starts_with('2') || rest.starts_with('3') => Some(Wire::V03),
        _ => None,
    }
}
