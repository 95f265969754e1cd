//! One HTTP exchange: headers, deadline, body cap, and what a broken one means.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::failure::{Cause, Failure};
use crate::options::AgentOptions;
use crate::parse::{Envelope, envelope};
use crate::retry_after;
use crate::rpc_error::MAX_MESSAGE;
use crate::text::{chain, clean};
use crate::wire::Wire;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION: HeaderName = HeaderName::from_static("a2a-version");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// An answer as far as it arrived.
struct Exchange {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
    /// Why the body is not whole.
    cut: Option<Cause>,
}

/// Who is asked, how, and for how long.
pub(crate) struct Caller<'a> {
    pub(crate) http: &'a Client,
    pub(crate) options: &'a AgentOptions,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) wire: Wire,
    pub(crate) timeout: Duration,
}

impl Caller<'_> {
    /// Sends one JSON-RPC call and gives its result.
    pub(crate) async fn call(&self, id: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let request = self.http.post(self.options.url.clone()).header(CONTENT_TYPE, JSON).body(body);
        let exchange = self.exchange(request).await.map_err(|cause| self.failure(cause, None))?;
        let cause = match (exchange.cut, exchange.status) {
            (Some(cut), status) if status.is_success() => cut,
            (_, status) => match envelope(&exchange.body, status, id) {
                Envelope::Result(result) => return Ok(result),
                Envelope::Error(error) => Cause::Rpc(error),
                Envelope::Unusable(problem) if status.is_success() => Cause::Protocol(status, problem),
                Envelope::Unusable(_) => http_cause(status, &exchange.body),
            },
        };
        Err(self.failure(cause, exchange.retry_after))
    }

    /// Fetches a JSON document.
    pub(crate) async fn fetch(&self, url: Url) -> Result<Value, Failure> {
        let exchange = self.exchange(self.http.get(url)).await.map_err(|cause| self.failure(cause, None))?;
        let status = exchange.status;
        let cause = match exchange.cut {
            _ if !status.is_success() => http_cause(status, &exchange.body),
            Some(cut) => cut,
            None => match serde_json::from_slice(&exchange.body) {
                Ok(value) => return Ok(value),
                Err(_) => Cause::Protocol(status, "the body is not JSON"),
            },
        };
        Err(self.failure(cause, exchange.retry_after))
    }

    pub(crate) fn failure(&self, cause: Cause, retry_after: Option<Duration>) -> Failure {
        Failure::new(self.wire, cause, retry_after)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Exchange, Cause> {
        let request = request.headers(self.all_headers()?).timeout(self.timeout);
        let response = request.send().await.map_err(|error| self.transport(error))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, SystemTime::now()));
        let (body, cut) = self.read(response).await;
        Ok(Exchange { status, retry_after, body, cut })
    }

    /// The caller's headers, and over them those that the protocol and the options fix.
    fn all_headers(&self) -> Result<HeaderMap, Cause> {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, JSON);
        headers.insert(VERSION, HeaderValue::from_static(self.wire.as_str()));
        if let Some(user_id) = &self.options.user_id {
            let value = HeaderValue::try_from(user_id)
                .map_err(|_| Cause::Request("the user id has characters that no header can carry".to_owned()))?;
            headers.insert(USER_ID, value);
        }
        if let Some(bearer) = &self.options.bearer {
            let value = bearer.header().map_err(|error| Cause::Token(clean(&error.to_string(), MAX_MESSAGE)))?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// Reads until the end, the cap or the first trouble.
    async fn read(&self, mut response: Response) -> (Vec<u8>, Option<Cause>) {
        let limit = self.options.max_body;
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return (body, Some(Cause::TooLarge(limit))),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return (body, None),
                Err(error) => return (body, Some(self.transport(error))),
            }
        }
    }

    /// Only a failed connect proves that the request did not leave.
    fn transport(&self, error: reqwest::Error) -> Cause {
        let error = error.without_url();
        let reason = clean(&chain(&error), MAX_MESSAGE);
        if error.is_builder() {
            Cause::Request(reason)
        } else if error.is_connect() {
            Cause::Connect(reason)
        } else if error.is_timeout() {
            Cause::Timeout(self.timeout)
        } else {
            Cause::Lost(reason)
        }
    }
}

fn http_cause(status: StatusCode, body: &[u8]) -> Cause {
    let start = body.get(..body.len().min(2 * MAX_MESSAGE)).unwrap_or_default();
    Cause::Http(status, clean(&String::from_utf8_lossy(start), MAX_MESSAGE))
}
