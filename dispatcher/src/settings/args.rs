//! Flags and variables as they are given, unparsed. The doc comments are the help texts.

use clap::Args;
use redis_stream::args::RedisArgs;

/// Where Redis and the agents are: the same in every command.
#[derive(Debug, Clone, Default, Args)]
pub struct LineArgs {
    /// Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Names in it.
    #[command(flatten)]
    pub stream: StreamArgs,
    /// The agents.
    #[command(flatten)]
    pub agents: AgentArgs,
}

/// Names in Redis.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamArgs {
    /// The stream of incidents [default: incident:events]
    #[arg(long, env = "STREAM_NAME", hide_env_values = true, value_name = "KEY")]
    pub stream_name: Option<String>,
    /// The consumer group [default: dispatch-group]
    #[arg(long, env = "CONSUMER_GROUP", hide_env_values = true, value_name = "NAME")]
    pub consumer_group: Option<String>,
    /// This process' name in the group; a second live process with the same ends with an error
    /// [default: host name and a nonce]
    #[arg(long, env = "CONSUMER_NAME", hide_env_values = true, value_name = "NAME")]
    pub consumer_name: Option<String>,
    /// Stream of dead letters [default: incident:events:dlq]
    #[arg(long, env = "DLQ_STREAM", hide_env_values = true, value_name = "KEY")]
    pub dlq_stream: Option<String>,
    /// Stream of incidents that wait for a person [default: incident:events:parked]
    #[arg(long, env = "PARKED_STREAM", hide_env_values = true, value_name = "KEY")]
    pub parked_stream: Option<String>,
    /// Hash that says which agent takes which step [default: incident:routing]
    #[arg(long, env = "ROUTING_KEY", hide_env_values = true, value_name = "KEY")]
    pub routing_key: Option<String>,
}

/// What is kept in Redis, and for how long.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Stream")]
pub struct KeepArgs {
    /// How long entries stay in the stream that every group has read and acknowledged; 0: nothing is trimmed
    /// [default: 24h]
    #[arg(long, env = "STREAM_KEEP", hide_env_values = true, value_name = "TIME")]
    pub stream_keep: Option<String>,
}

/// The agents.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Agents")]
pub struct AgentArgs {
    /// Where agents are; {namespace} and {agent} are filled in
    /// [default: <http://kagent-controller.kagent:8083/api/a2a/{namespace}/{agent}/>]
    #[arg(long, env = "KAGENT_A2A_URL", hide_env_values = true, value_name = "TEMPLATE")]
    pub kagent_a2a_url: Option<String>,
    /// Namespace of an agent that is named without one [default: kagent]
    #[arg(long, env = "AGENT_NAMESPACE", hide_env_values = true, value_name = "NAME")]
    pub agent_namespace: Option<String>,
    /// The agent for alerts, and for entries that name none [default: triage-agent]
    #[arg(long, env = "ALERTMANAGER_TARGET_AGENT", hide_env_values = true, value_name = "AGENT")]
    pub alertmanager_target_agent: Option<String>,
    /// Bearer token for the agents; better as a file
    #[arg(long, env = "INTERNAL_A2A_BEARER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub internal_a2a_bearer_token: Option<String>,
    /// File that holds the bearer token; read again at every call
    #[arg(long, env = "INTERNAL_A2A_BEARER_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub internal_a2a_bearer_token_file: Option<String>,
    /// A2A version: auto, 0.3 or 1.0 [default: auto]
    #[arg(long, env = "A2A_VERSION", hide_env_values = true, value_name = "VERSION")]
    pub a2a_version: Option<String>,
    /// X-User-Id of every call; tasks belong to it [default: stream-dispatcher]
    #[arg(long, env = "A2A_USER_ID", hide_env_values = true, value_name = "ID")]
    pub a2a_user_id: Option<String>,
    /// A send whose effect cannot be found out: resend (once) or park [default: resend]
    #[arg(long, env = "ON_UNCERTAIN", hide_env_values = true, value_name = "WHAT")]
    pub on_uncertain: Option<String>,
    /// Longest run of an agent on one incident [default: 20m]
    #[arg(long, env = "RUN_DEADLINE", hide_env_values = true, value_name = "TIME")]
    pub run_deadline: Option<String>,
    /// File (TOML) with what is agreed with single agents: limits, recovery, tokens, ...
    #[arg(long, env = "CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<String>,
}

/// The worker.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkArgs {
    /// Dispatches in flight [default: 10]
    #[arg(long, env = "DISPATCHER_WORKERS", hide_env_values = true, value_name = "N")]
    pub dispatcher_workers: Option<String>,
    /// Longest blocking read, milliseconds; at most half of `MIN_IDLE_MS` [default: 1000, or that half if it is less]
    #[arg(long, env = "BLOCK_MS", hide_env_values = true, value_name = "MS")]
    pub block_ms: Option<String>,
    /// Lease: an entry idle this long may be claimed by another worker, milliseconds [default: 30000]
    #[arg(long, env = "MIN_IDLE_MS", hide_env_values = true, value_name = "MS")]
    pub min_idle_ms: Option<String>,
    /// Sends that may have reached the agent, at most [default: 5]
    #[arg(long, env = "MAX_ATTEMPTS", hide_env_values = true, value_name = "N")]
    pub max_attempts: Option<String>,
    /// Longest wait for an agent that cannot be reached [default: 24h]
    #[arg(long, env = "GIVE_UP_AFTER", hide_env_values = true, value_name = "TIME")]
    pub give_up_after: Option<String>,
    /// What is final: settled (the run's end) or accepted (the agent has it) [default: settled]
    #[arg(long, env = "ACK_ON", hide_env_values = true, value_name = "WHAT")]
    pub ack_on: Option<String>,
    /// An alert that is over settles its firing incident, where no agent was sent that yet [default: false]
    #[arg(long, env = "RESOLVED_SETTLES", hide_env_values = true, value_name = "BOOL")]
    pub resolved_settles: Option<String>,
}

