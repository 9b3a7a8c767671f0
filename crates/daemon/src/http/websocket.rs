//! WebSockets: taken over from a request, and closed so that the other side hears why (RFC 6455).

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::answer::empty;
use super::body::Body;
use super::refusal::Refusal;

/// How long a client may take to answer a close before the connection is cut.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// The longest reason of a close: a control frame holds 125 bytes, of which two are the code.
const MAX_REASON: usize = 123;

/// The daemon's side of a WebSocket: a stream and a sink of messages.
pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// A WebSocket that is there once the answer has gone out.
#[derive(Debug)]
pub(crate) struct Handover(OnUpgrade);

/// Whether a request asks to be switched to a WebSocket.
pub(crate) fn is_wished(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|wished| wished.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The subprotocols that a client offers, in its order.
pub(crate) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// Switches a request over to a WebSocket that speaks `subprotocol`, which must be one of those offered.
///
/// Give the answer back first: the WebSocket comes after it, so it is awaited in a task of its own.
pub(crate) fn accept(
    request: &mut Request<Incoming>,
    subprotocol: Option<&str>,
) -> Result<(Response<Body>, Handover), Refusal> {
    let headers = request.headers();
    if !is_wished(headers) {
        let message = "this is for WebSockets: ask with Upgrade: websocket";
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "BAD_REQUEST", message));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::bad_request("only version 13 of WebSocket is spoken here"));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .ok_or_else(|| Refusal::bad_request("Sec-WebSocket-Key is required"))?;
    let accepted = header(&derive_accept_key(key.as_bytes()))?;
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS)?;
    let answered = answer.headers_mut();
    answered.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answered.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answered.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if let Some(subprotocol) = subprotocol {
        answered.insert(SEC_WEBSOCKET_PROTOCOL, header(subprotocol)?);
    }
    Ok((answer, Handover(hyper::upgrade::on(request))))
}

fn header(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .map_err(|_invalid| Refusal::bad_request("a WebSocket header is invalid"))
}

impl Handover {
    /// Waits for the WebSocket, on which a client may send messages of at most `longest` bytes; `None` when the client has
    /// gone before.
    pub(crate) async fn socket(self, longest: usize) -> Option<WebSocket> {
        let upgraded = self.0.await.ok()?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        let stream = TokioIo::new(upgraded);
        Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await)
    }
}

/// Says why the conversation is over, and waits for a while until the client has heard it.
pub(crate) async fn close(mut socket: WebSocket, code: CloseCode, reason: &str) {
    let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default();
    let frame = CloseFrame { code, reason: reason.into() };
    let farewell = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            // Cutting a connection on which something is still unread could take the farewell back.
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        }
    };
    // A client that does not answer has gone.
    timeout(CLOSE_DEADLINE, farewell).await.ok();
}
