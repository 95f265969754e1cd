//! Opening one connection: name resolution, TLS, AUTH, SELECT, all within one deadline.

use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, RedisConnectionInfo, TlsCertificates, Value, io::tcp::TcpSettings,
};
use secrecy::ExposeSecret as _;

use crate::endpoint::{Credentials, HostPort, Tls};
use crate::error::Error;

/// Unacknowledged bytes for this long close the connection (`TCP_USER_TIMEOUT`): a partition shows
/// even while nothing is awaited.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that a connection to one server needs.
pub(crate) struct Dial<'a> {
    pub(crate) address: &'a HostPort,
    pub(crate) credentials: &'a Credentials,
    pub(crate) tls: Option<&'a Tls>,
    pub(crate) db: u16,
    pub(crate) within: Duration,
}

impl Dial<'_> {
    /// Connects; `pushes` receives subscription messages and the notice that the socket closed.
    /// Response deadlines are the caller's: `redis` would abandon a blocked read after 500 ms and
    /// the server would still deliver to it.
    pub(crate) async fn open(&self, pushes: impl AsyncPushSender) -> Result<MultiplexedConnection, Error> {
        let client = self.client()?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.within))
            .set_response_timeout(None)
            .set_push_sender(pushes);
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        match tokio::time::timeout(self.within, connect).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(_) => Err(self.unreachable(&format!("no connection within {:?}", self.within), self.silence())),
        }
    }

    fn failed(&self, error: redis::RedisError) -> Error {
        let (timed_out, refused) = (error.is_timeout(), error.is_connection_refusal());
        let dropped = error.is_connection_dropped() && !refused;
        if error.code().is_none()
            && let Some(advice) = certificate_advice(&error.to_string())
        {
            return Error::configuration(format!("{}: {error} ({advice})", self.address));
        }
        let answered = error.code().is_some();
        let error = Error::from(error);
        if answered || error.class() == crate::error::Class::Configuration {
            return error.while_doing(&self.address.to_string());
        }
        let hint = if timed_out { self.silence() } else { "" };
        let hint = if dropped && self.tls.is_none() { " (if this port expects TLS, set REDIS_TLS)" } else { hint };
        self.unreachable(&error.to_string(), hint)
    }

    fn unreachable(&self, what: &str, hint: &str) -> Error {
        Error::unreachable(format!("{}: {what}{hint}", self.address))
    }

    /// A server that does not speak TLS waits for the end of what is no command to it.
    fn silence(&self) -> &'static str {
        if self.tls.is_some() { " (REDIS_TLS is on: does this port speak TLS?)" } else { "" }
    }

    fn client(&self) -> Result<Client, Error> {
        let info = self.info()?;
        match self.tls {
            None => Client::open(info).map_err(|error| self.failed(error)),
            Some(tls) => Client::build_with_tls(info, certificates(tls)?).map_err(|error| {
                Error::configuration(format!("TLS settings for {} cannot be used: {error}", self.address))
            }),
        }
    }

    fn info(&self) -> Result<ConnectionInfo, Error> {
        let HostPort { host, port } = self.address.clone();
        let address = match self.tls {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        };
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(USER_TIMEOUT);
        let info = address.into_connection_info()?;
        Ok(info.set_tcp_settings(tcp).set_redis_settings(self.settings()?))
    }

    fn settings(&self) -> Result<RedisConnectionInfo, Error> {
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_skip_set_lib_name()
            .set_db(i64::from(self.db));
        if let Some(username) = &self.credentials.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.credentials.password {
            let secret = password.read().map_err(|error| {
                Error::configuration(format!("the password for {} cannot be read: {error}", self.address))
            })?;
            settings = settings.set_password(secret.expose_secret());
        }
        Ok(settings)
    }
}

/// What to look at when one side refuses the other's certificate; the words are those of rustls.
fn certificate_advice(error: &str) -> Option<&'static str> {
    if error.contains("invalid peer certificate") {
        return Some("check REDIS_TLS_CA_FILE, and that the server's certificate has the name it is reached by");
    }
    error.contains("received fatal alert").then_some("check REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE")
}

fn certificates(tls: &Tls) -> Result<TlsCertificates, Error> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| Error::configuration(format!("{} cannot be read: {error}", path.display())))
    };
    let client_tls = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    let root_cert = tls.ca_file.as_deref().map(read).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}

/// One command with a deadline, on a connection that nobody else waits for.
pub(crate) async fn ask(connection: &mut MultiplexedConnection, cmd: &Cmd, within: Duration) -> Result<Value, Error> {
    match tokio::time::timeout(within, connection.send_packed_command(cmd)).await {
        Ok(reply) => unwrap_server_error(reply?),
        Err(_) => Err(Error::unanswered(format!("no answer within {within:?}"))),
    }
}

/// A pipeline with a deadline; each command has its own verdict.
pub(crate) async fn ask_all(
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
    within: Duration,
) -> Result<Vec<Result<Value, Error>>, Error> {
    let count = pipeline.len();
    match tokio::time::timeout(within, connection.send_packed_commands(pipeline, 0, count)).await {
        Ok(replies) => Ok(replies?.into_iter().map(unwrap_server_error).collect()),
        Err(_) => Err(Error::unanswered(format!("no answer within {within:?}"))),
    }
}

fn unwrap_server_error(value: Value) -> Result<Value, Error> {
    match value {
        Value::ServerError(error) => Err(Error::from_server(error.code(), error.details().unwrap_or_default())),
        value => Ok(value),
    }
}
