//! A small RESP2 client (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! It shares nothing with the product's Redis code, so that a mistake there cannot hide itself.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

mod reply;

pub use reply::Reply;

/// How long connecting and a command may take, unless [`Client::with_timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to a Redis or Sentinel server.
#[derive(Debug)]
pub struct Client {
    stream: BufStream<TcpStream>,
    timeout: Duration,
    /// A command was left without its answer: the next answer would belong to it.
    broken: bool,
}

impl Client {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_within(address, TIMEOUT).await
    }

    /// Connects to `host:port`; `limit` holds for connecting and for every command.
    pub async fn connect_within(address: &str, limit: Duration) -> Result<Self> {
        let stream = timeout(limit, TcpStream::connect(address))
            .await
            .with_context(|| format!("no connection to {address} within {limit:?}"))?
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufStream::new(stream), timeout: limit, broken: false })
    }

    /// Changes how long a command may take.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// SELECT: the database of the following commands.
    pub async fn select(&mut self, database: u32) -> Result<()> {
        self.cmd(&["SELECT", &database.to_string()]).await.map(drop)
    }

    /// AUTH as the default user.
    pub async fn auth(&mut self, password: &str) -> Result<()> {
        self.cmd(&["AUTH", password]).await.map(drop)
    }

    /// Sends a command; an error reply is an error with the server's text.
    pub async fn cmd<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Reply> {
        match self.raw(words).await? {
            Reply::Error(text) => Err(anyhow!(text)),
            reply => Ok(reply),
        }
    }

    /// Sends a command; an error reply is a reply.
    pub async fn raw<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Reply> {
        if self.broken {
            bail!("this connection was left in the middle of a command: open another");
        }
        self.broken = true;
        let reply = timeout(self.timeout, exchange(&mut self.stream, words))
            .await
            .with_context(|| format!("no answer within {:?}", self.timeout))??;
        self.broken = false;
        Ok(reply)
    }
}

async fn exchange<A: AsRef<[u8]>>(stream: &mut BufStream<TcpStream>, words: &[A]) -> Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    read_reply(stream).await
}

async fn read_reply(stream: &mut BufStream<TcpStream>) -> Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        bail!("the server closed the connection");
    }
    let mut rest = line.trim_end_matches(['\r', '\n']).chars();
    let kind = rest.next().context("an empty line instead of a reply")?;
    let rest = rest.as_str();
    match kind {
        '+' => Ok(Reply::Text(rest.into())),
        '-' => Ok(Reply::Error(rest.into())),
        ':' => Ok(Reply::Int(rest.parse()?)),
        '$' => match usize::try_from(rest.parse::<i64>()?) {
            Ok(length) => read_bulk(stream, length).await,
            Err(_) => Ok(Reply::Nil),
        },
        '*' => match usize::try_from(rest.parse::<i64>()?) {
            Ok(length) => {
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(Box::pin(read_reply(stream)).await?);
                }
                Ok(Reply::Array(items))
            }
            Err(_) => Ok(Reply::Nil),
        },
        other => bail!("a reply cannot begin with {other:?}"),
    }
}

async fn read_bulk(stream: &mut BufStream<TcpStream>, length: usize) -> Result<Reply> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    let mut end = [0; 2];
    stream.read_exact(&mut end).await?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Reply::Text(text),
        Err(error) => Reply::Bytes(error.into_bytes()),
    })
}
