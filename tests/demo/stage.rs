//! Everything the demo starts. Dropping it kills the processes and removes their folders.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use line_tests::line::Settings;
use line_tests::{Agent, AgentKind, AgentOptions, Member, Trio, TrioOptions};

use line_tests::screen::Screen;

/// The line, as processes on free ports.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) trio: Trio,
    pub(crate) agent: Agent,
    pub(crate) scaler: Member,
    pub(crate) hook: Member,
    pub(crate) workers: Vec<Member>,
}

impl Stage {
    /// Starts one after the other and says so.
    pub(crate) async fn start(screen: &Screen, workers: usize) -> Result<Self> {
        let trio = Trio::start(TrioOptions::default()).await?;
        screen.say(&format!("Redis: {}; Sentinels: {}", trio.addresses().join(", "), trio.sentinels().join(", ")))?;
        let agent = Agent::start(AgentKind::V10, AgentOptions::default()).await?;
        screen.say(&format!("an A2A agent (version 1.0): {}", agent.url()))?;
        let settings = Settings::of_trio(&trio).agents_at(&agent.url());
        let scaler = Member::scaler(&settings).await?;
        screen.say(&format!("stream-scaler, gRPC for KEDA: {}", scaler.grpc))?;
        let hook = Member::dispatcher("hook", &settings).await?;
        screen.say(&format!("stream-dispatcher hook: {}/webhook/alertmanager", hook.http))?;
        let mut crew = Vec::new();
        for _ in 0..workers {
            let worker = Member::dispatcher("work", &settings).await?;
            screen.say(&format!("stream-dispatcher work: process {}", worker.program.pid()))?;
            crew.push(worker);
        }
        Ok(Self { trio, agent, scaler, hook, workers: crew })
    }

    /// Fails if a program has ended.
    pub(crate) fn all_running(&mut self) -> Result<()> {
        for member in self.workers.iter_mut().chain([&mut self.scaler, &mut self.hook]) {
            ensure!(member.program.is_running(), "a program has ended: {}", member.program.tail());
        }
        Ok(())
    }

    /// Where everything listens, for people who want to look around.
    pub(crate) fn addresses(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, address: &str| {
            writeln!(text, "  {name:<16} {address}").ok();
        };
        line("hook", &format!("{}/webhook/alertmanager", self.hook.http));
        line("hook metrics", &format!("{}/metrics", self.hook.admin));
        for worker in &self.workers {
            line("worker metrics", &format!("{}/metrics", worker.admin));
        }
        line("scaler (gRPC)", &self.scaler.grpc);
        line("scaler metrics", &format!("{}/metrics", self.scaler.admin));
        line("agent", &self.agent.url());
        line("agent's log", &self.agent.log_file().display().to_string());
        line("sentinels", &self.trio.sentinels().join(","));
        line("redis", &self.trio.addresses().join(","));
        text
    }
}
