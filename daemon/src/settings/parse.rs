//! Parsers of single values. An error says what was given and what is accepted.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Longer times are mistakes, and would overflow a clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// As much of a wrong value as a message repeats.
const SHOWN: usize = 60;

/// A time with a unit: `500ms`, `30s`, `1h 30m`, `7d` (a day is 24 hours), `PT30S`. At most ten years.
pub fn duration(raw: &str) -> Result<Duration, String> {
    const ACCEPTED: &str = "a number with a unit, such as 500ms, 30s, 20m, 24h or 7d";
    if raw.parse::<f64>().is_ok() {
        return Err(format!("{} has no unit; accepted: {ACCEPTED}", shown(raw)));
    }
    let wrong = || format!("{} is not a time; accepted: {ACCEPTED}", shown(raw));
    let span: Span = raw.parse().map_err(|_| wrong())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let time = Duration::try_from(time).map_err(|_| format!("{} is below zero", shown(raw)))?;
    if time > LONGEST {
        return Err(format!("{} is longer than ten years", shown(raw)));
    }
    Ok(time)
}

/// As [`duration`], above zero.
pub fn positive_duration(raw: &str) -> Result<Duration, String> {
    let time = duration(raw)?;
    if time.is_zero() {
        return Err(format!("{} must be above zero", shown(raw)));
    }
    Ok(time)
}

/// As [`positive_duration`], or `off`.
pub fn duration_or_off(raw: &str) -> Result<Option<Duration>, String> {
    if raw.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match positive_duration(raw) {
        Ok(time) => Ok(Some(time)),
        Err(problem) => Err(format!("{problem}, or off")),
    }
}

/// A whole number of milliseconds above zero, for the settings whose name ends in `_MS`. At most ten years.
pub fn millis(raw: &str) -> Result<Duration, String> {
    let longest = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
    number(1..=longest)(raw)
        .map(Duration::from_millis)
        .map_err(|problem| format!("{problem} (milliseconds, without a unit)"))
}

/// A whole number of bytes, with or without a unit: `1048576`, `1kB` (1000), `16MiB` (16 * 1024 * 1024). Case does not matter; `16Mi` is `16MiB`.
pub fn bytes(raw: &str) -> Result<u64, String> {
    const ACCEPTED: &str = "a whole number, alone or with B, kB, MB, GB, KiB, MiB or GiB";
    let wrong = || format!("{} is not a size; accepted: {ACCEPTED}", shown(raw));
    let unit_at = raw.find(|character: char| !character.is_ascii_digit()).unwrap_or(raw.len());
    let (digits, unit) = raw.split_at_checked(unit_at).ok_or_else(wrong)?;
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" | "ki" => 1 << 10,
        "mib" | "mi" => 1 << 20,
        "gib" | "gi" => 1 << 30,
        _ => return Err(wrong()),
    };
    if digits.is_empty() {
        return Err(wrong());
    }
    let too_large = || format!("{} is too large", shown(raw));
    let count: u64 = digits.parse().map_err(|_| too_large())?;
    count.checked_mul(factor).ok_or_else(too_large)
}

/// `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`; case does not matter.
pub fn boolean(raw: &str) -> Result<bool, String> {
    match raw.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{} is neither yes nor no; accepted: true, false, 1, 0, yes, no, on, off", shown(raw))),
    }
}

/// A whole number within `range`.
pub fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    move |raw| match raw.parse::<T>() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(format!(
            "{} is not accepted; accepted: a whole number from {} to {}",
            shown(raw),
            range.start(),
            range.end()
        )),
    }
}

/// One of some words.
pub fn one_of<T: Clone>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |raw| {
        let found = words.iter().find(|(word, _)| *word == raw);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("{} is not accepted; accepted: {}", shown(raw), accepted.join(", "))
        })
    }
}

/// An address to listen on: `0.0.0.0:8080`, `[::1]:8080`, or `:8080` for all IPv4 addresses.
pub fn socket_addr(raw: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!(
            "{} is not an address to listen on; accepted: ADDRESS:PORT or :PORT, such as 0.0.0.0:8080 or :8080",
            shown(raw)
        )
    };
    match raw.strip_prefix(':') {
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| wrong())?;
            Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        None => raw.parse().map_err(|_| wrong()),
    }
}

/// `host:port` of a peer. An IPv6 address stands in brackets and is returned without them.
pub fn host_port(raw: &str) -> Result<(String, u16), String> {
    let wrong = |problem: &str| {
        format!("{} {problem}; accepted: HOST:PORT, such as redis.example:26379 or [::1]:26379", shown(raw))
    };
    if raw.contains("://") {
        return Err(wrong("is a URL"));
    }
    let (host, port) = raw.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
    let port = match port.parse::<u16>() {
        Ok(port) if port > 0 => port,
        _ => return Err(wrong("has no valid port")),
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
        None if is_host_name(host) => host,
        _ => return Err(wrong("has no valid host")),
    };
    Ok((host.to_owned(), port))
}

/// A list of [`host_port`], separated by commas; blanks around them do not matter. At least one.
pub fn host_ports(raw: &str) -> Result<Vec<(String, u16)>, String> {
    raw.split(',').map(|one| host_port(one.trim())).collect()
}

/// Letters, digits, `-`, `_` and dots, as resolvers take them (Docker and Kubernetes names included).
fn is_host_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 253 && labels.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed))
}

/// A DNS label as Kubernetes takes it for a name (RFC 1123): lower-case letters, digits and `-`, not at the ends, at most 63.
pub fn dns_label(raw: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label =
        (1..=63).contains(&raw.len()) && raw.bytes().all(allowed) && !raw.starts_with('-') && !raw.ends_with('-');
    if is_label {
        return Ok(raw.to_owned());
    }
    Err(format!("{} is not a DNS label; accepted: 1 to 63 of a-z, 0-9 and -, not at the ends", shown(raw)))
}

/// Any text; it never fails.
pub fn text(raw: &str) -> Result<String, String> {
    Ok(raw.to_owned())
}

/// A wrong value, quoted, with control characters escaped and cut to a readable length.
fn shown(raw: &str) -> String {
    let head: String = raw.chars().take(SHOWN).collect();
    let more = if head.len() < raw.len() { "..." } else { "" };
    format!("{head:?}{more}")
}

#[cfg(test)]
mod tests;
