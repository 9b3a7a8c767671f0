//! Following a log: everything from its beginning, and what comes, until the command is over.
//!
//! Each follower reads at its own pace. One that stops reading holds a place among those that are allowed, and nothing
//! else.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::command::Command;
use super::log::{Log, Next, Piece};
use super::spool::Reader;
use super::view::Marks;
use crate::http::websocket::{self, Meter};
use crate::http::{Answer, INTAKE, Pipe, pipe, with_body};
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
            joined.extend_from_slice(self.marks.before(piece.stream));
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

    /// Sends what comes next from the disk to the socket, if it is there; whether it was.
    async fn send_stored(&mut self, socket: &mut websocket::WebSocket) -> Result<bool, Error> {
        let Some(extent) = self.log.extent(self.offset, self.reader.share()) else {
            return Ok(false);
        };
        let mark = self.marks.before(extent.stream);
        if !mark.is_empty() {
            socket.feed(Message::Binary(Bytes::from_static(mark))).await?;
        }
        let Some(raw) = websocket::Raw::begin(socket, extent.length).await? else {
            return Ok(false);
        };
        let mut sent: usize = 0;
        while sent < extent.length {
            let taken = self.log.send(&extent, sent, raw.writable().await?).await?;
            sent = sent.saturating_add(taken);
        }
        // A client that takes everything at once does not keep everybody else waiting.
        tokio::task::yield_now().await;
        self.offset = self.offset.saturating_add(u64::try_from(sent).unwrap_or(u64::MAX));
        Ok(true)
    }

    async fn send(mut self, mut socket: websocket::WebSocket) {
        let meter = socket.get_ref().meter();
        // Otherwise the client has gone, or the socket is in the middle of a message.
        if let Ok(end) = self.send_all(&mut socket, &meter).await {
            let (code, reason) = match &end {
                Ok(()) => (CloseCode::Normal, ""),
                Err(reason) => (CloseCode::Error, reason.as_str()),
            };
            // What is in the socket may be the disk's own pages, which are cleared when a log goes.
            websocket::close_patiently(socket, code, reason).await;
        }
    }

    /// Sends everything; whether that was all of the log, or why not. An error is the end of the conversation.
    async fn send_all(
        &mut self,
        socket: &mut websocket::WebSocket,
        meter: &Meter,
    ) -> Result<Result<(), String>, Error> {
        loop {
            // However much there is to be sent, a client is heard.
            while let Some(heard) = socket.next().now_or_never() {
                hear(heard, meter)?;
            }
            if self.send_stored(socket).await? {
                continue;
            }
            let next = tokio::select! {
                biased;
                next = self.next() => next,
                heard = socket.next() => {
                    hear(heard, meter)?;
                    continue;
                }
            };
            let pieces = match next {
                Ok(Some(pieces)) => pieces,
                Ok(None) => return Ok(Ok(())),
                Err(reason) => return Ok(Err(reason)),
            };
            for bytes in self.marked(pieces) {
                match bytes.len() {
                    LONG.. => websocket::send_long(socket, bytes).await?,
                    _ => socket.feed(Message::Binary(bytes)).await?,
                }
            }
            socket.flush().await?;
        }
    }
}

/// What a client says: pings are answered on the way, and nothing else but its end means anything here.
fn hear(heard: Option<Result<Message, Error>>, meter: &Meter) -> Result<(), Error> {
    match heard {
        Some(Ok(Message::Close(_))) | None => Err(Error::ConnectionClosed),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => {
            meter.next_message();
            Ok(())
        }
    }
}
