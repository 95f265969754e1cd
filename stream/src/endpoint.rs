//! What to connect to: a master found through Sentinel, or one fixed address.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::SecretString;

/// A host name or IP address with a port. Names are resolved anew at every connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Host name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What stands before an @ may be a password.
        let expected = || {
            if text.contains('@') {
                "expected host:port, got something with an @ in it; a URL belongs into REDIS_URL".to_owned()
            } else {
                format!("expected host:port, got {text:?}")
            }
        };
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(expected)?;
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| expected())?;
        if host.is_empty()
            || port == 0
            || host.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@'))
        {
            return Err(expected());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// A password that is read at every connect, so that a changed file takes effect.
#[derive(Clone)]
pub struct Password(Arc<dyn Fn() -> io::Result<SecretString> + Send + Sync>);

impl Password {
    /// A password from wherever `read` takes it.
    pub fn new(read: impl Fn() -> io::Result<SecretString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The password as it is now.
    pub fn read(&self) -> io::Result<SecretString> {
        (self.0)()
    }
}

impl From<SecretString> for Password {
    fn from(secret: SecretString) -> Self {
        Self::new(move || Ok(secret.clone()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// Who we are to a server (`AUTH`, ACL).
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// ACL user; absent means the default user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Password>,
}

/// TLS of a connection. Files are read at every connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate authorities (PEM); absent means those of the system.
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM), together with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// Client key (PEM).
    pub key_file: Option<PathBuf>,
}

/// How the master is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locator {
    /// This node, without Sentinel; it must say that it is a master.
    Direct(HostPort),
    /// Whom the Sentinels name.
    Sentinel {
        /// The configured Sentinels; more are learned from them.
        sentinels: Vec<HostPort>,
        /// The name of the master in Sentinel's configuration.
        master: String,
    },
}

/// A Redis database and everything needed to reach it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// How the master is found.
    pub locator: Locator,
    /// Database index (`SELECT`).
    pub db: u16,
    /// Credentials for the Redis nodes.
    pub node: Credentials,
    /// TLS to the Redis nodes; absent means plain TCP.
    pub tls: Option<Tls>,
    /// Credentials for Sentinel.
    pub sentinel: Credentials,
    /// TLS to Sentinel; absent means plain TCP.
    pub sentinel_tls: Option<Tls>,
}

impl Endpoint {
    /// Plain TCP, without credentials.
    pub fn plain(locator: Locator, db: u16) -> Self {
        let (node, sentinel) = (Credentials::default(), Credentials::default());
        Self { locator, db, node, tls: None, sentinel, sentinel_tls: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_names_and_ipv6() {
        for text in ["redis-node-0.redis-headless:26379", "10.0.0.1:6379", "[::1]:6379"] {
            assert_eq!(text.parse::<HostPort>().map(|a| a.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_an_address() {
        for text in ["", "host", "host:", ":6379", "host:0", "host:70000", "a b:1", "http://x:1"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_in_place_of_an_address_is_not_repeated() {
        let problem = "redis://:hunter2@host:6379".parse::<HostPort>().unwrap_err();
        assert!(problem.contains("REDIS_URL") && !problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn a_password_is_never_printed() {
        let password = Password::from(SecretString::from("hunter2"));
        assert!(!format!("{password:?}").contains("hunter2"));
    }
}
