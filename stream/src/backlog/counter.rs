//! Takes readings of one stream and group.

use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};

use super::facts::{self, Extent, Page, Standing};
use super::lag::{Counted, Facts, Lag, Limits, Method, Span, Step, Tracker};
use super::waiting::{Found, Waiting};
use super::{Backlog, ROWS, Row};
use crate::connection::Session;
use crate::error::Error;
use crate::id::EntryId;

/// What is read of a stream for one reading at most, in entries.
const LIMITS: Limits = Limits { unread: 10_000, delivered: 1_000, carried: 64 };
/// Entries of the first page of a count, and of the largest.
const PAGES: (u64, u64) = (128, 1_024);
/// Bytes of a page, as far as the weight of its entries can be told from those before.
const PAGE_BYTES: u64 = 1 << 20;
/// A page that took longer is followed by a smaller one.
const QUICK: Duration = Duration::from_millis(40);
/// The counts of a reading take no longer, whatever the entries weigh: a number that comes too late is none.
const WITHIN: Duration = Duration::from_millis(300);

type Answer = Result<Value, Error>;

/// Takes readings of one stream and group, and remembers what makes the next one cheap: one round trip while the
/// stream stands still or its ids are enough, two while entries are delivered, more only where they are counted.
#[derive(Debug)]
pub struct Counter {
    stream: String,
    group: String,
    /// The session of the last reading: with another one the history may be another.
    session: Option<u64>,
    tracker: Tracker,
    next: Option<Next>,
    waiting: Waiting,
}

/// The first unread entry of a position; it stays that while nothing is removed.
#[derive(Debug, Clone, Copy)]
struct Next {
    position: EntryId,
    removed: Option<u64>,
    id: EntryId,
}

/// The answers of one round trip.
struct Answers {
    /// `None`: no stream, or no group.
    standing: Option<Standing>,
    extent: Option<Extent>,
    rows: Vec<Row>,
    now_ms: i64,
    members: Answer,
    lengths: Vec<Answer>,
}

impl Counter {
    /// For a stream and one of its groups; neither has to exist.
    pub fn new(stream: impl Into<String>, group: impl Into<String>) -> Self {
        let (stream, group) = (stream.into(), group.into());
        let waiting = Waiting::new(&stream);
        Self { stream, group, session: None, tracker: Tracker::new(LIMITS), next: None, waiting }
    }

    /// Takes a reading.
    ///
    /// The position and the pending entries come from one `XINFO GROUPS`, asked before the extent of the stream: an
    /// entry that moves from unread to pending in between counts once, and none is missed. Errors are those of any of
    /// the commands; no part of a reading is left out because it failed.
    pub async fn read(&mut self, session: &Session) -> Result<Backlog, Error> {
        let (backlog, missed) = self.read_once(session).await?;
        if missed && backlog.total() == 0 {
            return self.read_once(session).await.map(|(backlog, _)| backlog);
        }
        Ok(backlog)
    }

    /// One reading, and whether an entry may have moved through it unseen.
    async fn read_once(&mut self, session: &Session) -> Result<(Backlog, bool), Error> {
        if self.session != Some(session.id()) {
            self.tracker.forget();
            self.next = None;
            self.session = Some(session.id());
        }
        let Answers { standing, extent, rows, now_ms, members, lengths } = self.ask(session).await?;
        let Found { any: waiting, missed } = self.waiting.judge(session, members, lengths).await?;
        let Some(extent) = extent else {
            let lag = Lag::exact(0, Method::Missing);
            return Ok((Backlog { length: 0, pending: 0, rows: Vec::new(), lag, next: None, waiting, now_ms }, missed));
        };
        let length = extent.length;
        let Some(standing) = standing else {
            let lag = Lag::exact(length, Method::WholeStream);
            return Ok((
                Backlog { length, pending: 0, rows: Vec::new(), lag, next: extent.first, waiting, now_ms },
                missed,
            ));
        };
        let facts = Facts { extent, standing };
        // Their commands share a round trip.
        let (lag, next) = tokio::try_join!(
            lag(&mut self.tracker, session, &self.stream, &facts),
            next(&mut self.next, session, &self.stream, &facts)
        )?;
        Ok((Backlog { length, pending: standing.pending, rows, lag, next, waiting, now_ms }, missed))
    }

