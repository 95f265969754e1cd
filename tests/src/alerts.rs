//! Alertmanager's webhook, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan};
use reqwest::Method;
use serde_json::{Value, json};

use crate::http;

/// One alert of a notification.
#[derive(Debug, Clone)]
pub struct Alert {
    /// `alertname`.
    pub name: String,
    /// Sixteen hexadecimal digits.
    pub fingerprint: String,
    /// `severity`.
    pub severity: String,
    /// The beginning of the episode.
    pub starts_at: Timestamp,
    /// The end of the episode; `None` while it fires.
    pub ends_at: Option<Timestamp>,
    /// Further labels.
    pub labels: Vec<(String, String)>,
    /// What the test agent is to do, e.g. `slow 2` (`tests/agents/README.md`).
    pub order: String,
}

impl Alert {
    /// A critical alert that fires since now; `number` decides the fingerprint.
    pub fn firing(number: u64, order: &str) -> Self {
        Self {
            name: "TestAlert".into(),
            fingerprint: format!("{number:016x}"),
            severity: "critical".into(),
            starts_at: Timestamp::now(),
            ends_at: None,
            labels: Vec::new(),
            order: order.into(),
        }
    }

    /// The same alert, resolved a second after it began.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        self.ends_at = self.starts_at.checked_add(1.second()).ok();
        self
    }

    fn status(&self) -> &'static str {
        if self.ends_at.is_some() { "resolved" } else { "firing" }
    }

    fn body(&self) -> Value {
        let mut labels = json!({"alertname": self.name, "severity": self.severity});
        if let Some(labels) = labels.as_object_mut() {
            let further = self.labels.iter();
            labels.extend(further.map(|(name, value)| (name.clone(), json!(value))));
        }
        let ends_at = match self.ends_at {
            Some(end) => end.to_string(),
            // Go's zero time: Alertmanager's "not known".
            None => "0001-01-01T00:00:00Z".into(),
        };
        json!({
            "status": self.status(),
            "labels": labels,
            "annotations": {
                "summary": format!("test alert {}", self.fingerprint),
                "description": format!("[agent: {}]", self.order),
            },
            "startsAt": self.starts_at.to_string(),
            "endsAt": ends_at,
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": self.fingerprint,
        })
    }
}

/// `count` firing alerts with the fingerprints `first`, `first + 1`, ...
pub fn burst(first: u64, count: u64, order: &str) -> Vec<Alert> {
    (first..first + count).map(|number| Alert::firing(number, order)).collect()
}

/// The body of one notification.
pub fn webhook(alerts: &[Alert]) -> Value {
    let firing = alerts.iter().any(|alert| alert.ends_at.is_none());
    json!({
        "version": "4",
        "receiver": "test",
        "status": if firing { "firing" } else { "resolved" },
        "groupKey": "{}:{alertname=\"TestAlert\"}",
        "groupLabels": {"alertname": "TestAlert"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "truncatedAlerts": 0,
        "alerts": alerts.iter().map(Alert::body).collect::<Vec<_>>(),
    })
}

/// Posts one notification to a hook (`http://host:port`); gives the status and the JSON answer.
///
/// An answer that is not JSON is given as a string.
pub async fn post(hook: &str, alerts: &[Alert]) -> Result<(u16, Value)> {
    post_body(hook, &webhook(alerts), None).await
}

/// A number of a hook's answer; a missing one is never right.
pub fn count(answer: &Value, what: &str) -> u64 {
    answer.get(what).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// Posts any JSON body to a hook, with an optional bearer token.
pub async fn post_body(hook: &str, body: &Value, token: Option<&str>) -> Result<(u16, Value)> {
    let url = format!("{hook}/webhook/alertmanager");
    let (status, answer) =
        http::request(Method::POST, &url, Some(body), token).await.context("the notification was not answered")?;
    let answer = serde_json::from_str(&answer).unwrap_or(Value::String(answer));
    Ok((status, answer))
}

/// GET on any URL, e.g. a probe or `/metrics`; gives the status and the body.
pub async fn get(url: &str) -> Result<(u16, String)> {
    http::request(Method::GET, url, None, None).await
}
