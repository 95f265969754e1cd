//! An HTTP server that plays a fixed list of answers, one per request, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with one request.
pub(crate) enum Play {
    /// A whole answer: status line rest, further header lines, body.
    Answer(&'static str, &'static str, String),
    /// HTTP 200 with this result for the id that was asked.
    Result(Value),
    /// HTTP 200 with this error for the id that was asked.
    Error(Value),
    /// HTTP 200 with this result, after which the connection waits for the next request.
    Keep(Value),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// A TCP reset without a byte.
    Reset,
    /// No answer for as long as the client waits.
    Silence,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Counts connections from 1.
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    pub(crate) fn method(&self) -> &str {
        self.body.get("method").and_then(Value::as_str).unwrap_or_default()
    }
}

pub(crate) struct Script {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// Listens on a free port. A request beyond the list is answered with HTTP 418.
    pub(crate) async fn play(plays: Vec<Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/agents/kagent/triage/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let plays = Arc::new(Mutex::new(VecDeque::from(plays)));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                connection += 1;
                let (log, plays) = (Arc::clone(&log), Arc::clone(&plays));
                tokio::spawn(async move { while serve(&mut stream, connection, &log, &plays).await.is_some() {} });
            }
        });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request; `Some` if the connection goes on.
async fn serve(
    stream: &mut TcpStream,
    connection: usize,
    log: &Mutex<Vec<Seen>>,
    plays: &Mutex<VecDeque<Play>>,
) -> Option<()> {
    let seen = Seen { connection, ..read(stream).await? };
    let id = seen.body.get("id").cloned().unwrap_or_default();
    log.lock().unwrap().push(seen);
    let play = plays.lock().unwrap().pop_front();
    let result = |result| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    let bytes = match play.unwrap_or_else(|| Play::Answer("418 I'm a teapot", "", String::new())) {
        Play::Answer(status, headers, body) => last(status, headers, &body),
        Play::Result(value) => last("200 OK", "", &result(value)),
        Play::Error(error) => last("200 OK", "", &json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()),
        Play::Keep(value) => return stream.write_all(&whole("200 OK", "", &result(value))).await.ok(),
        Play::Raw(bytes) => bytes,
        Play::Reset => {
            stream.set_zero_linger().unwrap();
            return None;
        }
        Play::Silence => {
            // Ends when the client gives up.
            let _gone = stream.read(&mut [0]).await;
            return None;
        }
    };
    let _gone = stream.write_all(&bytes).await;
    let _gone = stream.shutdown().await;
    None
}

fn last(status: &str, headers: &str, body: &str) -> Vec<u8> {
    whole(status, &format!("{headers}connection: close\r\n"), body)
}

fn whole(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let seen = Seen { connection: 0, head, body: Value::Null };
    let length: usize = seen.header("content-length").map_or(Ok(0), str::parse).ok()?;
    while bytes.len() < end + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let body = serde_json::from_slice(bytes.get(end..)?).unwrap_or_default();
    Some(Seen { body, ..seen })
}