    async fn ask(&self, session: &Session) -> Result<Answers, Error> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("XINFO").arg("GROUPS").arg(&self.stream);
        pipeline.cmd("XINFO").arg("STREAM").arg(&self.stream);
        pipeline.cmd("XPENDING").arg(&self.stream).arg(&self.group).arg("-").arg("+").arg(ROWS);
        pipeline.cmd("TIME");
        self.waiting.ask(&mut pipeline);
        let mut answers = session.pipe(&pipeline).await?.into_iter();
        let mut answer = || answers.next().unwrap_or_else(|| Err(Error::unexpected("a pipeline", &"too few answers")));
        let standing =
            read("XINFO GROUPS", answer(), Error::is_no_such_key, |groups| Standing::find(groups, &self.group).ok())?;
        let extent = read("XINFO STREAM", answer(), Error::is_no_such_key, Extent::parse)?;
        let rows = read("XPENDING", answer(), is_no_group, facts::rows)?.unwrap_or_default();
        let now_ms = read("TIME", answer(), |_| false, facts::milliseconds)?.unwrap_or_default();
        let members = answer();
        let standing = standing.flatten();
        Ok(Answers { standing, extent, rows, now_ms, members, lengths: answers.collect() })
    }
}

async fn lag(tracker: &mut Tracker, session: &Session, stream: &str, facts: &Facts) -> Result<Lag, Error> {
    let (mut step, begun) = (tracker.begin(facts), Instant::now());
    loop {
        match step {
            Step::Known(lag) => return Ok(lag),
            Step::Count(span) => {
                let counted = count(session, stream, &span, facts.extent.weight, begun).await?;
                step = tracker.counted(facts, &span, counted);
            }
        }
    }
}

/// The first unread entry.
async fn next(
    known: &mut Option<Next>,
    session: &Session,
    stream: &str,
    facts: &Facts,
) -> Result<Option<EntryId>, Error> {
    let (position, removed) = (facts.standing.position, facts.extent.removed());
    if facts.extent.last.is_none_or(|last| last <= position) {
        return Ok(None);
    }
    if let Some(first) = facts.extent.first.filter(|first| *first > position) {
        return Ok(Some(first));
    }
    let same = |next: &Next| next.position == position && removed.is_some() && next.removed == removed;
    if let Some(next) = known.filter(same) {
        return Ok(Some(next.id));
    }
    let found = page(session, stream, position, None, 1).await?.ids.first().copied();
    *known = found.map(|id| Next { position, removed, id });
    Ok(found)
}

fn is_no_group(error: &Error) -> bool {
    error.code() == Some("NOGROUP")
}

/// Reads an answer: `None` in place of an expected error; any other, and what is not understood, is an error.
fn read<T>(
    command: &str,
    answer: Answer,
    expected: impl Fn(&Error) -> bool,
    parse: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => parse(&answer).map(Some).ok_or_else(|| Error::unexpected(command, &answer)),
        Err(error) if expected(&error) => Ok(None),
        Err(error) => Err(error.while_doing(command)),
    }
}

/// Counts entries page by page, within a number, and a time since `begun`; `weight`: bytes of an entry, as far as is
/// known.
async fn count(session: &Session, stream: &str, span: &Span, weight: u64, begun: Instant) -> Result<Counted, Error> {
    let (mut entries, mut after, mut size) = (0, span.after, fitting(weight).min(PAGES.0));
    loop {
        let (asked, wanted) = (Instant::now(), size.min(span.limit - entries));
        let page = page(session, stream, after, Some(span.upto), wanted).await?;
        let found = page.ids.len() as u64;
        entries += found;
        after = page.ids.last().copied().unwrap_or(after);
        let complete = found < wanted || after >= span.upto;
        if complete || entries >= span.limit || begun.elapsed() > WITHIN {
            return Ok(Counted { entries, to: after, complete });
        }
        let next = if asked.elapsed() < QUICK { size * 2 } else { (size / 2).max(1) };
        size = next.min(fitting(page.bytes / found.max(1)));
    }
}

/// Entries of such a weight that make a page.
fn fitting(weight: u64) -> u64 {
    (PAGE_BYTES / weight.max(1)).clamp(1, PAGES.1)
}

/// Up to `count` entries after `after`.
async fn page(
    session: &Session,
    stream: &str,
    after: EntryId,
    upto: Option<EntryId>,
    count: u64,
) -> Result<Page, Error> {
    let upto = upto.map_or_else(|| "+".to_owned(), |id| id.to_string());
    let mut cmd = Cmd::new();
    cmd.arg("XRANGE").arg(stream).arg(format!("({after}")).arg(upto).arg("COUNT").arg(count);
    let reply = session.run(&cmd).await.map_err(|error| error.while_doing("XRANGE"))?;
    Page::parse(&reply).ok_or_else(|| Error::unexpected("XRANGE", &reply))
}
