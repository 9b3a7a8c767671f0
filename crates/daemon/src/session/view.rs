//! A log as clients read it: split as JSON, or as one stream of bytes with marks.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use pitlane_daemon::input::ClientVersion;
use pitlane_wire::toolbox::{SessionCommandLogsResponse, SessionExecuteResponse};
use tokio::sync::OwnedSemaphorePermit;

use super::command::Command;
use super::log::{Log, Next, Piece, Stream};
use super::spool::Reader;
use crate::http::{Answer, Body, Pipe, json, pipe, with_body};
use crate::process::JsonText;
use crate::toolbox::Toolbox;

/// The header with the version of a client's library.
const VERSION_HEADER: &str = "x-daytona-sdk-version";
/// Longer logs are read and sent piece by piece, whatever is in memory of them: a slow client would keep all of it there.
const SHORT: usize = 16 << 10;

/// A byte of a log may take six in JSON.
const EXPANSION: usize = 6;

/// What a client understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before 0.27: one text without marks.
    Plain,
    /// Before 0.167: one text with marks, which the client takes apart.
    Marked,
    /// Since then, and whoever says no version: taken apart already.
    Split,
}

/// Puts marks where the stream changes.
#[derive(Debug, Default)]
pub(super) struct Marks {
    last: Option<Stream>,
}

/// A text of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Marked,
    Plain,
    Only(Stream),
}

impl Dialect {
    /// Decides by the headers of a request.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let version = headers.get(VERSION_HEADER).and_then(|version| version.to_str().ok());
        match version.and_then(ClientVersion::parse) {
            Some(version) if version < ClientVersion::new(0, 27) => Self::Plain,
            Some(version) if version < ClientVersion::new(0, 167) => Self::Marked,
            _ => Self::Split,
        }
    }

    /// The fields of an answer that hold texts.
    const fn fields(self) -> &'static [(&'static str, View)] {
        match self {
            Self::Plain => &[("output", View::Plain)],
            Self::Marked => &[("output", View::Marked)],
            Self::Split => &[
                ("output", View::Marked),
                ("stdout", View::Only(Stream::Stdout)),
                ("stderr", View::Only(Stream::Stderr)),
            ],
        }
    }
}

impl Marks {
    /// The mark that belongs before a piece of a stream, if any.
    pub(super) fn before(&mut self, stream: Stream) -> &'static [u8] {
        if self.last == Some(stream) {
            return &[];
        }
        self.last = Some(stream);
        match stream {
            Stream::Stdout => &[1, 1, 1],
            Stream::Stderr => &[2, 2, 2],
        }
    }
}

impl View {
    fn shows(self, stream: Stream) -> bool {
        match self {
            Self::Marked | Self::Plain => true,
            Self::Only(only) => only == stream,
        }
    }

    fn of(self, pieces: &[Piece]) -> Vec<u8> {
        let mut marks = Marks::default();
        let mut text = Vec::new();
        for piece in pieces.iter().filter(|piece| self.shows(piece.stream)) {
            if self == Self::Marked {
                text.extend_from_slice(marks.before(piece.stream));
            }
            text.extend_from_slice(&piece.bytes);
        }
        text
    }
}

/// The log of a command as it is now.
pub(super) fn logs(
    toolbox: &Arc<Toolbox>,
    command: &Command,
    dialect: Dialect,
    permit: OwnedSemaphorePermit,
) -> Answer {
    let log = Arc::clone(&command.log);
    if dialect != Dialect::Split {
        return Ok(text(toolbox, log, dialect, permit));
    }
    let Some(pieces) = short(&log) else {
        return Ok(streamed(toolbox, log, String::from("{"), dialect, Some(permit)));
    };
    let text = |view: View| String::from_utf8_lossy(&view.of(&pieces)).into_owned();
    let answer = SessionCommandLogsResponse {
        output: text(View::Marked),
        stdout: text(View::Only(Stream::Stdout)),
        stderr: text(View::Only(Stream::Stderr)),
    };
    json(StatusCode::OK, &answer)
}

