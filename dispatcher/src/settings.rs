//! Flags and environment, parsed whole into what each command needs. All mistakes come back at once.

pub mod args;
mod outbox;
mod profiles;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use a2a::{Bearer, Mode, Version};
use daemon::settings::parse;
use daemon::{LogFormat, Mistakes, Secret, TelemetrySettings, log_format_default};
use redis_stream::args::RedisArgs;
use redis_stream::endpoint::{Endpoint, Password};
use redis_stream::reader::Group;

use crate::dispatch::agents::{AgentSettings, UrlTemplate};
use crate::dispatch::dispatcher::DispatchSettings;
use crate::dispatch::names::Names;
use crate::dispatch::outcome::{OnResolved, OnUncertain};
use crate::dispatch::profile::{ContextPolicy, Limits, Profile, Recovery};
use crate::hook::intake::IntakeSettings;
use crate::hook::payload::Filter;
use args::{AgentArgs, AlertArgs, HookArgs, KeepArgs, LineArgs, ProcessArgs, WorkArgs};
pub use outbox::{PublishSettings, outbox, state_file};

const MIB: u64 = 1024 * 1024;

/// The process: where it is observed, how it stops, what it says.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// Liveness, readiness, metrics.
    pub admin_addr: SocketAddr,
    /// From SIGTERM to the end.
    pub grace: Duration,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
}

/// Redis and the names in it.
#[derive(Debug, Clone)]
pub struct LineSettings {
    /// Where Redis is; absent when nothing was given.
    pub endpoint: Option<Endpoint>,
    /// Streams, group and keys.
    pub names: Arc<Names>,
    /// Names this process where the consumer's name was set by hand.
    pub nonce: Option<String>,
    /// The agent of entries and alerts that name none.
    pub default_agent: String,
    /// How agents are reached.
    pub agents: AgentSettings,
}

/// The worker.
#[derive(Debug, Clone)]
pub struct WorkSettings {
    /// Dispatches in flight.
    pub width: usize,
    /// Longest blocking read.
    pub block: Duration,
    /// How incidents are handed to agents.
    pub dispatch: DispatchSettings,
}

/// The hook.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// Where webhooks come in.
    pub http_addr: SocketAddr,
    /// Expected bearer token.
    pub token: Option<Secret>,
    /// Longest body, bytes.
    pub max_body: usize,
    /// What is taken in.
    pub intake: IntakeSettings,
}

/// Reads `ProcessArgs`.
pub fn process(args: &ProcessArgs, mistakes: &mut Mistakes) -> ProcessSettings {
    let text = parse::text;
    ProcessSettings {
        admin_addr: mistakes.take(
            "ADMIN_ADDR",
            args.admin_addr.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], 9090)),
            parse::socket_addr,
        ),
        grace: mistakes.take(
            "SHUTDOWN_GRACE",
            args.shutdown_grace.as_deref(),
            Duration::from_secs(25),
            parse::positive_duration,
        ),
        telemetry: TelemetrySettings {
            service_name: mistakes.take(
                "OTEL_SERVICE_NAME",
                args.otel_service_name.as_deref(),
                "stream-dispatcher".to_owned(),
                text,
            ),
            log_format: mistakes.take(
                "LOG_FORMAT",
                args.log_format.as_deref(),
                log_format_default(),
                str::parse::<LogFormat>,
            ),
            filter: mistakes.take("RUST_LOG", args.rust_log.as_deref(), "info".to_owned(), text),
            otlp_endpoint: mistakes.take_optional(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                args.otel_exporter_otlp_endpoint.as_deref(),
                text,
            ),
        },
    }
}

