//! One HTTP exchange: headers, deadline, body cap, and what a broken one means.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::bearer::Bearer;
use crate::classify::Class;
use crate::failure::{Cause, Failure};
use crate::judge::{http_cause, judge};
use crate::options::AgentOptions;
use crate::retry_after;
use crate::rpc_error::MAX_MESSAGE;
use crate::text::{chain, clean};
use crate::wire::Wire;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION: HeaderName = HeaderName::from_static("a2a-version");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// What is asked for.
enum Question<'a> {
    /// The result of a JSON-RPC call.
    Call { id: &'a str, body: &'a [u8] },
    /// A JSON document.
    Document(&'a Url),
}

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
    pub(crate) async fn call(&self, id: &str, body: &[u8]) -> Result<Value, Failure> {
        self.ask(&Question::Call { id, body }).await
    }

    /// Fetches a JSON document.
    pub(crate) async fn fetch(&self, url: &Url) -> Result<Value, Failure> {
        self.ask(&Question::Document(url)).await
    }

    /// Once; and once more if the token was refused and is another one by now. A refusal of credentials
    /// means that the request was not applied (RFC 9110, sections 15.5.2 and 15.5.4).
    async fn ask(&self, question: &Question<'_>) -> Result<Value, Failure> {
        let token = self.token().map_err(|cause| self.failure(cause, None))?;
        let refused = match self.ask_with(question, token.clone()).await {
            Err(failure) if failure.class() == Class::Credentials => failure,
            result => return result,
        };
        match self.token() {
            Ok(renewed) if renewed != token => self.ask_with(question, renewed).await,
            _ => Err(refused),
        }
    }

    async fn ask_with(&self, question: &Question<'_>, token: Option<HeaderValue>) -> Result<Value, Failure> {
        let request = match question {
            Question::Call { body, .. } => {
                self.http.post(self.options.url.clone()).header(CONTENT_TYPE, JSON).body(body.to_vec())
            }
            Question::Document(url) => self.http.get((*url).clone()),
        };
        let exchange = self.exchange(request, token).await.map_err(|cause| self.failure(cause, None))?;
        let result = match question {
            Question::Call { id, .. } => judge(exchange.status, &exchange.body, exchange.cut, id),
            Question::Document(_) => document(exchange.status, &exchange.body, exchange.cut),
        };
        result.map_err(|cause| self.failure(cause, exchange.retry_after))
    }

    pub(crate) fn failure(&self, cause: Cause, retry_after: Option<Duration>) -> Failure {
        Failure::new(self.wire, cause, retry_after)
    }

    /// The value of the `Authorization` header as it is now.
    fn token(&self) -> Result<Option<HeaderValue>, Cause> {
        let bearer = self.options.bearer.as_ref().map(Bearer::header).transpose();
        bearer.map_err(|error| Cause::Token(clean(&error.to_string(), MAX_MESSAGE)))
    }

    async fn exchange(&self, request: RequestBuilder, token: Option<HeaderValue>) -> Result<Exchange, Cause> {
        let request = request.headers(self.all_headers(token)?).timeout(self.timeout);
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
    fn all_headers(&self, token: Option<HeaderValue>) -> Result<HeaderMap, Cause> {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, JSON);
        headers.insert(VERSION, HeaderValue::from_static(self.wire.as_str()));
        if let Some(user_id) = &self.options.user_id {
            let value = HeaderValue::try_from(user_id)
                .map_err(|_| Cause::Request("the user id has characters that no header can carry".to_owned()))?;
            headers.insert(USER_ID, value);
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token);
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

fn document(status: StatusCode, body: &[u8], cut: Option<Cause>) -> Result<Value, Cause> {
    match cut {
        _ if !status.is_success() => Err(http_cause(status, body)),
        Some(cut) => Err(cut),
        None => serde_json::from_slice(body).map_err(|_| Cause::Protocol(status, "the body is not JSON")),
    }
}
