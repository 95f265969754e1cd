//! Flags and environment variables, read once and whole: every mistake is reported at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use daemon::settings::parse;
use daemon::{LogFormat, Mistakes, TelemetrySettings, log_format_default};
use redis_stream::args::RedisArgs;
use redis_stream::endpoint::{Endpoint, HostPort, Locator, Password};

use crate::tls::{self, Files, Loaded};
use crate::trigger::Own;

const NO_REDIS: &str = "no Redis is given: set this, REDIS_SENTINELS or REDIS_URL";
const NO_REDIS_NOR_SAMPLE: &str =
    "no Redis is given: set this, REDIS_SENTINELS or REDIS_URL, or give numbers with --sample";

/// The database of a Redis that is not given.
const DATABASE: u16 = 4;

/// What a trigger may leave out, as given.
#[derive(Debug, clap::Args)]
pub struct OwnArgs {
    /// The stream of triggers that name none [default: incident:events]
    #[arg(long, env = "STREAM_NAME", hide_env_values = true, value_name = "KEY")]
    stream_name: Option<String>,
    /// The consumer group of triggers that name none [default: dispatch-group]
    #[arg(long, env = "CONSUMER_GROUP", hide_env_values = true, value_name = "NAME")]
    consumer_group: Option<String>,
    /// Other Sentinels that triggers may name, exactly as written there
    #[arg(long, env = "SCALER_ALLOWED_SENTINELS", hide_env_values = true, value_name = "HOST:PORT,...")]
    scaler_allowed_sentinels: Option<String>,
}

/// As given, unparsed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where KEDA's calls are taken [default: 0.0.0.0:6000]
    #[arg(long, env = "SCALER_ADDR", hide_env_values = true, value_name = "ADDR:PORT")]
    scaler_addr: Option<String>,
    /// Where /livez, /readyz and /metrics are [default: 0.0.0.0:9090]
    #[arg(long, env = "ADMIN_ADDR", hide_env_values = true, value_name = "ADDR:PORT")]
    admin_addr: Option<String>,
    #[command(flatten)]
    own: OwnArgs,
    /// Certificate of the gRPC port, PEM, with those between it and its authority [default: plain gRPC]
    #[arg(long, env = "SCALER_TLS_CERT_FILE", hide_env_values = true, value_name = "FILE")]
    scaler_tls_cert_file: Option<String>,
    /// Its private key, PEM
    #[arg(long, env = "SCALER_TLS_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    scaler_tls_key_file: Option<String>,
    /// Authorities of clients, PEM: KEDA then needs a certificate [default: it needs none]
    #[arg(long, env = "SCALER_TLS_CLIENT_CA_FILE", hide_env_values = true, value_name = "FILE")]
    scaler_tls_client_ca_file: Option<String>,
    /// From the request to stop until everything is cut off [default: 25s]
    #[arg(long, env = "SHUTDOWN_GRACE", hide_env_values = true, value_name = "TIME")]
    shutdown_grace: Option<String>,
    /// json or text [default: text on a terminal, else json]
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged: a level, or target=level,... [default: info]
    #[arg(long, env = "RUST_LOG", hide_env_values = true, value_name = "FILTER")]
    rust_log: Option<String>,
    /// Where spans are sent (OTLP over gRPC); none are without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_name = "URL")]
    otel_exporter_otlp_endpoint: Option<String>,
    /// Name in metrics and spans [default: stream-scaler]
    #[arg(long, env = "OTEL_SERVICE_NAME", hide_env_values = true, value_name = "NAME")]
    otel_service_name: Option<String>,
    #[command(flatten)]
    redis: RedisArgs,
}

/// Settings that are in order.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where KEDA's calls are taken.
    pub scaler_addr: SocketAddr,
    /// Where probes and metrics are.
    pub admin_addr: SocketAddr,
    /// The scaler's own Redis.
    pub endpoint: Endpoint,
    /// Defaults and limits of triggers.
    pub own: Own,
    /// Certificate, key and authorities of the gRPC port; absent means plain gRPC.
    pub tls: Option<(Files, Loaded)>,
    /// From the soft to the hard stop.
    pub grace: Duration,
    /// Logs, metrics, spans.
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Reads the arguments; all mistakes come back at once.
    pub fn new(args: Args) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new();
        let scaler_addr = mistakes.take(
            "SCALER_ADDR",
            args.scaler_addr.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], 6000)),
            parse::socket_addr,
        );
        let admin_addr = mistakes.take(
            "ADMIN_ADDR",
            args.admin_addr.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], 9090)),
            parse::socket_addr,
        );
        let grace = mistakes.take(
            "SHUTDOWN_GRACE",
            args.shutdown_grace.as_deref(),
            Duration::from_secs(25),
            parse::positive_duration,
        );
        let defaults = Defaults::new(&args.own, &mut mistakes);
        let telemetry = TelemetrySettings {
            service_name: text(&mut mistakes, "OTEL_SERVICE_NAME", args.otel_service_name.as_deref(), "stream-scaler"),
            log_format: mistakes.take(
                "LOG_FORMAT",
                args.log_format.as_deref(),
                log_format_default(),
                str::parse::<LogFormat>,
            ),
            filter: text(&mut mistakes, "RUST_LOG", args.rust_log.as_deref(), "info"),
            otlp_endpoint: mistakes.take_optional(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                args.otel_exporter_otlp_endpoint.as_deref(),
                parse::text,
            ),
        };
        let tls = secured(
            [args.scaler_tls_cert_file, args.scaler_tls_key_file, args.scaler_tls_client_ca_file],
            &mut mistakes,
        );
        let endpoint = endpoint(args.redis, Some(NO_REDIS), &mut mistakes);
        match endpoint {
            Some(endpoint) if mistakes.is_empty() => {
                let own = defaults.of(&endpoint);
                Ok(Self { scaler_addr, admin_addr, endpoint, own, tls, grace, telemetry })
            }
            _ => Err(mistakes),
        }
    }
}

