//! Terminals: shells that a person types into.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::daemon::{Connection, Daemon, is_running, until};

const PTY: &str = "/process/pty";
const EXIT_CONTROL: &str = "X-Daytona-Pty-Exit-Control";

/// A client of a terminal, and what it was sent.
struct Client {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    _connection: Connection<Full<Bytes>>,
    seen: String,
    said: Vec<Value>,
    closed: Option<(u16, String)>,
}

async fn ask(
    daemon: &Daemon,
    target: &str,
    offered: &[&str],
) -> (Response<Incoming>, Connection<Full<Bytes>>) {
    let mut request = Request::get(format!("{PTY}{target}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for name in offered {
        request = request.header("sec-websocket-protocol", *name);
    }
    daemon.send(request.body(Full::default()).expect("a request")).await
}

impl Client {
    /// Opens a WebSocket that is told of the end in a message.
    async fn open(daemon: &Daemon, target: &str) -> Self {
        Self::offering(daemon, target, &[EXIT_CONTROL], Some(EXIT_CONTROL)).await
    }

    async fn offering(
        daemon: &Daemon,
        target: &str,
        offered: &[&str],
        spoken: Option<&str>,
    ) -> Self {
        let (mut answer, connection) = ask(daemon, target, offered).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let taken: Vec<_> = answer.headers().get_all("sec-websocket-protocol").iter().collect();
        assert_eq!(taken, spoken.as_slice());
        let upgraded = hyper::upgrade::on(&mut answer).await.expect("a connection");
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
        let mut client = Self {
            socket,
            _connection: connection,
            seen: String::new(),
            said: Vec::new(),
            closed: None,
        };
        client.read().await;
        assert_eq!(client.said, [json!({"type": "control", "status": "connected"})]);
        client
    }

    async fn types(&mut self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.socket.send(Message::Binary(bytes)).await.expect("a connection");
    }

    /// Reads a message; false at the end.
    async fn read(&mut self) -> bool {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => self.seen += &String::from_utf8_lossy(&bytes),
            Some(Ok(Message::Text(text))) => {
                self.said.push(serde_json::from_str(&text).expect("JSON"));
            }
            Some(Ok(Message::Close(frame))) => {
                self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
            Some(Ok(Message::Pong(bytes))) => self.said.push(json!({"pong": bytes.len()})),
            Some(Ok(other)) => assert!(other.is_ping(), "{other:?}"),
            Some(Err(_)) | None => return false,
        }
        true
    }

    async fn sees(&mut self, text: &str) {
        while !self.seen.contains(text) {
            assert!(self.read().await, "{}", self.seen);
        }
    }

    /// Reads to the end: the last message, and how it was closed.
    async fn ends(mut self) -> (Value, Option<(u16, String)>) {
        while self.read().await {}
        (self.said.pop().expect("a message"), self.closed)
    }
}

#[tokio::test]
async fn a_shell_is_typed_into_and_its_end_is_told() {
    let daemon = Daemon::start();
    let mut client = Client::open(&daemon, "/create-connect?id=a%20b&cols=90&rows=20").await;
    client.types("echo \"[$TERM|$(stty size)|$(tty)]\"\n").await;
    client.sees("[xterm-256color|20 90|/dev/pts/").await;
    let (status, mut info) = daemon.call("GET", &format!("{PTY}/a%20b")).await;
    let made = info.as_object_mut().expect("an object").remove("createdAt");
    assert!(made.is_some_and(|made| made.is_string()));
    let wanted = json!({
        "id": "a b", "active": true, "cols": 90, "rows": 20, "cwd": daemon.folder(), "envs": {},
        "lazyStart": false,
    });
    assert_eq!((status, info), (StatusCode::OK, wanted));
    client.socket.send(Message::Ping(Bytes::from_static(b"abc"))).await.expect("a connection");
    client.socket.send(Message::text("exit 3\n")).await.expect("a connection");
    while !client.said.contains(&json!({"pong": 3})) {
        assert!(client.read().await);
    }
    let (said, closed) = client.ends().await;
    let exit = json!({"exitCode": 3, "exitReason": "non-zero exit"});
    let mut control = json!({"type": "control", "status": "exited"});
    control.as_object_mut().expect("an object").extend(exit.as_object().expect("one").clone());
    assert_eq!(said, control);
    assert_eq!(closed, Some((1011, exit.to_string())));
    assert_eq!(daemon.call("GET", PTY).await, (StatusCode::OK, json!({"sessions": []})));
}

#[tokio::test]
async fn who_comes_later_sees_what_was_and_who_offers_is_answered() {
    let daemon = Daemon::start();
    let (status, made) = daemon.post(PTY, &json!({"id": "s", "envs": {"PS1": "> "}})).await;
    assert_eq!((status, made), (StatusCode::CREATED, json!({"sessionId": "s"})));
    let version = "X-Daytona-SDK-Version~1";
    let mut first = Client::offering(&daemon, "/s/connect", &[version], Some(version)).await;
    first.types("echo one-$((1+1))\n").await;
    first.sees("one-2").await;
    let both = format!("{version}, {EXIT_CONTROL}");
    let mut second = Client::offering(&daemon, "/s/connect", &[&both], Some(EXIT_CONTROL)).await;
    second.sees("one-2").await;
    let mut third = Client::offering(&daemon, "/s/connect", &[], None).await;
    third.sees("one-2").await;
    second.types("exit\n").await;
    let connected = json!({"type": "control", "status": "connected"});
    let closed = Some((1000, json!({"exitCode": 0}).to_string()));
    assert_eq!(first.ends().await, (connected.clone(), closed.clone()));
    assert_eq!(third.ends().await, (connected, closed.clone()));
    let exited = json!({"type": "control", "status": "exited", "exitCode": 0});
    assert_eq!(second.ends().await, (exited, closed));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_made() {
    let daemon = Daemon::start();
    daemon.post(PTY, &json!({"id": "taken", "lazyStart": true})).await;
    for (body, wanted) in [
        (json!({"id": "taken"}), StatusCode::CONFLICT),
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"id": "x/y"}), StatusCode::BAD_REQUEST),
        (json!({"id": "create-connect"}), StatusCode::BAD_REQUEST),
        (json!({"id": "x", "cols": 0}), StatusCode::BAD_REQUEST),
        (json!({"id": "x", "rows": 1001}), StatusCode::BAD_REQUEST),
        (json!({"id": "x", "cwd": "/no/such"}), StatusCode::BAD_REQUEST),
        (json!({"id": "x", "envs": {"A-B": ""}}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(daemon.post(PTY, &body).await.0, wanted, "{body}");
    }
    let envs = "X-Daytona-Pty-Envs~bm8";
    for (target, offered, wanted) in [
        ("/create-connect?id=taken", &[][..], StatusCode::CONFLICT),
        ("/create-connect", &[], StatusCode::BAD_REQUEST),
        ("/create-connect?id=x&cols=a", &[], StatusCode::BAD_REQUEST),
        ("/create-connect?id=x", &[envs], StatusCode::BAD_REQUEST),
        ("/no-such/connect", &[], StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&daemon, target, offered).await.0.status(), wanted, "{target}");
    }
    for target in ["/create-connect?id=x", "/taken/connect"] {
        let (status, _) = daemon.call("GET", &format!("{PTY}{target}")).await;
        assert_eq!(status, StatusCode::UPGRADE_REQUIRED, "{target}");
    }
    let (status, _) =
        daemon.post(&format!("{PTY}/no/resize"), &json!({"cols": 1, "rows": 1})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, listed) = daemon.call("GET", PTY).await;
    let listed = listed["sessions"].as_array().expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["active"]), (&json!("taken"), &json!(false)));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go_of_and_holds_up_nobody() {
    let daemon = Daemon::start();
    let mut client = Client::open(&daemon, "/create-connect?id=s").await;
    let stuck = Client::open(&daemon, "/s/connect").await;
    client.types("yes | head -c 8000000; echo do''ne\n").await;
    loop {
        assert!(client.read().await);
        if client.seen.contains("done\r\n") {
            break;
        }
        // Only the end matters.
        let cut = client.seen.floor_char_boundary(client.seen.len().saturating_sub(64));
        client.seen.drain(..cut);
    }
    let reason = json!({"error": "the client reads too slowly"}).to_string();
    // One that reads again late finds its connection cut.
    let closed = stuck.ends().await.1;
    assert!(closed.is_none() || closed == Some((1008, reason)), "{closed:?}");
}

