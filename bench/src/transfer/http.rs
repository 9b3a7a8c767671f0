//! The same bytes through Pitlane: as little HTTP as that takes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::bare::send;
use super::{PIECE, piece};
use crate::connection::Sandbox;
use crate::server::Server;

/// Between a form's parts.
const BOUNDARY: &str = "bench-boundary";

/// One sandbox's toolbox, as a client without a library sees it.
#[derive(Debug, Clone)]
pub(super) struct Door {
    authority: String,
    key: String,
    prefix: String,
}

impl Door {
    pub(super) fn of(server: &Server, sandbox: &Sandbox) -> Self {
        Self {
            authority: server.authority().to_owned(),
            key: server.key().to_owned(),
            prefix: format!("/toolbox/{}/files", sandbox.id),
        }
    }

    /// Writes a file of so many bytes in the sandbox.
    pub(super) fn upload(&self, name: &str, bytes: usize) -> anyhow::Result<Duration> {
        let piece = piece();
        let first = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\r\n"
        );
        let last = format!("\r\n--{BOUNDARY}--\r\n");
        let length = first.len() + bytes + last.len();
        let fields = format!(
            "Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n"
        );
        let started = Instant::now();
        let mut stream = self.ask("POST", &format!("upload-v2?path={name}"), &fields)?;
        stream.write_all(first.as_bytes())?;
        send(&mut stream, &piece, bytes)?;
        stream.write_all(last.as_bytes())?;
        let (mut answer, _) = self.head(&mut stream)?;
        let took = started.elapsed();
        // The rest says what was written.
        stream.read_to_end(&mut answer)?;
        Ok(took)
    }

    /// Reads a file of so many bytes.
    pub(super) fn download(&self, name: &str, bytes: usize) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut stream = self.ask("GET", &format!("download?path={name}"), "")?;
        let (rest, length) = self.head(&mut stream)?;
        ensure!(length == Some(bytes), "the file should have {bytes} bytes, not {length:?}");
        let mut left = bytes - rest.len();
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "the answer ended {left} bytes too early");
            left -= count;
        }
        Ok(started.elapsed())
    }

    fn ask(&self, method: &str, target: &str, fields: &str) -> anyhow::Result<TcpStream> {
        let Self { authority, key, prefix } = self;
        let mut stream = TcpStream::connect(authority).context("cannot connect to the server")?;
        write!(
            stream,
            "{method} {prefix}/{target} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\n\
             Connection: close\r\n{fields}\r\n"
        )?;
        Ok(stream)
    }

    /// Reads an answer's head; gives what came of the body with it, and the length that it says.
    fn head(&self, stream: &mut TcpStream) -> anyhow::Result<(Vec<u8>, Option<usize>)> {
        let mut read = Vec::new();
        let mut buffer = vec![0; PIECE];
        let end = loop {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "{} closed the connection", self.authority);
            read.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let rest = read.split_off(end + 4);
        let head = String::from_utf8_lossy(&read).to_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            bail!("the server answered {head}{}", String::from_utf8_lossy(&rest));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        Ok((rest, length.map(|length| length.trim().parse()).transpose()?))
    }
}
