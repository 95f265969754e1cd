//! `StreamIsActive` and `StreamMetricSpec`.

use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Code, Status, Streaming};

use super::{Desk, Outcome, Outcomes, brief, judge};
use crate::keda::{IsActive, Keda};

/// As long as KEDA's own test of its client waits.
const CROWD_WITHIN: Duration = Duration::from_secs(10);
/// Words that are no flood while a stream is listened to.
const CALM: usize = 3;
/// How long a scaler that was asked to end may take to end its streams.
const END_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn run(desk: &Desk<'_>) -> Outcomes {
    let mut outcomes = vec![("spec-stream", specs(desk).await)];
    let begin = Instant::now();
    let mut stream = match desk.keda.stream_is_active(&desk.object).await {
        Ok(stream) => stream,
        Err(status) if status.code() == Code::Unimplemented => {
            let none = "StreamIsActive is UNIMPLEMENTED: good for `external`, not for `external-push`";
            outcomes.extend(STREAMED.map(|id| (id, Outcome::Skip(none.into()))));
            return outcomes;
        }
        Err(status) => {
            outcomes.push(("stream-first", Outcome::Fail(brief(&status))));
            return outcomes;
        }
    };
    let first = match timeout(desk.subject.within, stream.message()).await {
        Ok(Ok(Some(first))) => first.result,
        other => {
            outcomes.push(("stream-first", Outcome::Fail(word(other))));
            return outcomes;
        }
    };
    let took = begin.elapsed().as_millis();
    outcomes.push(("stream-first", Outcome::Pass(format!("{first} after {took} ms"))));
    outcomes.push(("stream-agrees", agrees(desk, first).await));
    outcomes.extend(listen(desk, stream, first).await);
    outcomes.push(("stream-crowd", crowd(desk).await));
    outcomes
}

const STREAMED: [&str; 6] =
    ["stream-first", "stream-agrees", "stream-calm", "stream-repeat", "stream-crowd", "stream-end"];

/// Something else than a first word.
fn word<T, E>(other: Result<Result<Option<T>, Status>, E>) -> String {
    match other {
        Ok(Ok(Some(_))) => "a word".into(),
        Ok(Ok(None)) => "ended with OK before the first word".into(),
        Ok(Err(status)) => brief(&status),
        Err(_) => "no word in time".into(),
    }
}

async fn agrees(desk: &Desk<'_>, first: bool) -> Outcome {
    match desk.keda.is_active(&desk.object).await {
        Ok(active) => judge(active == first, format!("told {first}, IsActive {active}")),
        Err(status) => Outcome::Fail(brief(&status)),
    }
}

/// Follows one stream for a while, then asks the scaler to end if it may.
async fn listen(desk: &Desk<'_>, mut stream: Streaming<IsActive>, first: bool) -> Outcomes {
    let (begin, time) = (Instant::now(), desk.subject.listen);
    let (words, ended) = follow(&mut stream, begin + time, usize::MAX).await;
    let mut outcomes = vec![("stream-calm", judge(words < CALM, format!("{} words in {time:?}", words + 1)))];
    if let Some(status) = ended {
        outcomes.push(("stream-end", end(status)));
        return outcomes;
    }
    let repeat = match desk.subject.repeat_within {
        Some(_) if !first => Outcome::Skip("needs work to do".into()),
        Some(_) if words > 0 => Outcome::Pass(format!("within {time:?}")),
        Some(within) => match follow(&mut stream, begin + within, 1).await {
            (0, Some(status)) => {
                outcomes.push(("stream-end", end(status)));
                Outcome::Fail("it ended before a second word".into())
            }
            (0, None) => Outcome::Fail(format!("nothing within {within:?}")),
            _ => Outcome::Pass(format!("after {:.1} s", begin.elapsed().as_secs_f64())),
        },
        None => Outcome::Skip("needs --repeat-within".into()),
    };
    outcomes.push(("stream-repeat", repeat));
    if desk.subject.stop.is_none() {
        let open = "it did not end while it was watched; --stop COMMAND makes the scaler end";
        outcomes.push(("stream-end", Outcome::Skip(open.into())));
    }
    outcomes
}

