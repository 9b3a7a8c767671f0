//! Following a log: everything from its beginning, and what comes, until the command is over.
//!
//! Each follower reads at its own pace. One that stops reading holds a place among those that are allowed, and nothing
//! else.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::command::Command;
use super::log::{Log, Next, Piece};
use super::spool::Reader;
use super::view::Marks;
use crate::http::{Answer, INTAKE, Pipe, pipe, websocket, with_body};
use crate::toolbox::Toolbox;

/// Followers have nothing to say.
const LONGEST_MESSAGE: usize = 4 << 10;

/// What a browser offers to say its version by, since it cannot set headers.
const VERSION_PROTOCOL: &str = "X-Daytona-SDK-Version~";
/// The media type of bytes with marks.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Longer pieces are sent by themselves.
const LONG: usize = 32 << 10;

/// A place in a log.
struct Follower {
    log: Arc<Log>,
    /// The log keeps a little in memory while there is one of these.
    changes: watch::Receiver<()>,
    offset: u64,
    marks: Marks,
    reader: Reader,
}

/// Answers with the log as it grows: as a WebSocket when asked for one, otherwise as a body without a known length.
pub(super) fn follow(
    toolbox: &Arc<Toolbox>,
    command: &Command,
    mut request: Request<Incoming>,
    permit: OwnedSemaphorePermit,
) -> Answer {
    let (log, changes) = (Arc::clone(&command.log), command.log.changes());
    let reader = log.reader();
    let follower = Follower { log, changes, offset: 0, marks: Marks::default(), reader };
    if !websocket::is_wished(request.headers()) {
        let (pipe, body) = pipe();
        toolbox.tasks().spawn(async move {
            follower.write(pipe).await;
            drop(permit);
        });
        return Ok(with_body(StatusCode::OK, MEDIA_TYPE, body));
    }
    let offered = websocket::offered(request.headers());
    let protocol = offered.into_iter().find(|name| name.starts_with(VERSION_PROTOCOL));
    let protocol = protocol.map(str::to_owned);
    let (answer, handover) = websocket::accept(&mut request, protocol.as_deref())?;
    toolbox.tasks().spawn(async move {
        if let Some(socket) = handover.socket(LONGEST_MESSAGE, &INTAKE).await {
            follower.send(socket).await;
        }
        drop(permit);
    });
    Ok(answer)
}

impl Follower {
    /// Waits for the next pieces; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, String> {
        loop {
            // What comes from here on is noticed.
            self.changes.borrow_and_update();
            match self.log.read(self.offset, self.reader.share()).await? {
                Next::Pieces(pieces) => {
                    for piece in &pieces {
                        let length = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
                        self.offset = self.offset.saturating_add(length);
                    }
                    return Ok(Some(pieces));
                }
                Next::End => return Ok(None),
                Next::Wait if self.changes.changed().await.is_err() => return Ok(None),
                Next::Wait => {}
            }
        }
    }

    /// Pieces as bytes with marks. Short ones are joined, long ones are not copied.
    fn marked(&mut self, pieces: Vec<Piece>) -> Vec<Bytes> {
        let mut all = Vec::new();
        let mut joined = BytesMut::new();
        for piece in pieces {
            joined.extend_from_slice(self.marks.before(&piece));
            if piece.bytes.len() < LONG {
                joined.extend_from_slice(&piece.bytes);
                continue;
            }
            if !joined.is_empty() {
                all.push(joined.split().freeze());
            }
            all.push(piece.bytes);
        }
        if !joined.is_empty() {
            all.push(joined.freeze());
        }
        all
    }

    async fn write(mut self, pipe: Pipe) {
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                () = pipe.closed() => return,
            };
            match next {
                Ok(Some(pieces)) => {
                    for bytes in self.marked(pieces) {
                        if !pipe.write(bytes).await {
                            return;
                        }
                    }
                }
                Ok(None) => return,
                Err(reason) => return pipe.fail(io::Error::other(reason)).await,
            }
        }
    }

    async fn send(mut self, mut socket: websocket::WebSocket) {
        let meter = socket.get_ref().meter();
        loop {
            let next = tokio::select! {
                biased;
                next = self.next() => next,
                message = socket.next() => match message {
                    // Pings are answered on the way; nothing else means anything here.
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {
                        meter.next_message();
                        continue;
                    }
                },
            };
            match next {
                Ok(Some(pieces)) => {
                    for bytes in self.marked(pieces) {
                        let sent = match bytes.len() {
                            LONG.. => websocket::send_long(&mut socket, bytes).await,
                            _ => socket.feed(Message::Binary(bytes)).await,
                        };
                        if sent.is_err() {
                            return;
                        }
                    }
                    if socket.flush().await.is_err() {
                        return;
                    }
                }
                Ok(None) => return websocket::close(socket, CloseCode::Normal, "").await,
                Err(reason) => return websocket::close(socket, CloseCode::Error, &reason).await,
            }
        }
    }
}
