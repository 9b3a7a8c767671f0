//! A client of a terminal: output to it, input from it, and at the end the reason why.

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
    let Some(socket) = handover.socket().await else { return };
    let (mut sink, mut stream) = socket.split();
    let over = tokio::select! {
        over = speak(&mut sink, &terminal, &mut follower, offer.wants_exit) => over,
        () = listen(&mut stream, &terminal) => Over::Left,
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

/// Takes input until the client goes. One that types faster than the program reads has to wait.
async fn listen(stream: &mut SplitStream<WebSocket>, terminal: &Terminal) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            // Answered already.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        // After the end nobody takes it, which its client is being told.
        if !bytes.is_empty() && terminal.input().send(bytes).await.is_err() {}
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
            Self::Ended(Ending::Exited(code)) => {
                let reason = serde_json::to_string(&PtyExit::of(code)).unwrap_or_default();
                (if code == 0 { CloseCode::Normal } else { CloseCode::Error }, reason)
            }
            Self::Ended(Ending::HungUp) => (CloseCode::Away, failure(HUNG_UP)),
            Self::Ended(Ending::Failed(error)) => (CloseCode::Error, failure(&error)),
        }
    }
}
