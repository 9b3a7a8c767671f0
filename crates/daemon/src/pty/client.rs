//! A client of a terminal: output to it, input from it, and at the end the reason why.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use pitlane_daemon::input::Offer;
use pitlane_wire::toolbox::{PtyControl, PtyExit, PtyStatus};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::output::Follower;
use super::terminal::{Ending, Terminal, Typed};
use crate::http::Intake;
use crate::http::websocket::{Handover, Meter, WebSocket, close};

/// The longest message, a text that is pasted.
const LONGEST_MESSAGE: usize = 1 << 20;
/// How much a client may type ahead of a program that does not read, beside what the terminal takes.
const MOST_AHEAD: usize = 1 << 20;
/// The same of all clients of all terminals together.
const MOST_TYPED: usize = 32 << 20;
/// What the longest messages of all clients together may be, beside what is free.
const MOST_MESSAGES: usize = 64 << 20;
/// What is typed by hand always gets through.
const FREE: usize = 4 << 10;

/// For messages while they arrive.
static MESSAGES: Intake = Intake::new(MOST_MESSAGES, FREE);
/// For what no program has read yet.
static TYPED: Intake = Intake::new(MOST_TYPED, FREE);

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
    /// All clients together type what no programs read.
    Crowded,
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
    let Some(socket) = handover.socket(LONGEST_MESSAGE, &MESSAGES).await else { return };
    let meter = socket.get_ref().meter();
    let (mut sink, mut stream) = socket.split();
    let over = tokio::select! {
        over = speak(&mut sink, &terminal, &mut follower, offer.wants_exit) => over,
        over = listen(&mut stream, &meter, &terminal) => over,
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
async fn listen(stream: &mut SplitStream<WebSocket>, meter: &Meter, terminal: &Terminal) -> Over {
    let (mut ahead, mut held) = (BytesMut::new(), TYPED.hold());
    loop {
        let message = tokio::select! {
            // What there is room for does not lie ahead.
            biased;
            room = terminal.input().reserve(), if !ahead.is_empty() => {
                // A buffer of its own each time: the next one is not to be kept by what is left of this one.
                let bytes = std::mem::take(&mut ahead).freeze();
                let held = std::mem::replace(&mut held, TYPED.hold());
                // After the end nobody takes it, which its client is being told.
                if let Ok(room) = room {
                    room.send(Typed { bytes, _held: held });
                }
                continue;
            }
            message = stream.next() => message,
        };
        meter.next_message();
        let text;
        let bytes: &[u8] = match &message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(typed))) => {
                text = typed.as_str();
                text.as_bytes()
            }
            // Answered already.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(_)) if meter.is_over() => return Over::Crowded,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Over::Left,
        };
        if !ahead.is_empty() && ahead.len().saturating_add(bytes.len()) > MOST_AHEAD {
            return Over::Unread;
        }
        if held.grow(bytes.len()).is_err() {
            return Over::Crowded;
        }
        ahead.extend_from_slice(bytes);
    }
}

fn control(status: PtyStatus) -> Message {
    Message::text(PtyControl::text(status))
}

const CROWDED: &str =
    "the programs of the sandbox's terminals do not read their input, and there is too much of it";
const HUNG_UP: &str = "the sandbox is stopping";

impl Over {
    /// The code and the reason of a close.
    fn farewell(self) -> (CloseCode, String) {
        let failure = |error: &str| json!({"error": error}).to_string();
        match self {
            Self::Left => (CloseCode::Normal, String::new()),
            Self::TooSlow => (CloseCode::Policy, failure("the client reads too slowly")),
            Self::Unread => (CloseCode::Policy, failure("the program does not read its input")),
            Self::Crowded => (CloseCode::Again, failure(CROWDED)),
            Self::Ended(Ending::Exited(code)) => {
                let reason = serde_json::to_string(&PtyExit::of(code)).unwrap_or_default();
                (if code == 0 { CloseCode::Normal } else { CloseCode::Error }, reason)
            }
            Self::Ended(Ending::HungUp) => (CloseCode::Away, failure(HUNG_UP)),
            Self::Ended(Ending::Failed(error)) => (CloseCode::Error, failure(&error)),
        }
    }
}