/// Reads Redis, names and agents.
pub fn line(args: LineArgs, mistakes: &mut Mistakes) -> Option<LineSettings> {
    let LineArgs { redis, stream, agents } = args;
    let endpoint = endpoint(redis, mistakes);
    let mut name = |setting: &str, raw: &Option<String>, default: &str| {
        mistakes.take(setting, raw.as_deref(), default.to_owned(), parse::text)
    };
    let by_hand = stream.consumer_name.as_deref().is_some_and(|name| !name.trim().is_empty());
    let nonce = by_hand.then(|| format!("{:032x}", fastrand::u128(..)));
    let names = Names {
        group: Group {
            stream: name("STREAM_NAME", &stream.stream_name, "incident:events"),
            group: name("CONSUMER_GROUP", &stream.consumer_group, "dispatch-group"),
            consumer: name("CONSUMER_NAME", &stream.consumer_name, &consumer_name()),
        },
        dead_letters: name("DLQ_STREAM", &stream.dlq_stream, "incident:events:dlq"),
        parked: name("PARKED_STREAM", &stream.parked_stream, "incident:events:parked"),
        routing: name("ROUTING_KEY", &stream.routing_key, "incident:routing"),
    };
    let default_agent = name("ALERTMANAGER_TARGET_AGENT", &agents.alertmanager_target_agent, "triage-agent");
    let agents = agent_settings(&agents, &default_agent, mistakes)?;
    Some(LineSettings { endpoint, names: Arc::new(names), nonce, default_agent, agents })
}

/// Host name and a nonce of this start: a restarted process is another consumer.
fn consumer_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let nonce = fastrand::u32(..);
    format!("{}-{nonce:08x}", if host.is_empty() { "worker" } else { host })
}

fn agent_settings(args: &AgentArgs, default_agent: &str, mistakes: &mut Mistakes) -> Option<AgentSettings> {
    const DEFAULT: &str = "http://kagent-controller.kagent:8083/api/a2a/{namespace}/{agent}/";
    let template = mistakes.take_required(
        "KAGENT_A2A_URL",
        args.kagent_a2a_url.as_deref().or(Some(DEFAULT)),
        str::parse::<UrlTemplate>,
    );
    let namespace =
        mistakes.take("AGENT_NAMESPACE", args.agent_namespace.as_deref(), "kagent".to_owned(), parse::dns_label);
    if let Err(error) = crate::dispatch::agents::AgentName::parse(default_agent, &namespace) {
        mistakes.add("ALERTMANAGER_TARGET_AGENT", error.to_string());
    }
    let bearer = mistakes.take_secret(
        "INTERNAL_A2A_BEARER_TOKEN",
        args.internal_a2a_bearer_token.as_deref(),
        args.internal_a2a_bearer_token_file.as_deref(),
    );
    let version = mistakes.take("A2A_VERSION", args.a2a_version.as_deref(), Version::Auto, profiles::version);
    let user_id =
        mistakes.take("A2A_USER_ID", args.a2a_user_id.as_deref(), "stream-dispatcher".to_owned(), header_text);
    let on_uncertain = mistakes.take(
        "ON_UNCERTAIN",
        args.on_uncertain.as_deref(),
        OnUncertain::Resend,
        parse::one_of(profiles::POLICIES),
    );
    let run_deadline = mistakes.take(
        "RUN_DEADLINE",
        args.run_deadline.as_deref(),
        Duration::from_secs(20 * 60),
        parse::positive_duration,
    );
    let general = Profile {
        template: template?,
        version,
        mode: Mode::NonBlocking,
        recovery: Recovery::Auto,
        context: ContextPolicy::PerIncident,
        on_uncertain,
        user_id,
        bearer: bearer.map(|secret| Bearer::new(move || secret.read())),
        send_timeout: Duration::from_secs(30),
        run_deadline,
        limits: Limits::DEFAULT,
    };
    let profiles = profiles::profiles(args.config.as_deref(), general, &namespace, mistakes);
    Some(AgentSettings { namespace, profiles })
}

fn header_text(text: &str) -> Result<String, String> {
    match http::HeaderValue::from_str(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("cannot stand in an HTTP header".to_owned()),
    }
}