/// Which alerts become incidents.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Alerts")]
pub struct AlertArgs {
    /// Severities that are taken, comma separated [default: critical]
    #[arg(long, env = "ALERTMANAGER_ALLOWED_SEVERITIES", hide_env_values = true, value_name = "LIST")]
    pub alertmanager_allowed_severities: Option<String>,
    /// Take resolved alerts too [default: false]
    #[arg(long, env = "ALERTMANAGER_INCLUDE_RESOLVED", hide_env_values = true, value_name = "BOOL")]
    pub alertmanager_include_resolved: Option<String>,
    /// Start times this close belong to one episode [default: 5m]
    #[arg(long, env = "EPISODE_SLACK", hide_env_values = true, value_name = "TIME")]
    pub episode_slack: Option<String>,
    /// Run an alert that fires on again this long after its outcome [default: off]
    #[arg(long, env = "ALERT_RERUN_AFTER", hide_env_values = true, value_name = "TIME")]
    pub alert_rerun_after: Option<String>,
}

/// The hook's HTTP side.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hook")]
pub struct HookArgs {
    /// Where webhooks come in [default: 0.0.0.0:8080]
    #[arg(long, env = "HTTP_ADDR", hide_env_values = true, value_name = "ADDR")]
    pub http_addr: Option<String>,
    /// Bearer token that Alertmanager must send; better as a file
    #[arg(long, env = "WEBHOOK_BEARER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub webhook_bearer_token: Option<String>,
    /// File that holds that token; read again when it changes
    #[arg(long, env = "WEBHOOK_BEARER_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub webhook_bearer_token_file: Option<String>,
    /// Longest webhook body [default: 16MiB]
    #[arg(long, env = "WEBHOOK_MAX_BODY", hide_env_values = true, value_name = "BYTES")]
    pub webhook_max_body: Option<String>,
    /// Another name of `STREAM_NAME`, as the present hook has it
    #[arg(long, env = "REDIS_STREAM_NAME", hide = true, hide_env_values = true, value_name = "KEY")]
    pub redis_stream_name: Option<String>,
}

/// What the hook keeps, so that nothing it has accepted is lost.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Outbox")]
pub struct OutboxArgs {
    /// File of the outbox; without one an alert is accepted only once Redis or an agent has it
    /// [default: none; run: in the user's state directory]
    #[arg(long, env = "OUTBOX_PATH", hide_env_values = true, value_name = "FILE")]
    pub outbox_path: Option<String>,
    /// How long it remembers what has ended [default: 7d]
    #[arg(long, env = "OUTBOX_KEEP", hide_env_values = true, value_name = "TIME")]
    pub outbox_keep: Option<String>,
    /// Incidents that may be open in it; when there are as many, only what Redis takes is accepted [default: 500000]
    #[arg(long, env = "OUTBOX_MAX_OPEN", hide_env_values = true, value_name = "N")]
    pub outbox_max_open: Option<String>,
    /// Incidents that one flood may put onto the stream; the rest waits in the outbox [default: 10000]
    #[arg(long, env = "STREAM_MAX_OPEN", hide_env_values = true, value_name = "N")]
    pub stream_max_open: Option<String>,
    /// How long Redis may fail an incident before it goes to its agent directly [default: 5s; at once without a file]
    #[arg(long, env = "DIRECT_AFTER", hide_env_values = true, value_name = "TIME")]
    pub direct_after: Option<String>,
    /// The same where Redis may have taken it and gave no answer [default: 60s]
    #[arg(long, env = "DIRECT_AFTER_UNCERTAIN", hide_env_values = true, value_name = "TIME")]
    pub direct_after_uncertain: Option<String>,
    /// From one offer of everything that is open to the next; what Redis has forgotten is put back then [default: 60s]
    #[arg(long, env = "OUTBOX_ROUND", hide_env_values = true, value_name = "TIME")]
    pub outbox_round: Option<String>,
    /// Replicas that must have an incident before it counts as published [default: 0]
    #[arg(long, env = "PUBLISH_WAIT_REPLICAS", hide_env_values = true, value_name = "N")]
    pub publish_wait_replicas: Option<String>,
}

/// The process.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Liveness, readiness, metrics [default: 0.0.0.0:9090]
    #[arg(long, env = "ADMIN_ADDR", hide_env_values = true, value_name = "ADDR")]
    pub admin_addr: Option<String>,
    /// From SIGTERM to the end [default: 25s]
    #[arg(long, env = "SHUTDOWN_GRACE", hide_env_values = true, value_name = "TIME")]
    pub shutdown_grace: Option<String>,
    /// json or text [default: text on a terminal, else json]
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged: a level, or target=level,... [default: info]
    #[arg(long, env = "RUST_LOG", hide_env_values = true, value_name = "FILTER")]
    pub rust_log: Option<String>,
    /// Where traces go (OTLP over gRPC); nowhere without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_name = "URL")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// Name of this service in traces and metrics [default: stream-dispatcher]
    #[arg(long, env = "OTEL_SERVICE_NAME", hide_env_values = true, value_name = "NAME")]
    pub otel_service_name: Option<String>,
}
