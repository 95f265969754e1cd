//! The `REDIS_*` settings, parsed in one place for both programs. All mistakes come back at once.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::endpoint::{Credentials, Endpoint, HostPort, Locator, Password, Tls};

/// A setting that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The variable's name.
    pub setting: &'static str,
    /// What is wrong and what is accepted; never the value of a secret.
    pub problem: String,
}

/// The settings as they were given. Absent and empty mean the same.
#[derive(Debug, Default, Clone)]
pub struct EndpointSettings {
    /// `REDIS_SENTINEL_HOST`
    pub sentinel_host: Option<String>,
    /// `REDIS_SENTINEL_PORT`, 26379
    pub sentinel_port: Option<String>,
    /// `REDIS_SENTINELS`, `host:port,...`
    pub sentinels: Option<String>,
    /// `REDIS_SENTINEL_MASTER_NAME`, `mymaster`
    pub master_name: Option<String>,
    /// `REDIS_URL`
    pub url: Option<Password>,
    /// `REDIS_DB`, 4
    pub db: Option<String>,
    /// `REDIS_USERNAME`
    pub username: Option<String>,
    /// `REDIS_PASSWORD` or `REDIS_PASSWORD_FILE`
    pub password: Option<Password>,
    /// `REDIS_SENTINEL_USERNAME`
    pub sentinel_username: Option<String>,
    /// `REDIS_SENTINEL_PASSWORD` or `REDIS_SENTINEL_PASSWORD_FILE`
    pub sentinel_password: Option<Password>,
    /// `REDIS_TLS`
    pub tls: Option<String>,
    /// `REDIS_TLS_CA_FILE`
    pub tls_ca_file: Option<String>,
    /// `REDIS_TLS_CERT_FILE`
    pub tls_cert_file: Option<String>,
    /// `REDIS_TLS_KEY_FILE`
    pub tls_key_file: Option<String>,
    /// `REDIS_SENTINEL_TLS`
    pub sentinel_tls: Option<String>,
}

impl EndpointSettings {
    /// The endpoint; `None` when no address was given at all.
    pub fn parse(self) -> Result<Option<Endpoint>, Vec<SettingProblem>> {
        let mut problems = Problems::default();
        let db = problems.number("REDIS_DB", given(self.db.as_deref()), 4);
        let files = self.tls_files(&mut problems);
        let tls_on = problems.flag("REDIS_TLS", given(self.tls.as_deref()));
        let sentinel_tls_on = problems.flag("REDIS_SENTINEL_TLS", given(self.sentinel_tls.as_deref()));
        let sentinels = self.sentinels(&mut problems);
        let url = self.url.as_ref().and_then(|url| problems.url(url));
        let node = Credentials { username: self.username.filter(|name| !name.is_empty()), password: self.password };
        let sentinel = Credentials {
            username: self.sentinel_username.filter(|name| !name.is_empty()),
            password: self.sentinel_password,
        };
        let master = given(self.master_name.as_deref()).unwrap_or("mymaster").to_owned();
        let sentinel_tls = sentinel_tls_on.then(|| files.clone());
        let endpoint = if let Some(url) = url {
            Some(Endpoint {
                locator: Locator::Direct(url.address),
                db: url.db.unwrap_or(db),
                node: Credentials {
                    username: url.username.or(node.username),
                    password: url.password.or(node.password),
                },
                tls: (url.tls || tls_on).then_some(files),
                sentinel,
                sentinel_tls,
            })
        } else if sentinels.is_empty() {
            None
        } else {
            let locator = Locator::Sentinel { sentinels, master };
            Some(Endpoint { locator, db, node, tls: tls_on.then_some(files), sentinel, sentinel_tls })
        };
        if problems.0.is_empty() { Ok(endpoint) } else { Err(problems.0) }
    }

    fn sentinels(&self, problems: &mut Problems) -> Vec<HostPort> {
        let port = problems.number("REDIS_SENTINEL_PORT", given(self.sentinel_port.as_deref()), 26379);
        if let Some(list) = given(self.sentinels.as_deref()) {
            return list.split(',').filter_map(|item| problems.parsed("REDIS_SENTINELS", item)).collect();
        }
        let Some(host) = given(self.sentinel_host.as_deref()) else { return Vec::new() };
        problems.parsed("REDIS_SENTINEL_HOST", &format!("{host}:{port}")).into_iter().collect()
    }

    fn tls_files(&self, problems: &mut Problems) -> Tls {
        let path = |raw: &Option<String>| given(raw.as_deref()).map(PathBuf::from);
        let tls = Tls {
            ca_file: path(&self.tls_ca_file),
            cert_file: path(&self.tls_cert_file),
            key_file: path(&self.tls_key_file),
        };
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            problems.add(
                "REDIS_TLS_CERT_FILE",
                "a client certificate needs both REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE",
            );
        }
        tls
    }
}

fn given(raw: Option<&str>) -> Option<&str> {
    raw.map(str::trim).filter(|text| !text.is_empty())
}

#[derive(Default)]
struct Problems(Vec<SettingProblem>);

