//! A program as a child process: output, signals, exit status.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

pub use rustix::process::Signal;

use crate::launch::Launch;
use crate::patience::eventually;
use crate::places;

/// How long a killed process may take to go.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A running (or ended) child process. Dropping it kills the process.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    folder: TempDir,
    status: Option<ExitStatus>,
}

impl Program {
    /// Starts a program of this workspace, `stream-dispatcher` or `stream-scaler`.
    ///
    /// Its environment has only `environment`, so that nothing of the developer's shell gets in.
    pub fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let launch = Launch::new(places::program(name)?);
        Self::launch(&launch.args(arguments).envs(environment.iter().copied()))
    }

    /// Starts a shell's command that calls such a program as `$PROGRAM`.
    pub fn shell(name: &str, command: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let program = places::program(name)?.display().to_string();
        let launch = Launch::new("/bin/sh").args(["-c", command]).envs(environment.iter().copied());
        Self::launch(&launch.envs([("PROGRAM", program)]))
    }

    /// Starts any other program, found by its full path.
    pub fn command(path: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::launch(&Launch::new(path).args(arguments).envs(environment.iter().copied()))
    }

    pub(crate) fn launch(launch: &Launch) -> Result<Self> {
        let name = launch.name();
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir()?;
        let child = launch.spawn(folder.path())?;
        Ok(Self { name, child, folder, status: None })
    }

    /// Resident memory (`VmRSS`), MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything written to stderr so far.
    pub fn log(&self) -> String {
        self.read("stderr")
    }

    /// Everything written to stdout so far.
    pub fn output(&self) -> String {
        self.read("stdout")
    }

    /// The first complete line of stdout or stderr that contains `needle`.
    ///
    /// Fails at once, with the end of the log, when the process ends without writing it.
    pub async fn wait_for_line(&mut self, needle: &str, patience: Duration) -> Result<String> {
        let what = format!("a line with {needle:?} from {}", self.name);
        let found = eventually(what, patience, async || {
            // Asked before reading, so that the last words of an ended process are seen.
            let ended = self.exit_status();
            match (self.line_with(needle), ended) {
                (Some(line), _) => Some(Ok(line)),
                (None, Some(status)) => Some(Err(anyhow!("{} ended with {status}", self.name))),
                (None, None) => None,
            }
        })
        .await;
        found.and_then(|line| line).with_context(|| format!("the end of its log:\n{}", self.tail()))
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.exit_status() {
            bail!("{} has already ended with {status}", self.name);
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process id that is none")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGSTOP: the process hangs, its connections stay open.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: the end of [`Program::pause`].
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM, then waits for the end.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(patience).await
    }

    /// SIGKILL, then waits for the end. Nothing happens if it has ended already.
    pub async fn kill9(&mut self) -> Result<()> {
        if self.exit_status().is_none() {
            self.child.kill()?;
            self.wait(KILL_PATIENCE).await?;
        }
        Ok(())
    }

    /// Waits for the end.
    pub async fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually(what, patience, async || self.exit_status())
            .await
            .with_context(|| format!("the end of its log:\n{}", self.tail()))
    }

    /// Waits for the end and gives the exit code; death by a signal is an error.
    pub async fn exit_code(&mut self, patience: Duration) -> Result<i32> {
        let status = self.wait(patience).await?;
        status.code().with_context(|| format!("{} was ended by signal {:?}", self.name, status.signal()))
    }

    /// The exit status, if the process has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Whether the process has not ended; a paused one runs.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none()
    }

    /// The last lines of stdout and stderr, for error messages.
    pub fn tail(&self) -> String {
        let text = format!("{}{}", self.output(), self.log());
        let lines: Vec<&str> = text.lines().collect();
        let skipped = lines.len().saturating_sub(20);
        lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    fn line_with(&self, needle: &str) -> Option<String> {
        [self.output(), self.log()].iter().find_map(|text| {
            text.split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(needle))
                .map(|line| line.trim_end().to_owned())
        })
    }

    fn read(&self, file: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            // Both fail only when the process is already gone.
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}
