//! A client of a terminal: output to it, input from it, and at the end the reason why.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use pitlane_daemon::input::Offer;
use pitlane_wire::toolbox::{PtyControl, PtyExit, PtyStatus};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::output::Follower;
use super::terminal::{Ending, Terminal};
use crate::http::websocket::{Handover, WebSocket, close};

/// The longest message, a text that is pasted.
const LONGEST_MESSAGE: usize = 1 << 20;
/// How much a client may type ahead of a program that does not read, beside what the terminal takes.
const MOST_AHEAD: usize = 1 << 20;

/// How long a client may take for the last output after the end.
const LAST_DEADLINE: Duration = Duration::from_secs(30);

type Sink = SplitSink<WebSocket, Message>;

/// Why a client is not served any more.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// It has gone, or said that it goes.
    Left,
    /// It reads too slowly.
    TooSlow,
    /// It types what no program reads.
    Unread,
    /// The terminal ended, and it was sent everything.
    Ended(Ending),
}

/// Serves a client until it or the terminal has gone.
pub(super) async fn serve(
    terminal: Arc<Terminal>,
    mut follower: Follower,
    offer: Offer,
    handover: Handover,
) {
    let Some(socket) = handover.socket(LONGEST_MESSAGE).await else { return };
    let (mut sink, mut stream) = socket.split();
    let over = tokio::select! {
        over = speak(&mut sink, &terminal, &mut follower, offer.wants_exit) => over,
        over = listen(&mut stream, &terminal) => over,
    };
    drop(follower);
    // They are halves of one.
    let Ok(socket) = sink.reunite(stream) else { return };
    let (code, reason) = over.farewell();
    close(socket, code, &reason).await;
}

async fn speak(
    sink: &mut Sink,
    terminal: &Terminal,
    follower: &mut Follower,
    wants_exit: bool,
) -> Over {
    if sink.send(control(PtyStatus::Connected)).await.is_err() {
        return Over::Left;
    }
    let mut ended = std::pin::pin!(terminal.ended());
    let ending = loop {
        let piece = tokio::select! {
            biased;
            piece = follower.next() => piece,
            ending = &mut ended => break ending,
        };
        let Ok(piece) = piece else { return Over::TooSlow };
        tokio::select! {
            sent = sink.send(Message::Binary(piece)) => if sent.is_err() { return Over::Left },
            () = follower.lost() => return Over::TooSlow,
        }
    };
    match timeout(LAST_DEADLINE, finish(sink, follower, &ending, wants_exit)).await {
        Ok(true) => Over::Ended(ending),
        Ok(false) => Over::Left,
        Err(_too_slow) => Over::TooSlow,
    }
}

/// Sends what is left, and how it ended.
async fn finish(sink: &mut Sink, follower: &Follower, ending: &Ending, wants_exit: bool) -> bool {
    while let Ok(piece) = follower.take() {
        if piece.is_empty() {
            break;
        }
        if sink.send(Message::Binary(piece)).await.is_err() {
            return false;
        }
    }
    let status = match ending {
        Ending::Exited(_) if !wants_exit => return true,
        Ending::Exited(code) => PtyStatus::Exited(PtyExit::of(*code)),
        Ending::HungUp => PtyStatus::Error { error: String::from(HUNG_UP) },
        Ending::Failed(error) => PtyStatus::Error { error: error.clone() },
    };
    sink.send(control(status)).await.is_ok()
}

/// Takes input until the client goes. Nobody else's input waits for what one types ahead.
async fn listen(stream: &mut SplitStream<WebSocket>, terminal: &Terminal) -> Over {
    let mut ahead = VecDeque::new();
    let mut size = 0_usize;
    loop {
        let message = tokio::select! {
            room = terminal.input().reserve(), if !ahead.is_empty() => {
                match (room, ahead.pop_front()) {
                    (Ok(room), Some(bytes)) => {
                        size = size.saturating_sub(Bytes::len(&bytes));
                        room.send(bytes);
                    }
                    // After the end nobody takes it, which its client is being told.
                    _ => (ahead, size) = (VecDeque::new(), 0),
                }
                continue;
            }
            message = stream.next() => message,
        };
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            // Answered already.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Over::Left,
        };
        if bytes.is_empty() {
            continue;
        }
        size = size.saturating_add(bytes.len());
        if size > MOST_AHEAD.max(bytes.len()) {
            return Over::Unread;
        }
        ahead.push_back(bytes);
    }
}

fn control(status: PtyStatus) -> Message {
    Message::text(PtyControl::text(status))
}

const HUNG_UP: &str = "the sandbox is stopping";

impl Over {
    /// The code and the reason of a close.
    fn farewell(self) -> (CloseCode, String) {
        let failure = |error: &str| json!({"error": error}).to_string();
        match self {
            Self::Left => (CloseCode::Normal, String::new()),
            Self::TooSlow => (CloseCode::Policy, failure("the client reads too slowly")),
            Self::Unread => (CloseCode::Policy, failure("the program does not read its input")),
            Self::Ended(Ending::Exited(code)) => {
                let reason = serde_json::to_string(&PtyExit::of(code)).unwrap_or_default();
                (if code == 0 { CloseCode::Normal } else { CloseCode::Error }, reason)
            }
            Self::Ended(Ending::HungUp) => (CloseCode::Away, failure(HUNG_UP)),
            Self::Ended(Ending::Failed(error)) => (CloseCode::Error, failure(&error)),
        }
    }
}
