//! The addresses of one scaler as gRPC's `round_robin` uses them: each call goes to the next one that is connected.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tonic::Status;

use super::Keda;

/// The pause before gRPC tries an address again (its connection back-off begins with it).
const RETRY: Duration = Duration::from_secs(1);

/// At least one address.
#[derive(Debug)]
pub(super) struct Addresses {
    all: Vec<Address>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Address {
    keda: Keda,
    /// When it could not be reached.
    failed: Mutex<Option<Instant>>,
}

impl Addresses {
    /// Of connections, or of what connects when it is first used.
    pub(super) fn new(scalers: impl IntoIterator<Item = Keda>) -> Result<Self> {
        let all: Vec<Address> = scalers.into_iter().map(Address::of).collect();
        all.first().context("a trigger without an address")?;
        Ok(Self { all, turn: AtomicUsize::new(0) })
    }

    /// Of a single one.
    pub(super) fn of(scaler: Keda) -> Self {
        Self { all: vec![Address::of(scaler)], turn: AtomicUsize::new(0) }
    }

    /// One call at the next address; those that could not be reached are passed over while there is another.
    pub(super) async fn call<T>(&self, how: impl AsyncFnOnce(&Keda) -> Result<T, Status>) -> Result<T, Status> {
        let address = self.next().ok_or_else(|| Status::internal("no address"))?;
        let outcome = how(&address.keda).await;
        address.note(&outcome);
        outcome
    }

    fn next(&self) -> Option<&Address> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, from) = self.all.split_at(turn);
        let mut in_turn = from.iter().chain(before);
        in_turn.clone().find(|address| address.is_ready()).or_else(|| in_turn.next())
    }
}

impl Address {
    fn of(keda: Keda) -> Self {
        Self { keda, failed: Mutex::default() }
    }

    fn is_ready(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_none_or(|at| at.elapsed() >= RETRY)
    }

    fn note<T>(&self, outcome: &Result<T, Status>) {
        // A scaler's own error has no source: the connection is good.
        let is_cut = outcome.as_ref().is_err_and(|status| status.source().is_some());
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = is_cut.then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_not_there_is_passed_over() -> Result<()> {
        let addresses = Addresses::new([Keda::lazy("127.0.0.1:1")?, Keda::lazy("127.0.0.1:2")?])?;
        let alike = |one: &Keda, other: &Keda| std::ptr::eq(one, other);
        let [first, second] = addresses.all.as_slice() else { anyhow::bail!("not two") };
        let cut = || {
            let mut status = Status::unavailable("cut");
            status.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
            status
        };
        let failed = addresses.call(async |keda| if alike(keda, &first.keda) { Err(cut()) } else { Ok(()) }).await;
        anyhow::ensure!(failed.is_err());
        for _ in 0..4 {
            let passed = addresses.call(async |keda| Ok(alike(keda, &second.keda))).await?;
            anyhow::ensure!(passed, "the one that is not there");
        }
        Ok(())
    }
}