/// What triggers are read with, without what only a server needs.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The scaler's own Redis; absent only where it may be.
    pub(crate) endpoint: Option<Endpoint>,
    /// Defaults and limits of triggers; without an endpoint, an address that stands for it.
    pub(crate) own: Own,
}

impl Reach {
    /// Reads the arguments; `optional` does without any Redis. All mistakes come back at once.
    pub(crate) fn read(own: &OwnArgs, redis: RedisArgs, optional: bool) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new();
        let defaults = Defaults::new(own, &mut mistakes);
        let db = redis.redis_db.as_deref().and_then(|db| db.trim().parse().ok()).unwrap_or(DATABASE);
        let endpoint = endpoint(redis, (!optional).then_some(NO_REDIS_NOR_SAMPLE), &mut mistakes);
        mistakes.finish()?;
        let nowhere = HostPort { host: "unknown".to_owned(), port: 1 };
        let stand_in = || Endpoint::plain(Locator::Direct(nowhere), db);
        let own = endpoint.as_ref().map_or_else(|| defaults.of(&stand_in()), |endpoint| defaults.of(endpoint));
        Ok(Self { endpoint, own })
    }
}

/// What a trigger may leave out.
struct Defaults {
    stream: String,
    group: String,
    allowed: BTreeSet<HostPort>,
}

impl Defaults {
    fn new(args: &OwnArgs, mistakes: &mut Mistakes) -> Self {
        Self {
            stream: text(mistakes, "STREAM_NAME", args.stream_name.as_deref(), "incident:events"),
            group: text(mistakes, "CONSUMER_GROUP", args.consumer_group.as_deref(), "dispatch-group"),
            allowed: mistakes.take(
                "SCALER_ALLOWED_SENTINELS",
                args.scaler_allowed_sentinels.as_deref(),
                BTreeSet::new(),
                addresses,
            ),
        }
    }

    fn of(&self, endpoint: &Endpoint) -> Own {
        let Self { stream, group, allowed } = self;
        Own {
            stream: stream.clone(),
            group: group.clone(),
            locator: endpoint.locator.clone(),
            db: endpoint.db,
            allowed: allowed.clone(),
        }
    }
}

/// The scaler's own Redis; `None` when something is wrong, which has been noted, or when none is given and that is
/// not `missing`.
fn endpoint(args: RedisArgs, missing: Option<&str>, mistakes: &mut Mistakes) -> Option<Endpoint> {
    let addresses = [&args.redis_url, &args.redis_url_file, &args.redis_sentinels, &args.redis_sentinel_host];
    let none = addresses.into_iter().flatten().all(|address| address.trim().is_empty());
    if let Some(missing) = missing.filter(|_| none) {
        mistakes.add("REDIS_SENTINEL_HOST", missing);
    }
    let settings = args.settings(|name, value, file| {
        let secret = mistakes.take_secret(name, value.as_deref(), file.as_deref())?;
        Some(Password::new(move || secret.read()))
    });
    match settings.parse() {
        Ok(endpoint) => endpoint,
        Err(problems) => {
            for problem in problems {
                mistakes.add(problem.setting, problem.problem);
            }
            None
        }
    }
}

/// Certificate, key and authorities of clients; `None` without TLS, and when something is wrong, which has been noted.
fn secured(files: [Option<String>; 3], mistakes: &mut Mistakes) -> Option<(Files, Loaded)> {
    let [cert, key, client_ca] = files.map(|file| file.filter(|file| !file.trim().is_empty()).map(PathBuf::from));
    let (cert, key) = match (cert, key, &client_ca) {
        (None, None, None) => return None,
        (Some(cert), Some(key), _) => (cert, key),
        (None, None, Some(_)) => {
            mistakes.add(tls::CLIENT_CA_FILE, "needs SCALER_TLS_CERT_FILE and SCALER_TLS_KEY_FILE");
            return None;
        }
        (Some(_), None, _) => {
            mistakes.add(tls::KEY_FILE, "must be given with SCALER_TLS_CERT_FILE");
            return None;
        }
        (None, Some(_), _) => {
            mistakes.add(tls::CERT_FILE, "must be given with SCALER_TLS_KEY_FILE");
            return None;
        }
    };
    let files = Files { cert, key, client_ca };
    match files.load() {
        Ok(loaded) => Some((files, loaded)),
        Err(problems) => {
            for problem in problems {
                mistakes.add(problem.setting, problem.problem);
            }
            None
        }
    }
}

fn text(mistakes: &mut Mistakes, name: &str, raw: Option<&str>, default: &str) -> String {
    mistakes.take(name, raw, default.to_owned(), parse::text)
}

fn addresses(raw: &str) -> Result<BTreeSet<HostPort>, String> {
    raw.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests;
