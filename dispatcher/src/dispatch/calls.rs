//! How a dispatch calls Redis and how it pauses: everything here ends when the work must.

use std::time::Duration;

use redis::Value;
use redis_stream::error::{Class, Error};
use redis_stream::retry::Delays;
use redis_stream::script::Call;

use super::dispatcher::{Dispatcher, Stop};
use super::held::Held;

/// Tries of a script that fails for good, before its entry is left alone for a while.
const TRIES: u32 = 3;

impl Dispatcher {
    /// Calls a script until Redis has answered it, or has refused it for good. It must be one that may be
    /// repeated.
    pub(super) async fn script(&self, held: &Held, call: &Call<'_>) -> Result<Value, Stop> {
        let mut delays = Delays::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut hopeless = 0;
        loop {
            match self.once(call).await {
                Ok(reply) => return Ok(reply),
                Err(error) if matches!(error.class(), Class::Configuration | Class::Fatal) && hopeless >= TRIES => {
                    return Err(self.give_up(held, &error));
                }
                Err(error) => {
                    self.metrics.redis_error(error.class());
                    hopeless += u32::from(matches!(error.class(), Class::Configuration | Class::Fatal));
                    tracing::debug!(entry = %held.entry.id, %error, "will try again");
                }
            }
            self.pause(held, delays.next_delay()).await?;
        }
    }

    /// Calls a script once, on the session there is.
    pub(super) async fn once(&self, call: &Call<'_>) -> Result<Value, Error> {
        let session = self.link.session(Duration::from_secs(1)).await?;
        session.invoke(call).await
    }

    /// Waits while nothing is running: a stop gives the entry back.
    pub(super) async fn pause(&self, held: &Held, pause: Duration) -> Result<(), Stop> {
        if self.stops.soft.is_cancelled() {
            return Err(Stop::GiveBack);
        }
        self.unless_stopped(held, tokio::time::sleep(pause)).await
    }

    /// A longer wait, which keeps no slot from others.
    pub(super) async fn rest(&self, held: &Held, pause: Duration) -> Result<(), Stop> {
        if self.stops.soft.is_cancelled() {
            return Err(Stop::GiveBack);
        }
        self.unless_stopped(held, held.rest(tokio::time::sleep(pause))).await
    }

    async fn unless_stopped(&self, held: &Held, waiting: impl Future<Output = ()>) -> Result<(), Stop> {
        tokio::select! {
            () = waiting => Ok(()),
            () = self.stops.soft.cancelled() => Err(Stop::GiveBack),
            () = held.lost() => {
                self.metrics.lease_lost();
                Err(Stop::Gone)
            }
        }
    }

    /// A key of another type, or an answer that cannot be read: the entry is left alone for a while,
    /// so that it does not keep a slot from its neighbours.
    pub(super) fn give_up(&self, held: &Held, error: &Error) -> Stop {
        self.metrics.redis_error(error.class());
        tracing::error!(entry = %held.entry.id, %error, "left alone for a while");
        Stop::LeaveAlone
    }
}
