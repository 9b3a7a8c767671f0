//! Clients that say much and clients that read nothing, all together: the daemon has little memory.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, stream};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::daemon::{Connection, Daemon, until};

const MIB: usize = 1 << 20;

struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    _connection: Connection<Full<Bytes>>,
}

impl Socket {
    async fn open(daemon: &Daemon, target: &str) -> Self {
        let request = Request::get(target)
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

    /// Whether it could be said: the other side may have closed.
    async fn says(&mut self, message: impl Into<Message>) -> bool {
        self.stream.send(message.into()).await.is_ok()
    }

    /// The code of its close.
    async fn closed(mut self) -> Option<u16> {
        loop {
            match self.stream.next().await?.ok()? {
                Message::Close(frame) => return frame.map(|frame| frame.code.into()),
                _ => continue,
            }
        }
    }
}

/// What the daemon has in memory, in bytes.
fn memory_of(daemon: &Daemon) -> usize {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// A request of so many bytes that does not end.
fn endless(bytes: usize) -> Request<impl http_body::Body<Data = Bytes, Error = std::io::Error>> {
    let begin = [Bytes::from_static(b"{\"command\":\""), Bytes::from(vec![b'x'; bytes])];
    let pieces = stream::iter(begin).map(|piece| Ok(Frame::data(piece)));
    let body = StreamBody::new(pieces.chain(stream::pending()));
    Request::post("/process/execute").body(body).expect("a request")
}

#[tokio::test]
async fn bodies_are_bounded_all_together_and_small_ones_always_read() {
    let daemon = Daemon::start();
    let mut sending = tokio::task::JoinSet::new();
    let say = |mut connection: Connection<_>| async move {
        let answer = connection.sender.send_request(endless(40 * MIB)).await;
        (answer.expect("an answer"), connection)
    };
    // There is room for two, whichever they are.
    for _ in 0..2 {
        sending.spawn(say(daemon.connect().await));
    }
    for _ in 0..3 {
        sending.spawn(say(daemon.connect().await));
        let refused = sending.join_next().await.expect("three are said");
        let (answer, _connection) = refused.expect("no panic");
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["code"], "TOO_MUCH_INPUT");
        assert_eq!(daemon.execute("echo 1").await, json!({"exitCode": 0, "result": "1\n"}));
    }
    sending.shutdown().await;
    // What they had is free again.
    let text = format!("# {}\necho 2", "x".repeat(60 * MIB));
    let mut answer = (StatusCode::TOO_MANY_REQUESTS, Value::Null);
    while answer.0 == StatusCode::TOO_MANY_REQUESTS {
        answer = daemon.post("/process/execute", &json!({"command": text})).await;
    }
    assert_eq!(answer, (StatusCode::OK, json!({"exitCode": 0, "result": "2\n"})));
}

#[tokio::test]
async fn what_no_program_reads_is_bounded_for_all_terminals_together() {
    let daemon = Daemon::start();
    let mut crowded = 0;
    let mut open = Vec::new();
    for number in 0..8 {
        let target = format!("/process/pty/create-connect?id=t{number}");
        let mut client = Socket::open(&daemon, &target).await;
        let deaf = format!("stty raw -echo; touch deaf{number}; exec sleep 1000\n");
        assert!(client.says(Message::text(deaf)).await);
        let path = daemon.path(&format!("deaf{number}"));
        until("it does not read", || path.exists()).await;
        let mut is_open = true;
        for _ in 0..16 {
            is_open = is_open && client.says(Bytes::from(vec![b'x'; MIB])).await;
        }
        if number > 4 {
            // By then there is no room, whoever took it.
            assert_eq!(client.closed().await, Some(1013));
            crowded += 1;
        } else {
            open.push(client);
        }
    }
    assert_eq!(crowded, 3);
    assert!(memory_of(&daemon) < 160 * MIB, "{}", memory_of(&daemon));
    // Who types by hand is heard.
    let mut person = Socket::open(&daemon, "/process/pty/create-connect?id=person").await;
    assert!(person.says(Message::text("touch typed; exit 0\n")).await);
    let typed = daemon.path("typed");
    until("it was typed", || typed.exists()).await;
    drop(open);
}

#[tokio::test]
async fn code_that_waits_is_bounded_for_all_contexts_together() {
    let daemon = Daemon::start();
    let target = "/process/interpreter/execute";
    let long = json!({"code": format!("import time; time.sleep(1000) # {}", "x".repeat(40 * MIB))});
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut socket = Socket::open(&daemon, target).await;
        assert!(socket.says(Message::text(long.to_string())).await);
        waiting.push(socket);
    }
    until("both are read", || memory_of(&daemon) > 80 * MIB).await;
    for _ in 0..3 {
        let mut socket = Socket::open(&daemon, target).await;
        socket.says(Message::text(long.to_string())).await;
        assert_eq!(socket.closed().await, Some(1013));
    }
    let (_, context) = daemon.post("/process/interpreter/context", &json!({})).await;
    let short = json!({"code": "open('ran', 'w')", "contextId": context["id"]});
    let mut socket = Socket::open(&daemon, target).await;
    assert!(socket.says(Message::text(short.to_string())).await);
    assert_eq!(socket.closed().await, Some(1000));
    assert!(daemon.path("ran").exists());
    drop(waiting);
}

