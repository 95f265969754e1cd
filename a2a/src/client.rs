//! The HTTP client that fits an agent, and the addresses it may call.

use std::time::Duration;

use reqwest::Url;

/// Kept shorter than the 5 s after which common Python servers close an idle connection:
/// a request written just then is lost, and nobody can say whether it was read.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client: {0}; check the TLS set-up and the system's CA certificates")]
pub struct HttpClientError(#[source] reqwest::Error);

/// The address cannot be that of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Not an absolute URL.
    #[error("not a URL: {0}")]
    Syntax(String),
    /// Another scheme than `http` and `https`.
    #[error("the URL of an agent starts with http:// or https://")]
    Scheme,
    /// Credentials in the URL end up in logs.
    #[error("the URL of an agent must not contain a user name or password; use a bearer token")]
    Credentials,
}

/// A client that does exactly what it is told: no redirects, no proxy from the environment, no retries.
///
/// The TLS provider is the one the program installed, else reqwest's own. Without any CA certificate on the system
/// the client is made with none: `http://` agents work, `https://` agents fail to connect.
pub fn http_client(connect_timeout: Duration) -> Result<reqwest::Client, HttpClientError> {
    let builder = || {
        reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("a2a/", env!("CARGO_PKG_VERSION")))
    };
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(HttpClientError)
}

/// Reads the address of an agent: absolute, `http` or `https`, without credentials.
pub fn agent_url(text: &str) -> Result<Url, InvalidUrl> {
    let url = Url::parse(text).map_err(|error| InvalidUrl::Syntax(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidUrl::Credentials);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{InvalidUrl, agent_url};

    #[test]
    fn takes_only_addresses_of_agents() {
        assert!(agent_url("http://kagent:8083/api/a2a/kagent/triage/").is_ok());
        assert!(matches!(agent_url("kagent"), Err(InvalidUrl::Syntax(_))));
        assert_eq!(agent_url("file:///etc/passwd"), Err(InvalidUrl::Scheme));
        assert_eq!(agent_url("http://a:b@kagent/"), Err(InvalidUrl::Credentials));
    }
}
