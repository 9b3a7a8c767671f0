//! `POST /files/bulk-download` and `GET /files/download`: files of any size, as they are read.
//!
//! A file has the length that it had when it was opened: what is added later is not sent, and one that becomes shorter
//! cuts the answer off, so that nobody takes a part for the whole. Files that tell no length, as in `/proc`, are read to
//! their end first.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use pitlane_daemon::input::{Range, RangeError, attachment, part_of_form};
use pitlane_wire::toolbox::DownloadFiles;
use rustix::io::Errno;

use super::asked::Asked;
use super::open::read_regular;
use super::pool::Files;
use super::random;
use super::stage::of_io;
use crate::http::{Answer, Body, Pipe, Refusal, pipe, read_json_within, with_body};
use crate::toolbox::Toolbox;

/// How the boundary between parts begins; clients read the whole of it from the answer's head.
const BOUNDARY: &str = "DAYTONA-FILE-BOUNDARY";
/// The longest body, paths alone.
const MAX_BODY: usize = 8 << 20;
/// The most files of one request.
const MAX_FILES: usize = 100_000;
/// How much is read at once: little for a slow client, and an eighth of what it has taken for a fast one. A thousand
/// clients that do not read hold a thousand little pieces.
const SMALL_PIECE: u64 = 16 << 10;
const LARGE_PIECE: u64 = 256 << 10;
/// How large the pieces of all clients are together, as far as they can be smaller. Of each, up to four are on their way.
const ALL_PIECES: u64 = 16 << 20;
/// A client that lets a piece wait longer is slow.
const SLOW: Duration = Duration::from_millis(40);
/// The longest file without a length.
const MAX_UNSIZED: u64 = 4 << 20;

/// A file that can be sent: as many bytes as it has now.
#[derive(Debug)]
struct Opened {
    contents: Contents,
    length: u64,
}

#[derive(Debug)]
enum Contents {
    File(Arc<File>),
    /// What a file without a length had in it.
    Read(Bytes),
}

/// Sends files as the parts of a form, in the order of their paths. One that cannot be read is a part with an error;
/// one that becomes shorter meanwhile cuts the answer off, since its length was promised.
pub(crate) async fn download_many(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let wanted: DownloadFiles = read_json_within(request.into_body(), MAX_BODY).await?;
    if wanted.paths.is_empty() {
        return Err(Refusal::bad_body("paths is empty"));
    }
    if wanted.paths.len() > MAX_FILES {
        return Err(Refusal::bad_body(format!("paths has more than {MAX_FILES} items")));
    }
    // Unlike any other, or a file that has the boundary in it would end there and could pass for others.
    let unique = random::letters().map_err(|errno| Refusal::internal(errno.to_string()))?;
    let boundary = format!("{BOUNDARY}-{unique}");
    let form = format!("multipart/form-data; boundary={boundary}");
    let form = HeaderValue::try_from(form).map_err(|error| Refusal::internal(error.to_string()))?;
    let (pipe, body) = pipe();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        match send_all(&shared, &wanted.paths, &boundary, &pipe).await {
            // The client may have gone.
            Ok(()) | Err(SendError::Gone) => {}
            Err(SendError::Broken(reason)) => pipe.fail(std::io::Error::other(reason)).await,
        }
    });
    let mut response = with_body(StatusCode::OK, "multipart/form-data", body);
    response.headers_mut().insert(CONTENT_TYPE, form);
    Ok(response)
}

/// Sends one file as it is, or the range of it that is asked for.
pub(crate) async fn download_one(toolbox: &Arc<Toolbox>, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let opened = open(toolbox.files(), &asked).await?;
    let length = opened.length;
    let Ok(range) = range(request.headers(), length) else {
        return unsatisfiable(&asked, length, request);
    };
    let sent = range.unwrap_or(Range { start: 0, count: length });
    let (pipe, body) = pipe();
    let files = toolbox.files().clone();
    toolbox.tasks().spawn(async move {
        match send_file(&files, opened, sent, &pipe).await {
            Ok(()) | Err(SendError::Gone) => {}
            Err(SendError::Broken(reason)) => pipe.fail(std::io::Error::other(reason)).await,
        }
    });
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = with_body(status, "application/octet-stream", body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(sent.count));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(name) = HeaderValue::try_from(attachment(&asked.name())) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    if range.is_some() {
        let last = sent.start.saturating_add(sent.count).saturating_sub(1);
        put_range(headers, &format!("bytes {}-{last}/{length}", sent.start));
    }
    Ok(response)
}

/// The range that is asked for. With a condition none is: nothing here tells one version of a file from another.
fn range(headers: &HeaderMap, length: u64) -> Result<Option<Range>, RangeError> {
    let header = headers.get(RANGE).and_then(|value| value.to_str().ok());
    match header {
        Some(header) if !headers.contains_key(IF_RANGE) => Range::parse(header, length),
        _ => Ok(None),
    }
}

