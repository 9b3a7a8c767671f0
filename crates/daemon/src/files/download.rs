//! `POST /files/bulk-download` and `GET /files/download`: files of any size, as they are read.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pitlane_wire::toolbox::DownloadFiles;

use super::open::read_regular;
use super::pool::Files;
use super::random;
use crate::http::{Answer, Body, Pipe, Query, Refusal, pipe, read_json, with_body};
use crate::toolbox::Toolbox;

/// How the boundary between parts begins; clients read the whole of it from the answer's head.
const BOUNDARY: &str = "DAYTONA-FILE-BOUNDARY";
/// How much is read at once.
const PIECE: u64 = 256 << 10;
/// What stands as it is in `filename*`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file that can be sent: as many bytes as it has now.
#[derive(Debug)]
struct Opened {
    file: File,
    length: u64,
}

/// Sends files as the parts of a form, in the order of their paths. One that cannot be read is a part with an error;
/// one that becomes shorter meanwhile cuts the answer off, since its length was promised.
pub(crate) async fn download_many(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let wanted: DownloadFiles = read_json(request.into_body()).await?;
    if wanted.paths.is_empty() {
        return Err(Refusal::bad_body("paths is empty"));
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

/// Sends one file as it is.
pub(crate) async fn download_one(toolbox: &Arc<Toolbox>, request: &Request<Incoming>) -> Answer {
    let path = Query::of(request.uri()).required("path")?.to_owned();
    let opened = open(toolbox.files(), toolbox.absolute(&path), &path).await?;
    let length = opened.length;
    let (pipe, body) = pipe();
    let files = toolbox.files().clone();
    toolbox.tasks().spawn(async move {
        match send_file(&files, opened, &pipe).await {
            Ok(()) | Err(SendError::Gone) => {}
            Err(SendError::Broken(reason)) => pipe.fail(std::io::Error::other(reason)).await,
        }
    });
    Ok(sized(with_body(StatusCode::OK, "application/octet-stream", body), length))
}

fn sized(mut response: Response<Body>, length: u64) -> Response<Body> {
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
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
        let opened = open(toolbox.files(), toolbox.absolute(path), path).await;
        let (name, media_type, length, error) = match &opened {
            Ok(opened) => ("file", "application/octet-stream", opened.length, None),
            Err(refusal) => {
                let body = serde_json::to_vec(&refusal.body(path, None)).unwrap_or_default();
                let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
                ("error", "application/json; charset=utf-8", length, Some(body))
            }
        };
        let disposition = disposition(name, path);
        let head = format!(
            "{before}--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Length: {length}\r\nContent-Type: {media_type}\r\n\r\n"
        );
        write(pipe, head).await?;
        match (opened, error) {
            (_, Some(error)) => write(pipe, error).await?,
            (Ok(opened), None) => send_file(toolbox.files(), opened, pipe).await?,
            (Err(_), None) => {}
        }
        before = "\r\n";
    }
    write(pipe, format!("\r\n--{boundary}--\r\n")).await
}

async fn open(files: &Files, path: PathBuf, asked: &str) -> Result<Opened, Refusal> {
    let opened = files.run(move || read_regular(&path)).await?;
    let (file, status) = opened.map_err(|errno| Refusal::of_file(asked, errno))?;
    Ok(Opened { file, length: u64::try_from(status.st_size).unwrap_or(0) })
}

/// Sends as many bytes as were promised; what was added since then is not sent.
async fn send_file(files: &Files, opened: Opened, pipe: &Pipe) -> Result<(), SendError> {
    let Opened { mut file, length } = opened;
    let mut left = length;
    while left > 0 {
        let (read_from, piece) = files
            .run(move || read(file, left))
            .await
            .map_err(|error| SendError::Broken(error.to_string()))?;
        let piece = piece.map_err(|error| SendError::Broken(error.to_string()))?;
        if piece.is_empty() {
            return Err(SendError::Broken(String::from("the file became shorter")));
        }
        file = read_from;
        left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        write(pipe, piece).await?;
    }
    Ok(())
}

fn read(mut file: File, left: u64) -> (File, std::io::Result<Vec<u8>>) {
    let mut piece = Vec::with_capacity(usize::try_from(left.min(PIECE)).unwrap_or(0));
    let result = file.by_ref().take(left.min(PIECE)).read_to_end(&mut piece);
    (file, result.map(|_| piece))
}

async fn write(pipe: &Pipe, piece: impl Into<Bytes>) -> Result<(), SendError> {
    if pipe.write(piece).await { Ok(()) } else { Err(SendError::Gone) }
}

/// The path exactly as it was asked for, twice: for clients that read only the old parameter, and without loss.
fn disposition(name: &str, path: &str) -> String {
    let mut quoted = String::new();
    for character in path.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // These would end the header, and there is no other way to write them.
            '\r' => quoted.push_str("%0D"),
            '\n' => quoted.push_str("%0A"),
            other => quoted.push(other),
        }
    }
    let encoded = utf8_percent_encode(path, PLAIN);
    format!("form-data; name=\"{name}\"; filename=\"{quoted}\"; filename*=utf-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn any_path_fits_into_a_header() {
        assert_eq!(
            disposition("file", "/tmp/ä \"b\"\r\n.txt"),
            "form-data; name=\"file\"; filename=\"/tmp/ä \\\"b\\\"%0D%0A.txt\"; filename*=utf-8''%2Ftmp%2F%C3%A4%20%22b%22%0D%0A.txt"
        );
    }
}
