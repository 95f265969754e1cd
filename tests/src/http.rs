//! The HTTP client of the test side.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, Method};
use serde_json::Value;

/// A client for plain `http://`, which needs no certificates of the machine.
pub(crate) fn client() -> Result<Client> {
    Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(15))
        .build()
        .context("cannot build an HTTP client")
}

/// One request with an optional JSON body and bearer token; gives the status and the body.
pub(crate) async fn request(
    method: Method,
    url: &str,
    body: Option<&Value>,
    token: Option<&str>,
) -> Result<(u16, String)> {
    let mut request = client()?.request(method, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}