/// What a command said and how it ended.
pub(super) fn outcome(
    toolbox: &Arc<Toolbox>,
    command: &Command,
    exit_code: i32,
    dialect: Dialect,
) -> Answer {
    let Some(pieces) = short(&command.log) else {
        // An id needs no escaping.
        let head = format!("{{\"cmdId\":\"{}\",\"exitCode\":{exit_code},", command.id());
        // Whoever has had a command run hears of it, however many read.
        return Ok(streamed(toolbox, Arc::clone(&command.log), head, dialect, None));
    };
    let mut texts = dialect
        .fields()
        .iter()
        .map(|(_, view)| String::from_utf8_lossy(&view.of(&pieces)).into_owned());
    let answer = SessionExecuteResponse {
        cmd_id: command.id().to_owned(),
        output: texts.next(),
        stdout: texts.next(),
        stderr: texts.next(),
        exit_code: Some(exit_code),
    };
    json(StatusCode::OK, &answer)
}

fn short(log: &Log) -> Option<Vec<Piece>> {
    log.whole().filter(|pieces| pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>() < SHORT)
}

/// A log as text, for clients that expect no JSON.
fn text(
    toolbox: &Arc<Toolbox>,
    log: Arc<Log>,
    dialect: Dialect,
    permit: OwnedSemaphorePermit,
) -> Response<Body> {
    let (pipe, body) = pipe();
    toolbox.tasks().spawn(async move {
        let _permit = permit;
        if let Err(reason) = write_text(&log, dialect, &pipe).await {
            pipe.fail(io::Error::other(reason)).await;
        }
    });
    with_body(StatusCode::OK, "text/plain; charset=utf-8", body)
}

async fn write_text(log: &Log, dialect: Dialect, pipe: &Pipe) -> Result<(), String> {
    let mut marks = Marks::default();
    let mut reading = Reading::new(log, log.length());
    while let Some(pieces) = reading.next().await? {
        for piece in pieces {
            let mark = if dialect == Dialect::Marked { marks.before(piece.stream) } else { &[] };
            let is_read = mark.is_empty() || pipe.write(mark).await;
            if !(is_read && pipe.write(piece.bytes).await) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// An object that begins with `head` and ends with the texts of a log.
fn streamed(
    toolbox: &Arc<Toolbox>,
    log: Arc<Log>,
    head: String,
    dialect: Dialect,
    permit: Option<OwnedSemaphorePermit>,
) -> Response<Body> {
    let (pipe, body) = pipe();
    toolbox.tasks().spawn(async move {
        let _permit = permit;
        if let Err(reason) = write(&log, head, dialect, &pipe).await {
            pipe.fail(io::Error::other(reason)).await;
        }
    });
    with_body(StatusCode::OK, "application/json; charset=utf-8", body)
}

async fn write(log: &Log, head: String, dialect: Dialect, pipe: &Pipe) -> Result<(), String> {
    // Whatever is written from now on belongs to a later answer.
    let end = log.length();
    let mut output = head.into_bytes();
    for (number, (name, view)) in dialect.fields().iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        output.extend_from_slice(format!("{comma}\"{name}\":\"").as_bytes());
        let (mut text, mut marks) = (JsonText::default(), Marks::default());
        let mut reading = Reading::new(log, end);
        while let Some(pieces) = reading.next().await? {
            for piece in pieces.iter().filter(|piece| view.shows(piece.stream)) {
                if *view == View::Marked {
                    text.push(marks.before(piece.stream), &mut output);
                }
                text.push(&piece.bytes, &mut output);
                if !pipe.write(std::mem::take(&mut output)).await {
                    return Ok(());
                }
            }
        }
        text.finish(&mut output);
        output.push(b'"');
    }
    output.push(b'}');
    // Nobody may be reading any more.
    pipe.write(Bytes::from(output)).await;
    Ok(())
}

/// A way through the beginning of a log.
struct Reading<'a> {
    log: &'a Log,
    offset: u64,
    end: u64,
    reader: Reader,
}

impl<'a> Reading<'a> {
    fn new(log: &'a Log, end: u64) -> Self {
        Self { log, offset: 0, end, reader: log.reader() }
    }
}

impl Reading<'_> {
    /// The next pieces before the end.
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, String> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let Next::Pieces(mut pieces) =
            self.log.read(self.offset, self.reader.share() / EXPANSION).await?
        else {
            return Ok(None);
        };
        for piece in &mut pieces {
            let left = self.end.saturating_sub(self.offset);
            piece.bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let length = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
            self.offset = self.offset.saturating_add(length);
        }
        Ok(Some(pieces))
    }
}
