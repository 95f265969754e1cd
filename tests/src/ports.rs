//! Free TCP ports.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the ephemeral range, so that no outgoing connection takes a port before its server does.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that is free now and that this process hands out only once per 20,000.
///
/// Processes that run side by side start in different places, chosen by their process id.
pub fn free_port() -> Result<u16> {
    let start = std::process::id().wrapping_mul(127) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed) % COUNT);
        let offset = u16::try_from((start + step) % u32::from(COUNT))?;
        let port = FIRST + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}
