//! The `REDIS_*` settings as flags and environment variables, the same in every program.

use clap::Args;

use crate::endpoint::Password;
use crate::endpoint_settings::EndpointSettings;

/// As given, unparsed: all mistakes are reported together later.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// One Sentinel, usually a Service that resolves to several
    #[arg(long, env = "REDIS_SENTINEL_HOST", hide_env_values = true, value_name = "HOST")]
    pub redis_sentinel_host: Option<String>,
    /// Port of that Sentinel [default: 26379]
    #[arg(long, env = "REDIS_SENTINEL_PORT", hide_env_values = true, value_name = "PORT")]
    pub redis_sentinel_port: Option<String>,
    /// Sentinels as host:port,host:port,...; overrides the two above
    #[arg(long, env = "REDIS_SENTINELS", hide_env_values = true, value_name = "LIST")]
    pub redis_sentinels: Option<String>,
    /// Name of the master in Sentinel [default: mymaster]
    #[arg(long, env = "REDIS_SENTINEL_MASTER_NAME", hide_env_values = true, value_name = "NAME")]
    pub redis_sentinel_master_name: Option<String>,
    /// `redis://[user:password@]host:port[/db]` or `rediss://...`: bypasses Sentinel; its db wins over `REDIS_DB`
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
    /// File that holds `REDIS_URL`
    #[arg(long, env = "REDIS_URL_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_url_file: Option<String>,
    /// Database index [default: 4]
    #[arg(long, env = "REDIS_DB", hide_env_values = true, value_name = "INDEX")]
    pub redis_db: Option<String>,
    /// ACL user of the Redis nodes
    #[arg(long, env = "REDIS_USERNAME", hide_env_values = true, value_name = "USER")]
    pub redis_username: Option<String>,
    /// Password of the Redis nodes; better as a file
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub redis_password: Option<String>,
    /// File that holds the password of the Redis nodes; read again at every connect
    #[arg(long, env = "REDIS_PASSWORD_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_password_file: Option<String>,
    /// ACL user of Sentinel
    #[arg(long, env = "REDIS_SENTINEL_USERNAME", hide_env_values = true, value_name = "USER")]
    pub redis_sentinel_username: Option<String>,
    /// Password of Sentinel; better as a file
    #[arg(long, env = "REDIS_SENTINEL_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub redis_sentinel_password: Option<String>,
    /// File that holds the password of Sentinel
    #[arg(long, env = "REDIS_SENTINEL_PASSWORD_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_sentinel_password_file: Option<String>,
    /// TLS to the Redis nodes [default: false]
    #[arg(long, env = "REDIS_TLS", hide_env_values = true, value_name = "BOOL")]
    pub redis_tls: Option<String>,
    /// Certificate authorities, PEM [default: those of the system]
    #[arg(long, env = "REDIS_TLS_CA_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_tls_ca_file: Option<String>,
    /// Client certificate, PEM
    #[arg(long, env = "REDIS_TLS_CERT_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_tls_cert_file: Option<String>,
    /// Client key, PEM
    #[arg(long, env = "REDIS_TLS_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    pub redis_tls_key_file: Option<String>,
    /// TLS to Sentinel [default: false]
    #[arg(long, env = "REDIS_SENTINEL_TLS", hide_env_values = true, value_name = "BOOL")]
    pub redis_sentinel_tls: Option<String>,
}

impl RedisArgs {
    /// The settings to parse. `secret` makes a password out of a setting's name, its value and its
    /// `*_FILE`; it notes its own mistakes.
    pub fn settings(
        self,
        mut secret: impl FnMut(&'static str, Option<String>, Option<String>) -> Option<Password>,
    ) -> EndpointSettings {
        EndpointSettings {
            sentinel_host: self.redis_sentinel_host,
            sentinel_port: self.redis_sentinel_port,
            sentinels: self.redis_sentinels,
            master_name: self.redis_sentinel_master_name,
            url: secret("REDIS_URL", self.redis_url, self.redis_url_file),
            db: self.redis_db,
            username: self.redis_username,
            password: secret("REDIS_PASSWORD", self.redis_password, self.redis_password_file),
            sentinel_username: self.redis_sentinel_username,
            sentinel_password: secret(
                "REDIS_SENTINEL_PASSWORD",
                self.redis_sentinel_password,
                self.redis_sentinel_password_file,
            ),
            tls: self.redis_tls,
            tls_ca_file: self.redis_tls_ca_file,
            tls_cert_file: self.redis_tls_cert_file,
            tls_key_file: self.redis_tls_key_file,
            sentinel_tls: self.redis_sentinel_tls,
        }
    }
}
