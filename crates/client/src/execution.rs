//! Running something in a sandbox and reading what it says while it runs.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pitlane_wire::control::Sandbox;
use serde::Serialize;

use crate::{Client, RequestError};

/// What to run in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Run {
    /// A command line for the sandbox's shell.
    Command {
        /// The command line.
        command: String,
        /// Where it runs; the sandbox's work folder if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
        /// Variables it gets beside the sandbox's.
        envs: BTreeMap<String, String>,
        /// Seconds after which it is ended; never if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout: Option<u32>,
    },
    /// A program's source.
    Code {
        /// The source.
        code: String,
        /// `python`, `javascript` or `typescript`.
        language: String,
        /// Its arguments.
        argv: Vec<String>,
        /// Variables it gets beside the sandbox's.
        envs: BTreeMap<String, String>,
        /// Seconds after which it is ended; never if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout: Option<u32>,
    },
}

/// What came out of a running program, in the order in which each stream gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes of its standard output.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// It ended with this code: the last output.
    Exit(i32),
    /// It could not be run, or how it ended is not known: the last output, a sentence.
    Failed(String),
}

/// A program that runs in a sandbox. Dropping it ends the program.
#[derive(Debug)]
pub struct Execution<'a> {
    client: &'a Client,
    body: Incoming,
    unread: BytesMut,
}

impl Client {
    /// Runs something in a sandbox. Answers when it has begun.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the sandbox does not run, or the request makes no sense to it.
    pub async fn run(&self, sandbox: &Sandbox, run: &Run) -> Result<Execution<'_>, RequestError> {
        let toolbox = sandbox.core.toolbox_proxy_url.trim_end_matches('/');
        let url = format!("{toolbox}/{}/process/execute/stream", sandbox.core.id);
        let answer = self.toolbox(&url, run).await?;
        Ok(Execution { client: self, body: answer.into_body(), unread: BytesMut::new() })
    }
}

impl Execution<'_> {
    /// Waits for more output. After [`Output::Exit`] or [`Output::Failed`] there is none.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: how the program ended is not known. [`RequestError::Unreadable`]: what came is no
    /// output.
    pub async fn next(&mut self) -> Result<Output, RequestError> {
        loop {
            if let Some(output) = take_frame(&mut self.unread).map_err(|kind| {
                self.client.unreadable(format!("a frame of the unknown kind {kind}"))
            })? {
                return Ok(output);
            }
            let broken = |cause: Box<dyn std::error::Error + Send + Sync>| RequestError::Broken {
                url: self.client.url(),
                cause,
            };
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.unread.extend_from_slice(bytes);
                    }
                }
                Some(Err(cause)) => return Err(broken(cause.into())),
                None => return Err(broken("the output ended before the program did".into())),
            }
        }
    }
}

/// The largest frame that is waited for, in bytes.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// Takes one frame off the front of `unread`; `None` while it is not complete, the kind if there is no such kind.
fn take_frame(unread: &mut BytesMut) -> Result<Option<Output>, u8> {
    let Some((&[kind, a, b, c, d], _)) = unread.split_first_chunk::<5>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if !(1..=4).contains(&kind) || length > MAX_FRAME_BYTES || (kind == 3 && length != 4) {
        return Err(kind);
    }
    if unread.len() < 5 + length {
        unread.reserve(5 + length - unread.len());
        return Ok(None);
    }
    let content = unread.split_to(5 + length).freeze().slice(5..);
    Ok(Some(match (kind, <[u8; 4]>::try_from(&*content)) {
        (1, _) => Output::Stdout(content),
        (2, _) => Output::Stderr(content),
        (3, Ok(code)) => Output::Exit(i32::from_be_bytes(code)),
        _ => Output::Failed(String::from_utf8_lossy(&content).into_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind], &length[..], content].concat()
    }

    #[test]
    fn output_is_the_same_however_it_arrives() {
        let sent = [
            frame(1, b"out\xff"),
            frame(2, b""),
            frame(2, b"err"),
            frame(3, &[255, 255, 255, 254]),
        ]
        .concat();
        for step in 1..sent.len() {
            let mut unread = BytesMut::new();
            let mut outputs = Vec::new();
            for part in sent.chunks(step) {
                unread.extend_from_slice(part);
                while let Some(output) = take_frame(&mut unread).unwrap() {
                    outputs.push(output);
                }
            }
            let wanted = [
                Output::Stdout(Bytes::from_static(b"out\xff")),
                Output::Stderr(Bytes::new()),
                Output::Stderr(Bytes::from_static(b"err")),
                Output::Exit(-2),
            ];
            assert_eq!(outputs, wanted, "in steps of {step}");
            assert!(unread.is_empty());
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in [frame(0, b""), frame(9, b"x"), frame(3, b"123"), vec![1, 255, 255, 255, 255]] {
            assert!(take_frame(&mut BytesMut::from(&bad[..])).is_err(), "{bad:?}");
        }
    }
}
