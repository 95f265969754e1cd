//! Log lines. Field values are written by strangers (alerts, agents), so no control character of theirs reaches the output.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::Layer;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{self as lines, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;

/// Lines to stderr; coloured only if that is a terminal and the user has not set `NO_COLOR` (the formatter's default).
pub(super) fn to_stderr<S>(shape: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if io::stderr().is_terminal() {
        to_writer(shape, None, io::stderr)
    } else {
        to_writer(shape, Some(false), io::stderr)
    }
}

/// Lines to `writer`. `colour`: `None` leaves it to the formatter.
fn to_writer<S, W>(shape: LogFormat, colour: Option<bool>, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'line> MakeWriter<'line> + Send + Sync + 'static,
{
    match shape {
        LogFormat::Json => Box::new(
            lines::layer().json().with_current_span(true).with_span_list(false).with_writer(EscapingJson(writer)),
        ),
        LogFormat::Text => {
            let layer = lines::layer().fmt_fields(format::debug_fn(write_field).delimited(" ")).with_writer(writer);
            match colour {
                Some(colour) => Box::new(layer.with_ansi(colour)),
                None => Box::new(layer),
            }
        }
    }
}

/// Makes a panic a log line like any other, instead of text that no log collector understands.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let why = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(place, why, backtrace, "panic");
    }));
}

/// Writes `name=value`, or the value alone for the message.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => {}
        name => write!(writer, "{}=", name.strip_prefix("r#").unwrap_or(name))?,
    }
    write!(Escaping(writer), "{value:?}")
}

/// Passes text on with every control character and every invisible direction mark escaped as in Rust source.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl Escaping<'_, '_> {
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> fmt::Result {
        fmt::Write::write_fmt(self, arguments)
    }
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_hostile(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Control characters, line and paragraph separators, and marks that reorder what a terminal shows.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A JSON string may hold DEL, the C1 controls and direction marks as they are; terminals obey some of them.
/// Outside of strings JSON has no such character, so escaping them anywhere in the line keeps it the same document.
struct EscapingJson<W>(W);

struct EscapingJsonLine<L>(L);

impl<'line, W: MakeWriter<'line>> MakeWriter<'line> for EscapingJson<W> {
    type Writer = EscapingJsonLine<W::Writer>;

    fn make_writer(&'line self) -> Self::Writer {
        EscapingJsonLine(self.0.make_writer())
    }
}

impl<L: Write> Write for EscapingJsonLine<L> {
    /// The formatter hands over whole lines, so no character is cut in two.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) if text.chars().any(is_hostile_in_json) => {
                self.0.write_all(escape_json(text).as_bytes())?;
            }
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_hostile_in_json(character: char) -> bool {
    character != '\n' && is_hostile(character)
}

fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hostile_in_json(character) {
            // All of them are below U+10000: one escape is enough.
            escaped.push_str("\\u");
            for shift in [12, 8, 4, 0] {
                let nibble = (u32::from(character) >> shift) & 0xf;
                escaped.extend(char::from_digit(nibble, 16));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