impl Problems {
    fn add(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.0.push(SettingProblem { setting, problem: problem.into() });
    }

    fn number(&mut self, setting: &'static str, raw: Option<&str>, default: u16) -> u16 {
        raw.map_or(default, |text| {
            text.parse().unwrap_or_else(|_| {
                self.add(setting, format!("expected a number from 0 to 65535, got {text:?}"));
                default
            })
        })
    }

    fn flag(&mut self, setting: &'static str, raw: Option<&str>) -> bool {
        match raw.map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off" | "disable") => false,
            Some("true" | "1" | "yes" | "on" | "enable") => true,
            Some(text) => {
                self.add(setting, format!("expected true or false, got {text:?}"));
                false
            }
        }
    }

    fn parsed(&mut self, setting: &'static str, item: &str) -> Option<HostPort> {
        item.parse().map_err(|problem: String| self.add(setting, problem)).ok()
    }

    fn url(&mut self, url: &Password) -> Option<RedisUrl> {
        match url.read() {
            Ok(secret) => RedisUrl::parse(&secret).map_err(|problem| self.add("REDIS_URL", problem)).ok(),
            Err(error) => {
                self.add("REDIS_URL", format!("cannot be read: {error}"));
                None
            }
        }
    }
}

struct RedisUrl {
    address: HostPort,
    username: Option<String>,
    password: Option<Password>,
    db: Option<u16>,
    tls: bool,
}

impl RedisUrl {
    const EXPECTED: &str = "expected redis://[user:password@]host:port[/db] or rediss://...";

    fn parse(secret: &SecretString) -> Result<Self, String> {
        use redis::IntoConnectionInfo as _;
        use secrecy::ExposeSecret as _;
        let raw = secret.expose_secret();
        let info = raw.into_connection_info().map_err(|_| Self::EXPECTED.to_owned())?;
        let (host, port, tls) = match info.addr() {
            redis::ConnectionAddr::Tcp(host, port) => (host.clone(), *port, false),
            redis::ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port, true),
            _ => return Err(Self::EXPECTED.to_owned()),
        };
        let settings = info.redis_settings();
        let db = u16::try_from(settings.db()).map_err(|_| Self::EXPECTED.to_owned())?;
        // A URL without a path and one with /0 parse the same; only the written one overrides REDIS_DB.
        let path = raw.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let written = path.is_some_and(|(_, path)| path.starts_with(|c: char| c.is_ascii_digit()));
        Ok(Self {
            address: HostPort { host, port },
            username: settings.username().map(str::to_owned),
            password: settings.password().map(|text| Password::from(SecretString::from(text.to_owned()))),
            db: written.then_some(db),
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> EndpointSettings {
        EndpointSettings {
            url: Some(Password::from(SecretString::from(text.to_owned()))),
            db: Some("7".to_owned()),
            ..EndpointSettings::default()
        }
    }

    #[test]
    fn no_address_is_no_endpoint() {
        assert!(EndpointSettings::default().parse().unwrap().is_none());
    }

    #[test]
    fn the_present_systems_variables() {
        let settings = EndpointSettings { sentinel_host: Some("redis".to_owned()), ..EndpointSettings::default() };
        let endpoint = settings.parse().unwrap().unwrap();
        let expected = Locator::Sentinel { sentinels: vec!["redis:26379".parse().unwrap()], master: "mymaster".into() };
        assert_eq!((endpoint.locator, endpoint.db), (expected, 4));
        assert!(endpoint.tls.is_none() && endpoint.sentinel_tls.is_none());
    }

    #[test]
    fn a_url_bypasses_sentinel_and_its_database_wins() {
        let mut settings = url("rediss://u:p%40ss@localhost:6380/2");
        settings.sentinel_host = Some("redis".to_owned());
        let endpoint = settings.parse().unwrap().unwrap();
        assert_eq!(endpoint.locator, Locator::Direct("localhost:6380".parse().unwrap()));
        assert_eq!((endpoint.db, endpoint.tls.is_some()), (2, true));
        assert_eq!(endpoint.node.username.as_deref(), Some("u"));
        assert_eq!(url("redis://localhost:6380").parse().unwrap().unwrap().db, 7);
        assert_eq!(url("redis://localhost:6380/0").parse().unwrap().unwrap().db, 0);
    }

    #[test]
    fn all_mistakes_at_once_and_no_secret_in_them() {
        let settings = EndpointSettings {
            sentinels: Some("a:1,b,c:x".to_owned()),
            db: Some("four".to_owned()),
            tls: Some("perhaps".to_owned()),
            tls_cert_file: Some("/cert".to_owned()),
            url: Some(Password::from(SecretString::from("http://u:hunter2@h".to_owned()))),
            ..EndpointSettings::default()
        };
        let problems = settings.parse().unwrap_err();
        let names: Vec<_> = problems.iter().map(|p| p.setting).collect();
        let expected =
            ["REDIS_DB", "REDIS_TLS_CERT_FILE", "REDIS_TLS", "REDIS_SENTINELS", "REDIS_SENTINELS", "REDIS_URL"];
        assert_eq!(names, expected);
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
