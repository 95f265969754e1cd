//! One case, played.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use line_tests::line::{Books, STREAM};
use line_tests::{Agent, eventually_ok};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use stream_dispatcher::dispatch::decision::Row;

use super::case::{Case, Entry, On, Order, Then};
use super::desk::{Desk, PATIENCE, put_queued, record, token_file, waiting};

/// Plays a case at a desk, on a server.
pub(crate) async fn play(desk: &Desk, case: &Case, on: On) -> Result<()> {
    let mut scene = Scene { desk, case, name: case.agent(on), books: desk.books().await? };
    scene.play().await.with_context(|| {
        let rows: Vec<_> = (0..case.orders.len()).map(|number| desk.rows(&scene.id(number))).collect();
        format!("case {}, rows {rows:?}", scene.name)
    })
}

struct Scene<'a> {
    desk: &'a Desk,
    case: &'a Case,
    name: String,
    books: Books,
}

impl Scene<'_> {
    fn id(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    async fn play(&mut self) -> Result<()> {
        if [Entry::Usual, Entry::Resolved].contains(&self.case.entry) {
            self.teach().await?;
        }
        self.arm().await?;
        let began = Instant::now();
        for (number, order) in self.case.orders.iter().enumerate() {
            if let Some(row) = order.after {
                self.desk.decided(&self.id(number.saturating_sub(1)), row).await?;
            }
            self.enter(number, order).await?;
        }
        self.then().await?;
        for (number, order) in self.case.orders.iter().enumerate() {
            self.check(&self.id(number), order).await?;
        }
        ensure!(began.elapsed() >= self.case.at_least, "too soon: {:?}", began.elapsed());
        self.check_rows().await?;
        self.check_marks().await
    }

    /// The first entry teaches the worker what the agent speaks, and whether it lists.
    async fn teach(&mut self) -> Result<()> {
        let id = format!("{}-first", self.name);
        self.books.order_of(&self.name, &id, "echo").await?;
        ensure!(self.desk.end(&id).await?.0 == "settled", "the first one");
        Ok(())
    }

    async fn arm(&self) -> Result<()> {
        let mut faults = self.case.faults.clone();
        for fault in faults.iter_mut().filter_map(Value::as_object_mut) {
            fault.insert("onlyAgent".into(), json!(self.name));
        }
        if faults.is_empty() { Ok(()) } else { self.desk.agent.fault(json!(faults)).await }
    }

    async fn enter(&mut self, number: usize, order: &Order) -> Result<()> {
        let id = &*self.id(number);
        let gone = format!("incident:artifact:{id}:alert");
        match self.case.entry {
            Entry::Resolved => {
                let last = number + 1 == self.case.orders.len();
                let firing = last.then(|| self.id(number.saturating_sub(1)));
                put_queued(&mut self.books, &self.name, id, order.text, firing.as_deref()).await?;
            }
            Entry::Usual => drop(self.books.order_of(&self.name, id, order.text).await?),
            Entry::NoRoute => drop(self.books.add(STREAM, &[("workflow_id", id), ("text", "x")]).await?),
            Entry::NoText => {
                let fields = [("workflow_id", id), ("agent_target", &self.name), ("artifact_key", &gone)];
                self.books.add(STREAM, &fields).await?;
            }
            // It is there since before the worker began.
            Entry::Worn => {}
        }
        Ok(())
    }

    async fn then(&mut self) -> Result<()> {
        let last = self.id(self.case.orders.len().saturating_sub(1));
        match self.case.then {
            Then::Nothing => {}
            Then::Token(row) => {
                self.desk.decided(&last, row).await?;
                std::fs::write(token_file(&self.desk.folder, &self.name), "new")?;
            }
            Then::Cancel => {
                self.desk.decided(&last, Row::Running).await?;
                let task = self.books.field(&record(&last), "task_id").await?;
                client(&self.desk.agent)?.cancel(&task, &HeaderMap::new()).await?;
            }
        }
        Ok(())
    }

    async fn check(&mut self, id: &str, order: &Order) -> Result<()> {
        let (state, reason, attempts) = order.end;
        if state == "waiting" {
            let stream = waiting(&self.name);
            eventually_ok(format!("{id} to wait"), PATIENCE, async || {
                ensure!(self.books.column(&stream, "workflow_id").await? == [id]);
                Ok(())
            })
            .await?;
        } else {
            let end = self.desk.end(id).await?;
            ensure!(end == (state.to_owned(), reason.to_owned()), "{id}: {end:?}");
            let found = self.books.field(&record(id), "state").await?;
            ensure!(found == state, "{id}: {found}");
        }
        let found = self.books.field(&record(id), "attempts").await?;
        ensure!(found == attempts, "{id}: {found} attempts");
        let runs = self.desk.runs(id)?;
        ensure!(runs == order.runs, "{id}: {runs} runs");
        Ok(())
    }

    async fn check_rows(&self) -> Result<()> {
        let ids: Vec<_> = (0..self.case.orders.len()).map(|number| self.id(number)).collect();
        // The log of a decision may be a moment behind the decision.
        eventually_ok("the rows", Duration::from_secs(5), async || {
            let decided = self.desk.rows_of(&ids);
            let mut rest = decided.iter();
            let missing = self.case.rows.iter().find(|row| !rest.any(|decided| decided == row.id()));
            ensure!(missing.is_none(), "{missing:?} is not among {decided:?}, in this order");
            Ok(())
        })
        .await
    }

    /// Sends that the agent was told may be second ones.
    async fn check_marks(&self) -> Result<()> {
        let requests = self.desk.agent.requests().await?;
        let marked = requests.iter().filter(|request| {
            let mark = request.pointer("/message/metadata/duplicate_possible");
            request.get("agent") == Some(&json!(self.name)) && mark == Some(&json!(true))
        });
        let marked = marked.count();
        ensure!(marked == self.case.possible, "{marked} sends are marked as possible second ones");
        Ok(())
    }
}

/// Somebody else who speaks to the agent.
pub(crate) fn client(agent: &Agent) -> Result<a2a::Agent> {
    let url = a2a::agent_url(&agent.url())?;
    Ok(a2a::Agent::new(a2a::http_client(PATIENCE)?, a2a::AgentOptions::new(url)))
}
