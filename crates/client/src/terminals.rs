//! Terminals in sandboxes: shells that a person types into.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE, USER_AGENT,
};
use http::{Method, Request, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::{
    PTY_ENVIRONMENT_PREFIX, PTY_EXIT_CONTROL, PTY_PATIENCE, PtyControl, PtyExit, PtyResizeRequest,
    PtyStatus,
};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::connections::empty;
use crate::request::segment;
use crate::{Client, RequestError};

/// How long anything about a terminal may take but its life.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest message that is taken, in bytes; the server's are shorter by far.
const MAX_MESSAGE: usize = 16 << 20;

/// A terminal that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTerminal {
    /// What it is called; no other one of the sandbox may have the name.
    pub id: String,
    /// How wide it is, in characters.
    pub columns: u16,
    /// How high it is, in lines.
    pub rows: u16,
    /// Where its shell starts; the sandbox's work folder without it.
    pub folder: Option<String>,
    /// Variables of its shell.
    pub variables: BTreeMap<String, String>,
}

/// A connection to a terminal. Dropping it leaves the terminal running.
#[derive(Debug)]
pub struct Terminal {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    url: String,
}

/// What comes out of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalOutput {
    /// Bytes that its programs wrote.
    Bytes(Bytes),
    /// Its shell ended; nothing comes any more.
    Exited(PtyExit),
    /// It is of no use any more, and this is why; nothing comes any more.
    Failed(String),
}

impl Client {
    /// Makes a terminal with a shell and connects to it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 409: there is one with this name. With another status: the sandbox does not run,
    /// or cannot start a shell like this.
    pub async fn make_terminal(
        &self,
        sandbox: &Sandbox,
        new: &NewTerminal,
    ) -> Result<Terminal, RequestError> {
        let NewTerminal { id, columns, rows, folder, variables } = new;
        let mut path =
            format!("/process/pty/create-connect?id={}&cols={columns}&rows={rows}", segment(id));
        if let Some(folder) = folder {
            path.push_str(&format!("&cwd={}", segment(folder)));
        }
        let mut subprotocols = format!("{PTY_EXIT_CONTROL}, {PTY_PATIENCE}");
        if !variables.is_empty() {
            let json = serde_json::to_vec(variables).map_err(|cause| self.unreadable(cause))?;
            let text = URL_SAFE_NO_PAD.encode(json);
            subprotocols.push_str(&format!(", {PTY_ENVIRONMENT_PREFIX}{text}"));
        }
        self.open_terminal(&self.toolbox_url(sandbox, &path)?, &subprotocols).await
    }

    /// Connects to a terminal. Its recent output comes first.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none with this name, or its shell has ended.
    pub async fn connect_terminal(
        &self,
        sandbox: &Sandbox,
        id: &str,
    ) -> Result<Terminal, RequestError> {
        let url = self.toolbox_url(sandbox, &format!("/process/pty/{}/connect", segment(id)))?;
        self.open_terminal(&url, &format!("{PTY_EXIT_CONTROL}, {PTY_PATIENCE}")).await
    }

    /// Changes a terminal's size; its programs are told.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the terminal has ended, or the size is none.
    pub async fn resize_terminal(
        &self,
        sandbox: &Sandbox,
        id: &str,
        columns: u16,
        rows: u16,
    ) -> Result<(), RequestError> {
        let url = self.toolbox_url(sandbox, &format!("/process/pty/{}/resize", segment(id)))?;
        let size = PtyResizeRequest { cols: columns.into(), rows: rows.into() };
        let body = serde_json::to_vec(&size).map_err(|cause| self.unreadable(cause))?;
        self.exchange(Method::POST, &url, Some(body.into()), DEADLINE).await.map(drop)
    }

    /// Kills everything in a terminal.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none with this name, or its shell has ended.
    pub async fn kill_terminal(&self, sandbox: &Sandbox, id: &str) -> Result<(), RequestError> {
        let url = self.toolbox_url(sandbox, &format!("/process/pty/{}", segment(id)))?;
        self.exchange(Method::DELETE, &url, None, DEADLINE).await.map(drop)
    }

    async fn open_terminal(&self, url: &str, subprotocols: &str) -> Result<Terminal, RequestError> {
        let request = Request::get(url)
            .header(AUTHORIZATION, format!("Bearer {}", self.endpoint().key().expose()))
            .header(USER_AGENT, concat!("pitlane/", env!("CARGO_PKG_VERSION")))
            .header("x-daytona-source", "pitlane")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key())
            .header(SEC_WEBSOCKET_PROTOCOL, subprotocols)
            .body(empty())
            .map_err(|cause| self.unreadable(cause))?;
        self.within(DEADLINE, async {
            let answer = self.answer(request).await?;
            match answer.status() {
                StatusCode::SWITCHING_PROTOCOLS => {}
                status if status.is_success() => {
                    return Err(self.unreadable("it does not speak WebSocket"));
                }
                _ => return Err(self.refusal(answer).await),
            }
            let upgraded = hyper::upgrade::on(answer).await;
            let stream = TokioIo::new(upgraded.map_err(|cause| self.broken(cause))?);
            let limits = WebSocketConfig::default()
                .max_message_size(Some(MAX_MESSAGE))
                .max_frame_size(Some(MAX_MESSAGE));
            let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(limits)).await;
            Ok(Terminal { socket, url: self.url() })
        })
        .await
    }
}

impl Terminal {
    /// Waits for output. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: what became of the terminal is not known; it may still run.
    pub async fn next(&mut self) -> Result<TerminalOutput, RequestError> {
        loop {
            let message = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(cause)) => return Err(self.broken(cause)),
                None => return Err(self.broken("it ended without a word")),
            };
            return Ok(match message {
                Message::Binary(bytes) => TerminalOutput::Bytes(bytes),
                Message::Text(text) => match PtyControl::read(&text) {
                    Some(PtyStatus::Connected) => continue,
                    Some(PtyStatus::Exited(exit)) => TerminalOutput::Exited(exit),
                    Some(PtyStatus::Error { error }) => TerminalOutput::Failed(error),
                    None => TerminalOutput::Bytes(text.into()),
                },
                Message::Close(frame) => {
                    let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    match serde_json::from_str(&reason) {
                        Ok(exit) => TerminalOutput::Exited(exit),
                        Err(_no_exit) => TerminalOutput::Failed(plain(&reason)),
                    }
                }
                // Answered already.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            });
        }
    }

    /// Types something.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: it may not have arrived.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), RequestError> {
        let sent = self.socket.send(Message::Binary(bytes)).await;
        sent.map_err(|cause| self.broken(cause))
    }

    /// Asks whether anybody is there, so that a connection that has died is noticed.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: nobody is.
    pub async fn ping(&mut self) -> Result<(), RequestError> {
        let sent = self.socket.send(Message::Ping(Bytes::new())).await;
        sent.map_err(|cause| self.broken(cause))
    }

    fn broken(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RequestError {
        RequestError::Broken { url: self.url.clone(), cause: cause.into() }
    }
}

/// What a close says of itself: an error in JSON, a text, or nothing.
fn plain(reason: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(reason).ok();
    let error = json.as_ref().and_then(|json| json.get("error")?.as_str());
    match error.unwrap_or(reason) {
        "" => String::from("the server closed the connection"),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_close_says_why_in_every_form() {
        for (reason, wanted) in [
            (r#"{"error":"too slow"}"#, "too slow"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("going away", "going away"),
            ("", "the server closed the connection"),
        ] {
            assert_eq!(plain(reason), wanted);
        }
    }
}