/// Words until the deadline, the end or so many; and the status if it ended.
async fn follow(stream: &mut Streaming<IsActive>, until: Instant, most: usize) -> (usize, Option<Result<(), Status>>) {
    let mut words = 0;
    while words < most {
        match timeout_at(until, stream.message()).await {
            Ok(Ok(Some(_))) => words += 1,
            Ok(Ok(None)) => return (words, Some(Ok(()))),
            Ok(Err(status)) => return (words, Some(Err(status))),
            Err(_) => return (words, None),
        }
    }
    (words, None)
}

fn end(status: Result<(), Status>) -> Outcome {
    match status {
        Ok(()) => Outcome::Pass("ended with OK".into()),
        Err(status) => Outcome::Fail(format!("ended with {}", brief(&status))),
    }
}

async fn crowd(desk: &Desk<'_>) -> Outcome {
    let connections = match desk.connections().await {
        Ok(connections) => connections,
        Err(error) => return Outcome::Fail(format!("{error:#}")),
    };
    let begin = Instant::now();
    let count = desk.subject.streams;
    let streams = connections.iter().cycle().take(count).map(|keda| first_word(desk, keda, begin + CROWD_WITHIN));
    let words = join_all(streams).await;
    let told = words.iter().filter(|word| word.is_ok()).count();
    let failure = words.iter().find_map(|word| word.as_ref().err().cloned()).unwrap_or_default();
    let took = begin.elapsed().as_secs_f64();
    let seen = format!("{told} of {count} streams on {} connections within {took:.1} s {failure}", connections.len());
    judge(told == count, seen.trim_end())
}

/// The stream stays open until all have been told.
async fn first_word(desk: &Desk<'_>, keda: &Keda, until: Instant) -> Result<Streaming<IsActive>, String> {
    let opened = timeout_at(until, keda.stream_is_active(&desk.object)).await;
    let mut stream = opened.map_err(|_| "not opened in time".to_owned())?.map_err(|status| brief(&status))?;
    match timeout_at(until, stream.message()).await {
        Ok(Ok(Some(_))) => Ok(stream),
        other => Err(word(other)),
    }
}

async fn specs(desk: &Desk<'_>) -> Outcome {
    let mut stream = match desk.keda.stream_metric_spec(&desk.object).await {
        Ok(stream) => stream,
        Err(status) => return judge(status.code() == Code::Unimplemented, brief(&status)),
    };
    let first = match timeout(desk.subject.within, stream.message()).await {
        Ok(Ok(Some(first))) => first.metric_specs,
        Ok(Err(status)) if status.code() == Code::Unimplemented => return Outcome::Pass(brief(&status)),
        other => return Outcome::Fail(word(other)),
    };
    match desk.keda.metric_specs(&desk.object).await {
        Ok(specs) => {
            let good = !first.is_empty() && first == specs;
            judge(good, format!("{} spec(s) streamed, {} by GetMetricSpec", first.len(), specs.len()))
        }
        Err(status) => Outcome::Fail(brief(&status)),
    }
}

/// Has to be the last: the scaler may be gone afterwards.
pub(super) async fn stopping(desk: &Desk<'_>, command: &str) -> Outcome {
    let mut stream = match desk.keda.stream_is_active(&desk.object).await {
        Ok(stream) => stream,
        Err(status) => return Outcome::Fail(brief(&status)),
    };
    // The first word: the stream is on its way when the scaler is asked to end.
    if let other @ (Ok(Ok(None) | Err(_)) | Err(_)) = timeout(desk.subject.within, stream.message()).await {
        return Outcome::Fail(word(other));
    }
    let mut shell = std::process::Command::new("/bin/sh");
    match shell.args(["-c", command]).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        other => return Outcome::Skip(format!("the command to stop it failed: {other:?}")),
    }
    match follow(&mut stream, Instant::now() + END_WITHIN, usize::MAX).await {
        (_, Some(status)) => end(status),
        (_, None) => Outcome::Fail(format!("still open after {END_WITHIN:?}")),
    }
}