fn endpoint(args: RedisArgs, mistakes: &mut Mistakes) -> Option<Endpoint> {
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

/// Reads `KeepArgs`: how long entries that were taken care of stay; absent: for ever.
pub fn keep(args: &KeepArgs, mistakes: &mut Mistakes) -> Option<Duration> {
    let day = Duration::from_secs(24 * 3600);
    let keep = mistakes.take("STREAM_KEEP", args.stream_keep.as_deref(), day, |raw| match raw {
        "0" => Ok(Duration::ZERO),
        _ => parse::duration(raw),
    });
    (!keep.is_zero()).then_some(keep)
}

/// Reads `WorkArgs`.
pub fn work(args: &WorkArgs, mistakes: &mut Mistakes) -> WorkSettings {
    let day = Duration::from_secs(24 * 3600);
    let give_up_after = mistakes.take("GIVE_UP_AFTER", args.give_up_after.as_deref(), day, parse::positive_duration);
    let lease = mistakes.take("MIN_IDLE_MS", args.min_idle_ms.as_deref(), Duration::from_secs(30), parse::millis);
    let usual = Duration::from_secs(1).min(lease / 2);
    let block = mistakes.take("BLOCK_MS", args.block_ms.as_deref(), usual, parse::millis);
    if lease < Duration::from_secs(1) {
        mistakes.add("MIN_IDLE_MS", "a lease must be at least 1000 ms");
    }
    if block > lease / 2 {
        mistakes.add("BLOCK_MS", "must be at most half of MIN_IDLE_MS: a lease runs from the start of the read");
    }
    if block > Duration::from_secs(10) || block.is_zero() {
        mistakes.add("BLOCK_MS", "expected 1 to 10000: a longer read would hide a dead master");
    }
    let settles = mistakes.take("RESOLVED_SETTLES", args.resolved_settles.as_deref(), false, parse::boolean);
    WorkSettings {
        width: mistakes.take("DISPATCHER_WORKERS", args.dispatcher_workers.as_deref(), 10, parse::number(1..=100_000)),
        block,
        dispatch: DispatchSettings {
            lease,
            max_attempts: mistakes.take("MAX_ATTEMPTS", args.max_attempts.as_deref(), 5, parse::number(1..=1000)),
            give_up_after,
            ack_on_accepted: mistakes.take(
                "ACK_ON",
                args.ack_on.as_deref(),
                false,
                parse::one_of(&[("settled", false), ("accepted", true)]),
            ),
            on_resolved: if settles { OnResolved::Settle } else { OnResolved::Run },
        },
    }
}

/// Reads what belongs to the hook.
pub fn hook(args: &HookArgs, alerts: &AlertArgs, target: &str, mistakes: &mut Mistakes) -> HookSettings {
    let severities = mistakes.take(
        "ALERTMANAGER_ALLOWED_SEVERITIES",
        alerts.alertmanager_allowed_severities.as_deref(),
        vec!["critical".to_owned()],
        |list| Ok(list.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()),
    );
    let resolved = mistakes.take(
        "ALERTMANAGER_INCLUDE_RESOLVED",
        alerts.alertmanager_include_resolved.as_deref(),
        false,
        parse::boolean,
    );
    let max_body = mistakes.take("WEBHOOK_MAX_BODY", args.webhook_max_body.as_deref(), 16 * MIB, parse::bytes);
    HookSettings {
        http_addr: mistakes.take(
            "HTTP_ADDR",
            args.http_addr.as_deref(),
            SocketAddr::from(([0, 0, 0, 0], 8080)),
            parse::socket_addr,
        ),
        token: mistakes.take_secret(
            "WEBHOOK_BEARER_TOKEN",
            args.webhook_bearer_token.as_deref(),
            args.webhook_bearer_token_file.as_deref(),
        ),
        max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
        intake: IntakeSettings {
            filter: Filter { severities, resolved },
            target: target.to_owned(),
            episode_slack: mistakes.take(
                "EPISODE_SLACK",
                alerts.episode_slack.as_deref(),
                Duration::from_secs(300),
                parse::duration,
            ),
            rerun_after: mistakes
                .take_optional("ALERT_RERUN_AFTER", alerts.alert_rerun_after.as_deref(), parse::duration_or_off)
                .flatten(),
        },
    }
}

/// Notes that no Redis was given, for commands that cannot do without.
pub fn require_redis(line: Option<&LineSettings>, mistakes: &mut Mistakes) {
    if line.is_some_and(|line| line.endpoint.is_none()) {
        mistakes.add("REDIS_SENTINEL_HOST", "no Redis is given; set this, REDIS_SENTINELS or REDIS_URL");
    }
}
