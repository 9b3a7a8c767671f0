//! Interpreters: contexts, runs and their WebSocket.

mod contexts;
mod endings;
mod hostile;
mod output;
mod state;
mod tracebacks;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::daemon::{Connection, Daemon};

const CONTEXTS: &str = "/process/interpreter/context";

/// A run's WebSocket.
struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    _connection: Connection<Full<Bytes>>,
}

/// All that a client hears.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    stdout: String,
    stderr: String,
    /// Name, value and traceback.
    errors: Vec<[String; 3]>,
    controls: Vec<String>,
    close: Option<(u16, String)>,
}

impl Socket {
    async fn open(daemon: &Daemon) -> Self {
        let request = Request::get("/process/interpreter/execute")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Full::<Bytes>::default())
            .expect("a request");
        let (mut answer, connection) = daemon.send(request).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let upgraded = hyper::upgrade::on(&mut answer).await.expect("a connection");
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
        Self { stream, _connection: connection }
    }

    async fn ask(daemon: &Daemon, request: &Value) -> Self {
        let mut socket = Self::open(daemon).await;
        socket.say(Message::text(request.to_string())).await;
        socket
    }

    async fn say(&mut self, message: Message) {
        self.stream.send(message).await.expect("a connection");
    }

    /// The next message; nothing after the close.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.stream.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => {
                    let frame = frame.expect("a code");
                    return Some(json!({"close": [u16::from(frame.code), frame.reason.as_str()]}));
                }
                _ => {}
            }
        }
    }

    /// Everything up to the end.
    async fn rest(mut self) -> Heard {
        let mut heard = Heard::default();
        while let Some(message) = self.next().await {
            let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
            match message["type"].as_str() {
                Some("stdout") => heard.stdout.push_str(&text("text")),
                Some("stderr") => heard.stderr.push_str(&text("text")),
                Some("error") => {
                    heard.errors.push([text("name"), text("value"), text("traceback")]);
                }
                Some("control") => heard.controls.push(text("text")),
                _ => {
                    let close = serde_json::from_value(message["close"].clone());
                    heard.close = Some(close.expect("a close"));
                }
            }
        }
        heard
    }
}

impl Heard {
    /// What a run without an error prints, and nothing else.
    fn printed(stdout: &str) -> Self {
        Self { stdout: stdout.to_owned(), ..Self::completed() }
    }

    fn completed() -> Self {
        Self {
            controls: vec![String::from("completed")],
            close: Some((1000, String::new())),
            ..Self::default()
        }
    }

    fn closed(code: u16, reason: &str) -> Self {
        Self { close: Some((code, reason.to_owned())), ..Self::default() }
    }
}

/// Runs a request to its end.
async fn ask(daemon: &Daemon, request: Value) -> Heard {
    Socket::ask(daemon, &request).await.rest().await
}

/// Runs code in the default context.
async fn run(daemon: &Daemon, code: &str) -> Heard {
    ask(daemon, json!({"code": code})).await
}

/// What code in the default context prints; it must not fail.
async fn printed(daemon: &Daemon, code: &str) -> String {
    let heard = run(daemon, code).await;
    assert_eq!(heard, Heard::printed(&heard.stdout));
    heard.stdout
}

/// The error of code in the default context.
async fn failure(daemon: &Daemon, code: &str) -> [String; 3] {
    let mut heard = run(daemon, code).await;
    assert_eq!(heard.errors.len(), 1, "{heard:?}");
    heard.errors.remove(0)
}

/// Makes a context and gives its name.
async fn create(daemon: &Daemon, request: Value) -> String {
    let (status, answer) = daemon.post(CONTEXTS, &request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}