fn unsatisfiable(asked: &Asked, length: u64, request: &Request<Incoming>) -> Answer {
    let message = format!("the range begins behind the end of {}", asked.text);
    let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BAD_REQUEST", message);
    let mut response: Response<Body> = refusal.answer(request.uri().path(), request.method());
    put_range(response.headers_mut(), &format!("bytes */{length}"));
    Ok(response)
}

fn put_range(headers: &mut HeaderMap, range: &str) {
    if let Ok(range) = HeaderValue::try_from(range) {
        headers.insert(CONTENT_RANGE, range);
    }
}

enum SendError {
    /// Nobody reads any more.
    Gone,
    /// What was promised cannot be sent.
    Broken(String),
}

async fn send_all(
    toolbox: &Toolbox,
    paths: &[String],
    boundary: &str,
    pipe: &Pipe,
) -> Result<(), SendError> {
    let mut before = "";
    for path in paths {
        let opened = match Asked::new(toolbox, path) {
            Ok(asked) => open(toolbox.files(), &asked).await,
            Err(refusal) => Err(refusal),
        };
        let (name, media_type, opened) = match opened {
            Ok(opened) => ("file", "application/octet-stream", opened),
            Err(refusal) => {
                let body = serde_json::to_vec(&refusal.body(path, None)).unwrap_or_default();
                let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
                let opened = Opened { contents: Contents::Read(body.into()), length };
                ("error", "application/json; charset=utf-8", opened)
            }
        };
        let (disposition, length) = (part_of_form(name, path), opened.length);
        let head = format!(
            "{before}--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Length: {length}\r\nContent-Type: {media_type}\r\n\r\n"
        );
        write(pipe, head).await?;
        send_file(toolbox.files(), opened, Range { start: 0, count: length }, pipe).await?;
        before = "\r\n";
    }
    write(pipe, format!("\r\n--{boundary}--\r\n")).await
}

async fn open(files: &Files, asked: &Asked) -> Result<Opened, Refusal> {
    let path = asked.path.clone();
    let opened = files.run(move || {
        let (file, status) = read_regular(&path)?;
        match u64::try_from(status.st_size).unwrap_or(0) {
            0 => read_unsized(&file),
            length => Ok(Opened { contents: Contents::File(Arc::new(file)), length }),
        }
    });
    opened.await?.map_err(|errno| asked.refusal(errno))
}

/// Reads a file that tells no length: it is empty, or made by the kernel as it is read.
fn read_unsized(file: &File) -> Result<Opened, Errno> {
    let mut contents = Vec::new();
    let limit = MAX_UNSIZED.saturating_add(1);
    file.take(limit).read_to_end(&mut contents).map_err(|error| of_io(&error))?;
    let length = u64::try_from(contents.len()).unwrap_or(u64::MAX);
    if length > MAX_UNSIZED {
        return Err(Errno::FBIG);
    }
    Ok(Opened { contents: Contents::Read(contents.into()), length })
}

/// Sends as many bytes as were promised; what was added since then is not sent.
async fn send_file(
    files: &Files,
    opened: Opened,
    sent: Range,
    pipe: &Pipe,
) -> Result<(), SendError> {
    let file = match opened.contents {
        Contents::File(file) => file,
        Contents::Read(bytes) => {
            let start = usize::try_from(sent.start).unwrap_or(usize::MAX).min(bytes.len());
            let count = usize::try_from(sent.count).unwrap_or(usize::MAX);
            let end = start.saturating_add(count).min(bytes.len());
            return write(pipe, bytes.slice(start..end)).await;
        }
    };
    let transfer = files.begin_transfer();
    let (mut at, mut left, mut taken) = (sent.start, sent.count, 0u64);
    while left > 0 {
        let share = transfer.share_of(ALL_PIECES).clamp(SMALL_PIECE, LARGE_PIECE);
        let size = taken.wrapping_div(8).clamp(SMALL_PIECE, share);
        let (source, wanted) = (Arc::clone(&file), left.min(size));
        let piece = files
            .run(move || read(&source, at, wanted))
            .await
            .map_err(|error| SendError::Broken(error.to_string()))?
            .map_err(|error| SendError::Broken(error.to_string()))?;
        if piece.is_empty() {
            return Err(SendError::Broken(String::from("the file became shorter")));
        }
        let count = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        (at, left) = (at.saturating_add(count), left.saturating_sub(count));
        let begun = Instant::now();
        write(pipe, piece).await?;
        taken = if begun.elapsed() > SLOW { 0 } else { taken.saturating_add(count) };
    }
    Ok(())
}

fn read(file: &File, at: u64, wanted: u64) -> std::io::Result<Vec<u8>> {
    let mut piece = vec![0; usize::try_from(wanted).unwrap_or(0)];
    let count = file.read_at(&mut piece, at)?;
    piece.truncate(count);
    Ok(piece)
}

async fn write(pipe: &Pipe, piece: impl Into<Bytes>) -> Result<(), SendError> {
    let piece = piece.into();
    if piece.is_empty() || pipe.write(piece).await { Ok(()) } else { Err(SendError::Gone) }
}