#[tokio::test]
async fn many_who_do_not_read_a_log_take_little_memory_and_hold_up_nobody() {
    let daemon = Daemon::start();
    let session = json!({"sessionId": "s"});
    daemon.post("/process/session", &session).await;
    let command = json!({"command": "head -c 16000000 /dev/zero | tr '\\0' x; echo end"});
    let exec = Request::post("/process/session/s/exec")
        .body(Full::<Bytes>::from(command.to_string()))
        .expect("a request");
    // Its own answer is not read either.
    let (_answer, _connection) = daemon.send(exec).await;
    let (_, shown) = daemon.call("GET", "/process/session/s").await;
    let id = shown["commands"][0]["id"].as_str().expect("an id").to_owned();
    let target = format!("/process/session/s/command/{id}/logs");
    let before = memory_of(&daemon);
    let (mut stuck, mut sockets) = (Vec::new(), Vec::new());
    for number in 0..300 {
        let query = if number % 2 == 0 { "?follow=true" } else { "" };
        let request = Request::get(format!("{target}{query}")).body(Full::<Bytes>::default());
        stuck.push(daemon.send(request.expect("a request")).await);
        if number % 3 == 0 {
            sockets.push(Socket::open(&daemon, &format!("{target}?follow=true")).await);
        }
    }
    assert_eq!(daemon.execute("echo 1").await, json!({"exitCode": 0, "result": "1\n"}));
    let (_, whole) = daemon.call("GET", &target).await;
    assert_eq!(whole["stdout"].as_str().map(str::len), Some(16_000_004));
    let most = memory_of(&daemon);
    assert!(most < before + 128 * MIB, "{before} before, {most}");
}

#[tokio::test]
async fn long_commands_of_all_sessions_are_bounded_together_and_short_ones_run() {
    let daemon = Daemon::start();
    let long =
        json!({"command": format!("sleep 1000 # {}", "x".repeat(45 * MIB)), "runAsync": true});
    for (session, wanted) in [("a", 202), ("b", 429)] {
        daemon.post("/process/session", &json!({"sessionId": session})).await;
        let exec = format!("/process/session/{session}/exec");
        assert_eq!(daemon.post(&exec, &long).await.0.as_u16(), wanted, "{session}");
    }
    let (status, answer) =
        daemon.post("/process/session/b/exec", &json!({"command": "echo 1"})).await;
    assert_eq!((status, &answer["stdout"]), (StatusCode::OK, &json!("1\n")));
    daemon.call("DELETE", "/process/session/a").await;
    assert_eq!(daemon.post("/process/session/b/exec", &long).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn variables_of_all_terminals_are_bounded_together() {
    let daemon = Daemon::start();
    let create = async |id: String, size: usize| {
        let envs = json!({"A": "x".repeat(size)});
        let body = json!({"id": id, "envs": envs, "lazyStart": true});
        let (status, answer) = daemon.post("/process/pty", &body).await;
        (status.as_u16(), answer["code"].as_str().map(str::to_owned))
    };
    for number in 0..10 {
        let is_too_much = number >= 8;
        let wanted =
            if is_too_much { (429, Some(String::from("TOO_MANY_TERMINALS"))) } else { (201, None) };
        assert_eq!(create(number.to_string(), MIB - 1000).await, wanted, "{number}");
    }
    assert_eq!(create(String::from("short"), 1000).await, (201, None));
}
