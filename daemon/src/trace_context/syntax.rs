//! The grammar of `traceparent` and `tracestate` (W3C Trace Context, sections 3.2 and 3.3).

use std::fmt;

const MAX_STATE_MEMBERS: usize = 32;
const MAX_STATE_LENGTH: usize = 512;
const SAMPLED: u8 = 1;

/// A valid traceparent: neither id is all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) flags: u8,
}

impl Traceparent {
    pub(super) fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.splitn(5, '-');
        let [version] = hex(parts.next()?)?;
        let trace_id: [u8; 16] = hex(parts.next()?)?;
        let span_id: [u8; 8] = hex(parts.next()?)?;
        let [flags] = hex(parts.next()?)?;
        let has_more = parts.next().is_some();
        // Version 255 is forbidden; only a later version may append fields.
        if version == 0xff || (version == 0 && has_more) {
            return None;
        }
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        let flags = if version == 0 { flags } else { flags & SAMPLED };
        Some(Self { trace_id, span_id, flags })
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", self.flags)
    }
}

/// Exactly `N` bytes in lower-case hexadecimal digits.
fn hex<const N: usize>(raw: &str) -> Option<[u8; N]> {
    let (pairs, rest) = raw.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// The list in its shortest form, `None` if it is empty or breaks a rule.
pub(super) fn tracestate(raw: &str) -> Option<String> {
    let mut keys: Vec<&str> = Vec::new();
    let mut members: Vec<&str> = Vec::new();
    for member in raw.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MAX_STATE_MEMBERS {
            return None;
        }
        keys.push(key);
        members.push(member);
    }
    let list = members.join(",");
    (!list.is_empty() && list.len() <= MAX_STATE_LENGTH).then_some(list)
}

/// `vendor` or `tenant@vendor`, each of lower-case letters, digits and `_-*/`.
fn is_key(key: &str) -> bool {
    let (tenant, vendor) = match key.split_once('@') {
        Some((tenant, vendor)) => (Some(tenant), vendor),
        None => (None, key),
    };
    match tenant {
        None => is_name(vendor, 256) && vendor.starts_with(|first: char| first.is_ascii_lowercase()),
        Some(tenant) => {
            is_name(tenant, 241) && is_name(vendor, 14) && vendor.starts_with(|first: char| first.is_ascii_lowercase())
        }
    }
}

fn is_name(name: &str, max: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
    name.len() <= max
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.bytes().all(allowed)
}

/// Printable ASCII without `,` and `=`, not empty, at most 256 characters.
fn is_value(value: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(allowed)
}