#[tokio::test]
async fn killing_and_stopping_take_everything_with_them() {
    let mut daemon = Daemon::start();
    let mut client = Client::open(&daemon, "/create-connect?id=s").await;
    client.types("sh -c 'echo $$ > pid; sleep 4246' & wait\n").await;
    until("it has begun", || daemon.path("pid").metadata().is_ok_and(|file| file.len() > 0)).await;
    let (status, _) = daemon.call("DELETE", &format!("{PTY}/s")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!is_running(&daemon.text("pid")));
    let reason = json!({"exitCode": 137, "exitReason": "SIGKILL"}).to_string();
    assert_eq!(client.ends().await.1, Some((1011, reason)));
    assert_eq!(daemon.call("DELETE", &format!("{PTY}/s")).await.0, StatusCode::NOT_FOUND);
    let last = Client::open(&daemon, "/create-connect?id=last").await;
    let begun = std::time::Instant::now();
    let ended = tokio::task::spawn_blocking(move || daemon.end());
    let reason = json!({"error": "the sandbox is stopping"}).to_string();
    assert_eq!(last.ends().await.1, Some((1001, reason)));
    ended.await.expect("an end");
    // Interactive shells do not end when they are asked to, and are not waited for.
    assert!(begun.elapsed() < std::time::Duration::from_secs(3));
}
