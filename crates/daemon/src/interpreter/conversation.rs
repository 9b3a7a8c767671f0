//! The WebSocket of a run: one request, its messages, a close.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use pitlane_wire::toolbox::InterpreterRequest;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::context::{End, MOST_WAITING, Run};
use super::contexts::unknown;
use crate::environment::Environment;
use crate::http::TooMuch;
use crate::http::websocket::{WebSocket, close};
use crate::toolbox::Toolbox;

/// How long a client may take to say what it wants.
const FIRST_WORD: Duration = Duration::from_secs(60);
/// How long a run may take when its client does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// Messages that wait for a slow client before its run has to.
const MESSAGES: usize = 2;

/// Why a run does not begin: a code for programs and a sentence for people.
type Objection = (CloseCode, String);

/// Does what the client wants.
pub(super) async fn converse(toolbox: &Arc<Toolbox>, mut socket: WebSocket) {
    let Some(request) = hear(&mut socket).await else { return };
    let begun = request.and_then(|message| begin(toolbox, &message));
    let (code, reason) = match begun {
        Ok((messages, end)) => match pass_on(&mut socket, messages, end).await {
            Some(End { code, reason, .. }) => (code, reason),
            None => return,
        },
        Err(objection) => objection,
    };
    close(socket, code, &reason).await;
}

/// The first message; `None` when the client has gone.
async fn hear(socket: &mut WebSocket) -> Option<Result<Bytes, Objection>> {
    let meter = socket.get_ref().meter();
    let first = async {
        loop {
            let message = socket.next().await?;
            if message.is_err() && meter.is_over() {
                return Some(Err((CloseCode::Again, TooMuch.to_string())));
            }
            meter.next_message();
            match message.ok()? {
                Message::Text(text) => return Some(Ok(Bytes::from(text))),
                Message::Binary(bytes) => return Some(Ok(bytes)),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    };
    match timeout(FIRST_WORD, first).await {
        Ok(first) => first,
        Err(_elapsed) => Some(Err(violation("no code was sent"))),
    }
}

fn violation(reason: impl Into<String>) -> Objection {
    (CloseCode::Policy, reason.into())
}

/// Has a run wait for its turn.
fn begin(
    toolbox: &Arc<Toolbox>,
    text: &[u8],
) -> Result<(mpsc::Receiver<String>, oneshot::Receiver<End>), Objection> {
    let is_object = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let request: Result<InterpreterRequest, _> = serde_json::from_slice(text);
    let request =
        request.map_err(|error| (CloseCode::Protocol, format!("invalid JSON: {error}")))?;
    if !is_object {
        return Err((CloseCode::Protocol, String::from("invalid JSON: an object is wanted")));
    }
    let code = request.code.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| violation("code is required"))?;
    let timeout = timeout_of(request.timeout)?;
    // Names and values are as good as those of the sandbox.
    let variables = Environment::default()
        .with(request.envs.as_ref())
        .map_err(|error| violation(error.to_string()))?;
    let id = request.context_id.unwrap_or_default();
    let context = toolbox.contexts().find(toolbox, &id).ok_or_else(|| violation(unknown(&id)))?;
    let (messages, received) = mpsc::channel(MESSAGES);
    let (end, ended) = oneshot::channel();
    let variables = variables.variables().clone();
    match context.ask(Run { code, variables, timeout, messages, end }) {
        Ok(()) => Ok((received, ended)),
        Err(TrySendError::Full(_)) => Err((
            CloseCode::Again,
            format!("{MOST_WAITING} runs wait in this context already: try again later"),
        )),
        Err(TrySendError::Closed(_)) => Err(violation(unknown(&context.id))),
    }
}

fn timeout_of(seconds: Option<f64>) -> Result<Option<Duration>, Objection> {
    match seconds {
        None => Ok(Some(DEFAULT_TIMEOUT)),
        Some(seconds) if seconds < 0.0 => Err(violation("timeout must not be negative")),
        Some(0.0) => Ok(None),
        // One that is beyond what the clock can count never comes.
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()),
    }
}

/// Passes messages on until the end, which it gives; `None` when the client has gone.
async fn pass_on(
    socket: &mut WebSocket,
    mut messages: mpsc::Receiver<String>,
    mut end: oneshot::Receiver<End>,
) -> Option<End> {
    let mut ended = None;
    let meter = socket.get_ref().meter();
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            heard = socket.next() => {
                match heard? {
                    // Whatever it still says is not for anybody.
                    Ok(message) if !message.is_close() => {
                        meter.next_message();
                        continue;
                    }
                    _ => return None,
                }
            }
        };
        let Some(message) = message else { break };
        let mut sending = std::pin::pin!(socket.send(Message::text(message)));
        loop {
            tokio::select! {
                sent = &mut sending => {
                    sent.ok()?;
                    break;
                }
                said = &mut end, if ended.is_none() => match said {
                    Ok(said) if said.cuts => return Some(said),
                    Ok(said) => ended = Some(said),
                    Err(_deleted) => return Some(deleted()),
                },
            }
        }
    }
    match ended {
        Some(ended) => Some(ended),
        None => Some(end.await.unwrap_or_else(|_deleted| deleted())),
    }
}

fn deleted() -> End {
    let reason = String::from("the interpreter context was deleted");
    End { code: CloseCode::Policy, reason, cuts: true }
}
