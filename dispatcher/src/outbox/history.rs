//! Whether what was seen written has survived a change of master: a metric and a log line. Nothing depends on it.

use std::sync::{Arc, Mutex, PoisonError};

use redis_stream::connection::Session;
use redis_stream::survival::{self, Token, Verdict};

use super::Outbox;
use super::outcomes::replication;
use crate::metrics::Metrics;

/// The note with the last token.
const TOKEN: &str = "token";

/// Compares histories, once for each connection.
pub struct History {
    outbox: Arc<Outbox>,
    metrics: Metrics,
    judged: Mutex<Option<u64>>,
}

impl History {
    /// No connection was judged yet.
    pub fn new(outbox: Arc<Outbox>, metrics: Metrics) -> Self {
        Self { outbox, metrics, judged: Mutex::default() }
    }

    /// Says what became of what had been written before this connection.
    pub async fn judge(&self, session: &Session) {
        if self.judged.lock().unwrap_or_else(PoisonError::into_inner).replace(session.id()) == Some(session.id()) {
            return;
        }
        let stored = self.outbox.read(|store| store.note(TOKEN)).await.ok().flatten();
        let Some(token) = stored.and_then(|bytes| parse(&bytes)) else { return };
        let Ok(info) = replication(session).await else { return };
        let verdict = survival::History::parse(&info).map_or(Verdict::Unknown, |history| history.verdict(&token));
        self.metrics.history(verdict);
        match verdict {
            Verdict::Survived => tracing::debug!("Redis has all that was written"),
            Verdict::Lost => tracing::warn!("Redis has lost writes; what is open is offered again"),
            Verdict::Unknown => tracing::warn!("Redis has another history; what is open is offered again"),
        }
    }

    /// Notes how far the present history goes.
    pub async fn keep(&self, session: &Session) {
        let Ok(info) = replication(session).await else { return };
        if let Some(history) = survival::History::parse(&info) {
            self.outbox.note(TOKEN, format!("{} {}", history.now.replid, history.now.offset).into_bytes());
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Token> {
    let (replid, offset) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    Some(Token { replid: replid.to_owned(), offset: offset.parse().ok()? })
}
