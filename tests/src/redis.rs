//! A real redis-server (or redis-sentinel) with its own folder and port.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::launch::Launch;
use crate::patience::eventually_ok;
use crate::places;
use crate::ports::free_port;
use crate::process::Program;
use crate::resp::Client;

/// Where the servers are, below target/tools; `make test-servers` builds the tests with others.
const SERVERS: &str = match option_env!("LINE_TEST_SERVERS") {
    Some(folder) => folder,
    None => "bin",
};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(3);

/// How a server is set up; the default keeps its data in an append-only file.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Lines of redis.conf; they come last and win over this module's.
    pub config: Vec<String>,
    /// `requirepass` and, for a replica, `masterauth`.
    pub password: Option<String>,
    /// The port of the master on 127.0.0.1.
    pub replica_of: Option<u16>,
    /// Environment of the process.
    pub environment: Vec<(String, String)>,
}

/// A server that keeps its port and folder over restarts. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Redis {
    launch: Launch,
    port: u16,
    password: Option<String>,
    // Before the folder: the process has to be gone when its data is removed.
    program: Option<Program>,
    folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub async fn start(options: RedisOptions) -> Result<Self> {
        let port = free_port()?;
        let config = server_config(port, &options)?;
        Self::with_config("redis-server", port, &config, options.password, options.environment).await
    }

    /// Starts a sentinel with the lines of sentinel.conf and waits until it answers on `port`.
    pub async fn sentinel(port: u16, config: &str, password: Option<String>) -> Result<Self> {
        Self::with_config("redis-sentinel", port, config, password, Vec::new()).await
    }

    async fn with_config(
        program: &str,
        port: u16,
        config: &str,
        password: Option<String>,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("{program}-{port}-")).tempdir()?;
        let file = folder.path().join("redis.conf");
        let config = format!("{config}dir {}\n", folder.path().display());
        std::fs::write(&file, config)?;
        let launch = Launch::new(places::tool(&format!("{SERVERS}/{program}"))?).args([file]).envs(environment);
        let mut redis = Self { launch, folder, port, password, program: None };
        redis.restart().await?;
        Ok(redis)
    }

    /// The port, the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://` with the password, if any, and without a database.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@{}", self.address()),
            None => format!("redis://{}", self.address()),
        }
    }

    /// The folder with the configuration and the data (`appendonlydir`, `dump.rdb`).
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new connection, signed in.
    pub async fn client(&self) -> Result<Client> {
        connect(&self.address(), self.password.as_deref(), COMMAND).await
    }

    /// A new connection, signed in, with `database` selected.
    pub async fn database(&self, database: u32) -> Result<Client> {
        let mut client = self.client().await?;
        client.select(database).await?;
        Ok(client)
    }

    /// SIGTERM: the server saves what its configuration asks for and ends.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut program) = self.program.take() {
            program.terminate(PATIENCE).await?;
        }
        Ok(())
    }

    /// SIGKILL.
    pub async fn kill9(&mut self) -> Result<()> {
        if let Some(mut program) = self.program.take() {
            program.kill9().await?;
        }
        Ok(())
    }

    /// SIGSTOP: the server hangs, its connections stay open.
    pub fn pause(&mut self) -> Result<()> {
        self.running()?.pause()
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        self.running()?.resume()
    }

    /// Whether the process is there (it may hang).
    pub fn is_running(&mut self) -> bool {
        self.program.as_mut().is_some_and(Program::is_running)
    }

    /// Starts the server on its data, stopping it first if it runs; waits until it serves.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let program = self.program.insert(Program::launch(&self.launch)?);
        let address = format!("127.0.0.1:{}", self.port);
        let password = self.password.as_deref();
        let started = eventually_ok(format!("redis on {address}"), PATIENCE, async || {
            if !program.is_running() {
                return Ok(false);
            }
            // LOADING is an error reply: a server that still reads its data is not ready.
            connect(&address, password, COMMAND).await?.cmd(&["PING"]).await?;
            Ok(true)
        })
        .await;
        match started {
            Ok(true) => Ok(()),
            Ok(false) => bail!("redis on {address} ended:\n{}", program.tail()),
            Err(error) => Err(error.context(program.tail())),
        }
    }

    /// What the server printed since its last start.
    pub fn log(&self) -> String {
        self.program.as_ref().map(Program::output).unwrap_or_default()
    }

    fn running(&mut self) -> Result<&mut Program> {
        self.program.as_mut().with_context(|| format!("redis on port {} is stopped", self.port))
    }
}

/// Connects and signs in; `limit` holds for both and for every command.
pub(crate) async fn connect(address: &str, password: Option<&str>, limit: Duration) -> Result<Client> {
    let mut client = Client::connect_within(address, limit).await?;
    if let Some(password) = password {
        client.auth(password).await?;
    }
    Ok(client)
}

/// redis.conf: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>.
fn server_config(port: u16, options: &RedisOptions) -> Result<String> {
    // A killed process loses nothing that the kernel has: without fsync a busy disk cannot stop the
    // server for longer than down-after. DEBUG is for tests that make it slow.
    let mut config = format!(
        "port {port}\nbind 127.0.0.1\nprotected-mode no\nsave \"\"\nappendonly yes\nappendfsync no\n\
         repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\nenable-debug-command yes\n"
    );
    if let Some(password) = &options.password {
        writeln!(config, "requirepass {password}\nmasterauth {password}")?;
    }
    if let Some(master) = options.replica_of {
        writeln!(config, "replicaof 127.0.0.1 {master}")?;
    }
    for line in &options.config {
        writeln!(config, "{line}")?;
    }
    Ok(config)
}
