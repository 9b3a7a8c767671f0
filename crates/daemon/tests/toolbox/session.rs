//! Sessions: shells that last.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::daemon::{Daemon, is_running, refusal, until};

const SESSIONS: &str = "/process/session";

/// A daemon with one session, `s`.
async fn with_session() -> Daemon {
    let daemon = Daemon::start();
    create(&daemon, "s").await;
    daemon
}

async fn create(daemon: &Daemon, id: &str) {
    let (status, answer) = daemon.post(SESSIONS, &json!({"sessionId": id})).await;
    assert_eq!((status, answer), (StatusCode::CREATED, Value::Null));
}

async fn execute(daemon: &Daemon, command: &str) -> (StatusCode, Value) {
    daemon.post("/process/session/s/exec", &json!({"command": command})).await
}

/// Runs a command to its end: its exit code and both outputs.
async fn run(daemon: &Daemon, command: &str) -> Value {
    let (status, answer) = execute(daemon, command).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    json!([answer["exitCode"], answer["stdout"], answer["stderr"]])
}

/// Begins a command and gives its path.
async fn begin(daemon: &Daemon, command: &str) -> String {
    let body = json!({"command": command, "runAsync": true});
    let (status, answer) = daemon.post("/process/session/s/exec", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(1), "{answer}");
    format!("/process/session/s/command/{}", answer["cmdId"].as_str().expect("an id"))
}

/// Waits for the exit code of the command with this path.
async fn exit_code(daemon: &Daemon, path: &str) -> Value {
    follow(daemon, path).await;
    let (status, answer) = daemon.call("GET", path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["exitCode"].clone()
}

/// Everything that a command says, with marks, as a body.
async fn follow(daemon: &Daemon, path: &str) -> Bytes {
    let request = Request::get(format!("{path}/logs?follow=true")).body(Full::<Bytes>::default());
    let (status, body) = daemon.ask(request.expect("a request")).await;
    assert_eq!(status, StatusCode::OK);
    body
}

fn socket_request(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("{path}/logs?follow=true"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Full::default())
        .expect("a request")
}

/// The same as a WebSocket, and the code with which it was closed.
async fn follow_socket(daemon: &Daemon, path: &str) -> (Vec<u8>, Option<u16>) {
    let (socket, _connection) = connect(daemon, path).await;
    hear(socket).await
}

async fn connect(
    daemon: &Daemon,
    path: &str,
) -> (WebSocketStream<TokioIo<Upgraded>>, impl Sized + use<>) {
    let (mut answer, connection) = daemon.send(socket_request(path)).await;
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = hyper::upgrade::on(&mut answer).await.expect("a connection");
    let stream = TokioIo::new(upgraded);
    (WebSocketStream::from_raw_socket(stream, Role::Client, None).await, connection)
}

async fn hear(mut socket: WebSocketStream<TokioIo<Upgraded>>) -> (Vec<u8>, Option<u16>) {
    let (mut bytes, mut code) = (Vec::new(), None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(piece) => bytes.extend_from_slice(&piece),
            Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
            other => assert!(other.is_ping(), "{other:?}"),
        }
    }
    (bytes, code)
}

#[tokio::test]
async fn a_session_keeps_what_a_shell_has() {
    let daemon = with_session().await;
    let setup = "cd /usr; V=5; f() { echo f$V; }; alias al='echo alias'; exec 5>&1";
    assert_eq!(run(&daemon, setup).await, json!([0, "", ""]));
    assert_eq!(run(&daemon, "pwd; f; al").await, json!([0, "/usr\nf5\nalias\n", ""]));
    let (_, session) = daemon.call("GET", "/process/session/s").await;
    let codes: Vec<&Value> = session["commands"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["exitCode"])
        .collect();
    assert_eq!(codes, [0, 0]);
    let (status, listed) = daemon.call("GET", SESSIONS).await;
    assert_eq!((status, listed), (StatusCode::OK, json!([session])));
}

#[tokio::test]
async fn no_command_swallows_the_next_or_ends_the_session_but_exit() {
    let daemon = with_session().await;
    for (command, code) in [
        ("cat", 0),
        ("read line", 1),
        ("return 4", 4),
        ("break 3", 0),
        ("continue", 0),
        ("for i in 1 2; do break 7; done", 0),
        ("read() { echo no; }; printf() { echo no; }", 0),
        ("export IFS=0123456789; set -fu", 0),
        ("trap '' TERM; kill $$; (exit 9)", 9),
        ("echo x > /dev/stdout; echo y > /dev/stderr", 0),
        ("exec 3>&- 4>&- 5>&- 6>&-", 0),
    ] {
        let ran = run(&daemon, command).await;
        assert_eq!(ran[0], code, "{command}: {ran}");
        assert_eq!(run(&daemon, "echo next").await, json!([0, "next\n", ""]), "{command}");
    }
    for command in ["echo 'unfinished", "if true; then", "$(", "((", "case x in", "cat <<EOF"] {
        run(&daemon, command).await;
        assert_eq!(run(&daemon, "echo next").await, json!([0, "next\n", ""]), "{command}");
    }
    assert_eq!(run(&daemon, "set -e; echo a").await, json!([0, "a\n", ""]));
    assert_eq!(run(&daemon, "echo b; false; echo c").await, json!([1, "b\n", ""]));
    let (status, answer) = execute(&daemon, "true").await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("SESSION_ENDED")));
}

#[tokio::test]
async fn what_ends_the_shell_is_the_exit_code_of_its_command() {
    for (command, code, how) in [
        ("echo last; exit 3", 3, "its shell exited with 3"),
        ("echo last; kill -9 $$", 137, "signal 9 ended its shell"),
        ("exec sh -c 'echo last; exit 6'", 6, "its shell exited with 6"),
    ] {
        let daemon = with_session().await;
        let first = begin(&daemon, "read line").await;
        let last = begin(&daemon, command).await;
        let never = begin(&daemon, "echo never").await;
        daemon.post(&format!("{first}/input"), &json!({"data": ""})).await;
        assert_eq!(follow(&daemon, &last).await, "\x01\x01\x01last\n");
        assert_eq!(exit_code(&daemon, &last).await, code);
        let message = format!("the session has ended: {how}");
        for (status, answer) in [execute(&daemon, "true").await, daemon.call("GET", &never).await] {
            assert_eq!(status, StatusCode::GONE);
            let answer = refusal(answer);
            let told = (&answer["code"], &answer["message"]);
            assert_eq!(told, (&json!("SESSION_ENDED"), &json!(message)));
        }
        let note = format!("\x02\x02\x02[pitlane: {message}]\n");
        assert_eq!(follow(&daemon, &never).await, note);
        let (status, _) = daemon.call("DELETE", "/process/session/s").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_deleted_session_leaves_no_process() {
    let daemon = with_session().await;
    let command = "trap '' TERM; sleep 1000 & echo $! > one; setsid sleep 1000 & echo $! > two; \
                   (trap '' TERM; echo > three; while :; do sleep 0.01; done) & \
                   echo $! > four; wait";
    let running = execute(&daemon, command);
    let deleting = async {
        until("everything runs", || daemon.path("four").exists() && daemon.path("three").exists())
            .await;
        daemon.call("DELETE", "/process/session/s").await
    };
    let ((status, answer), (deleted, _)) = tokio::join!(running, deleting);
    assert_eq!((status, deleted), (StatusCode::BAD_REQUEST, StatusCode::NO_CONTENT));
    let answer = refusal(answer);
    assert_eq!(
        (&answer["message"], &answer["code"]),
        (&json!("session cancelled"), &json!("SESSION_ENDED"))
    );
    let left = ["one", "two", "four"].map(|name| is_running(&daemon.text(name)));
    assert_eq!(left, [false; 3]);
    let (status, _) = daemon.call("GET", "/process/session/s").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    create(&daemon, "s").await;
}

#[tokio::test]
async fn what_runs_in_the_background_writes_to_its_own_log() {
    let daemon = with_session().await;
    let command = "(while [ ! -e go ]; do sleep 0.01; done; echo late) & echo now";
    let (_, begun) = execute(&daemon, command).await;
    assert_eq!(begun["stdout"], "now\n");
    let id = begun["cmdId"].as_str().expect("an id");
    let path = format!("/process/session/s/command/{id}/logs");
    assert_eq!(run(&daemon, "touch go; wait; echo other").await, json!([0, "other\n", ""]));
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (_, logs) = daemon.call("GET", &path).await;
        if logs["stdout"] == "now\nlate\n" {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{logs}");
    }
}

#[tokio::test]
async fn a_log_can_be_followed_by_several_and_after_its_end() {
    let daemon = with_session().await;
    let path = begin(&daemon, "echo one; read x; echo two >&2; read x; printf three").await;
    let input = format!("{path}/input");
    let send = async {
        for _ in 0..2 {
            let (status, _) = daemon.post(&input, &json!({"data": "x"})).await;
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
    };
    let (first, second, plain, ()) = tokio::join!(
        follow_socket(&daemon, &path),
        follow_socket(&daemon, &path),
        follow(&daemon, &path),
        send
    );
    assert_eq!(first.1, Some(1000));
    assert_eq!(first, second);
    assert_eq!(plain, first.0);
    assert_eq!(follow_socket(&daemon, &path).await, first);
    let split = split(&first.0);
    assert_eq!(split[1], b"two\n");
    let mut said = split[0].clone();
    said.retain(|byte| !b"x\n".contains(byte));
    assert_eq!(said, b"onethree");
    assert_eq!(exit_code(&daemon, &path).await, 0);
    let (status, answer) = daemon.post(&input, &json!({"data": "late"})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("COMMAND_ALREADY_COMPLETED")));
}

/// Takes a log apart as a client does.
fn split(mut bytes: &[u8]) -> [Vec<u8>; 2] {
    let mut outputs = [Vec::new(), Vec::new()];
    let mut current = None;
    while let Some((byte, rest)) = bytes.split_first() {
        if let Some(rest) = bytes.strip_prefix(&[1; 3]) {
            (current, bytes) = (Some(0), rest);
        } else if let Some(rest) = bytes.strip_prefix(&[2; 3]) {
            (current, bytes) = (Some(1), rest);
        } else {
            outputs[current.expect("a mark first")].push(*byte);
            bytes = rest;
        }
    }
    outputs
}

#[tokio::test]
async fn a_long_log_is_the_same_in_every_form() {
    let daemon = with_session().await;
    let command = "for i in 1 2 3; do head -c 1000000 /dev/zero | tr '\\0' $i; printf 'e\\303\\251\\377' >&2; done";
    let (status, answer) = execute(&daemon, command).await;
    assert_eq!((status, &answer["exitCode"]), (StatusCode::OK, &json!(0)));
    let wanted = ["1", "2", "3"].map(|digit| digit.repeat(1_000_000)).concat();
    assert_eq!(answer["stdout"], wanted);
    assert_eq!(answer["stderr"], "eé\u{fffd}".repeat(3));
    let path = format!("/process/session/s/command/{}", answer["cmdId"].as_str().expect("an id"));
    let (_, logs) = daemon.call("GET", &format!("{path}/logs")).await;
    for name in ["output", "stdout", "stderr"] {
        assert_eq!(logs[name], answer[name], "{name}");
    }
    let followed = split(&follow(&daemon, &path).await);
    assert_eq!(followed[0], wanted.as_bytes());
    assert_eq!(followed[1], b"e\xc3\xa9\xff".repeat(3));
    assert_eq!(split(&follow_socket(&daemon, &path).await.0), followed);
}

#[tokio::test]
async fn a_flood_comes_whole_to_those_who_follow_it_and_after_its_end() {
    let daemon = with_session().await;
    let path = begin(&daemon, "seq 1000000; seq 9 >&2; seq 500000").await;
    let (socket, plain) = tokio::join!(follow_socket(&daemon, &path), follow(&daemon, &path));
    assert_eq!(socket.1, Some(1000));
    let lines = |last: u32| (1..=last).map(|number| format!("{number}\n")).collect::<String>();
    let wanted = [lines(1_000_000) + &lines(500_000), lines(9)];
    for bytes in [&socket.0[..], &plain, &follow_socket(&daemon, &path).await.0] {
        let [stdout, stderr] = split(bytes);
        assert!(stdout == wanted[0].as_bytes(), "{} bytes, {}", stdout.len(), wanted[0].len());
        assert_eq!(stderr, wanted[1].as_bytes());
    }
}

#[tokio::test]
async fn a_follower_is_heard_in_the_middle_of_a_flood() {
    let daemon = with_session().await;
    let path = begin(&daemon, "head -c 50000000 /dev/zero").await;
    assert_eq!(exit_code(&daemon, &path).await, 0);
    let (mut socket, _connection) = connect(&daemon, &path).await;
    socket.send(Message::Ping(Bytes::from_static(b"?"))).await.expect("a ping");
    let mut before = 0;
    loop {
        match socket.next().await.expect("an answer").expect("a message") {
            Message::Binary(piece) => before += piece.len(),
            Message::Pong(text) => break assert_eq!(text, "?"),
            other => panic!("{other:?}"),
        }
    }
    assert!(before < 5_000_000, "{before} bytes came before it");
}

#[tokio::test]
async fn a_follower_that_is_slow_at_the_end_hears_that_it_is_one() {
    let daemon = with_session().await;
    let path = begin(&daemon, "head -c 3000000 /dev/zero").await;
    let (socket, _connection) = connect(&daemon, &path).await;
    assert_eq!(exit_code(&daemon, &path).await, 0);
    // Longer than a client has to answer.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (bytes, code) = hear(socket).await;
    assert_eq!((split(&bytes)[0].len(), code), (3_000_000, Some(1000)));
}

#[tokio::test]
async fn a_follower_that_leaves_in_the_middle_of_a_flood_holds_nobody_up() {
    let daemon = with_session().await;
    let path = begin(&daemon, "head -c 50000000 /dev/zero").await;
    for _ in 0..3 {
        let (socket, connection) = connect(&daemon, &path).await;
        socket.into_inner().read_exact(&mut [0; 100_000]).await.expect("a part of the log");
        drop(connection);
    }
    assert_eq!(exit_code(&daemon, &path).await, 0);
    assert_eq!(split(&follow_socket(&daemon, &path).await.0)[0].len(), 50_000_000);
}

#[tokio::test]
async fn a_log_is_read_bit_by_bit_whatever_of_it_is_on_the_disk() {
    let daemon = with_session().await;
    let path = begin(&daemon, "for i in $(seq 40000); do echo \"zeile ä $i\"; done").await;
    assert_eq!(exit_code(&daemon, &path).await, json!(0));
    let whole: String = (1..=40000).map(|number| format!("zeile ä {number}\n")).collect();
    let (mut read, mut offset) = (String::new(), 0);
    loop {
        let (status, piece) =
            daemon.call("GET", &format!("{path}/logs?offset={offset}&limit=200000")).await;
        assert_eq!((status, &piece["offset"]), (StatusCode::OK, &json!(offset)));
        assert_eq!(piece["length"], json!(whole.len()));
        read.push_str(piece["output"].as_str().expect("a text"));
        if piece["nextOffset"] == json!(offset) {
            break;
        }
        offset = piece["nextOffset"].as_u64().expect("a number");
    }
    assert_eq!(read, whole);
    let (_, last) = daemon.call("GET", &format!("{path}/logs?tail=16")).await;
    let wanted = json!({"output": "\nzeile ä 40000\n", "offset": whole.len() - 16,
                        "nextOffset": whole.len(), "length": whole.len()});
    assert_eq!(last, wanted);
    // In the middle of a character.
    let (_, last) = daemon.call("GET", &format!("{path}/logs?tail=23")).await;
    assert!(whole.ends_with(last["output"].as_str().expect("a text")), "{last}");
    let (_, beyond) = daemon.call("GET", &format!("{path}/logs?offset=999999999999")).await;
    assert_eq!(beyond["output"], "");
    for query in [
        "offset=-1",
        "tail=1",
        "tail=99999999",
        "offset=0&tail=20",
        "limit=20",
        "offset=0&follow=1",
    ] {
        let (status, _) = daemon.call("GET", &format!("{path}/logs?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_follower_that_stops_reading_holds_nobody_up() {
    let daemon = with_session().await;
    let path = begin(&daemon, "head -c 50000000 /dev/zero; echo end >&2").await;
    let request = Request::get(format!("{path}/logs?follow=true")).body(Full::<Bytes>::default());
    let (answer, _connection) = daemon.send(request.expect("a request")).await;
    assert_eq!(exit_code(&daemon, &path).await, 0);
    let late = split(&answer.into_body().collect().await.expect("a whole body").to_bytes());
    assert_eq!((late[0].len(), late[1].as_slice()), (50_000_000, &b"end\n"[..]));
}

#[tokio::test]
async fn clients_of_all_ages_get_what_they_understand() {
    let daemon = with_session().await;
    for (version, output, has_split) in [
        (Some("0.26.0"), "o\n", false),
        (Some("0.27.0"), "\x01\x01\x01o\n", false),
        (Some("0.166.9"), "\x01\x01\x01o\n", false),
        (Some("0.167.0-alpha.1"), "\x01\x01\x01o\n", true),
        (Some("nonsense"), "\x01\x01\x01o\n", true),
        (None, "\x01\x01\x01o\n", true),
    ] {
        let headers = |mut request: Request<Full<Bytes>>| {
            if let Some(version) = version {
                let version = version.parse().expect("a header");
                request.headers_mut().insert("x-daytona-sdk-version", version);
            }
            request
        };
        let command = json!({"command": "echo o"}).to_string();
        let request = Request::post("/process/session/s/exec").body(Full::from(command));
        let (status, body) = daemon.ask(headers(request.expect("a request"))).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let wanted = if has_split {
            json!({"cmdId": answer["cmdId"], "exitCode": 0, "output": output, "stdout": "o\n", "stderr": ""})
        } else {
            json!({"cmdId": answer["cmdId"], "exitCode": 0, "output": output})
        };
        assert_eq!(answer, wanted, "{version:?}");
        let id = answer["cmdId"].as_str().expect("an id");
        let request =
            Request::get(format!("/process/session/s/command/{id}/logs")).body(Full::default());
        let (_, logs) = daemon.ask(headers(request.expect("a request"))).await;
        if has_split {
            let logs: Value = serde_json::from_slice(&logs).expect("JSON");
            assert_eq!(
                logs,
                json!({"output": output, "stdout": "o\n", "stderr": ""}),
                "{version:?}"
            );
        } else {
            assert_eq!(logs, output, "{version:?}");
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let daemon = with_session().await;
    let exec = "/process/session/s/exec";
    for (target, body, status, code) in [
        (SESSIONS, json!({"sessionId": "s"}), 409, "CONFLICT"),
        (SESSIONS, json!({"sessionId": ""}), 400, "BAD_REQUEST"),
        (SESSIONS, json!({"sessionId": "x".repeat(257)}), 400, "BAD_REQUEST"),
        (SESSIONS, json!({"sessionId": "entrypoint"}), 400, "BAD_REQUEST"),
        (SESSIONS, json!({}), 400, "INVALID_REQUEST_BODY"),
        (exec, json!({"command": " \n"}), 400, "BAD_REQUEST"),
        (exec, json!({"command": "a\0b"}), 400, "BAD_REQUEST"),
        (exec, json!({"command": 1}), 400, "INVALID_REQUEST_BODY"),
        ("/process/session/none/exec", json!({"command": "true"}), 404, "NOT_FOUND"),
        ("/process/session/entrypoint/exec", json!({"command": "true"}), 400, "BAD_REQUEST"),
        ("/process/session/s/command/none/input", json!({"data": ""}), 404, "NOT_FOUND"),
        ("/process/session/s/else", json!({}), 404, "NOT_FOUND"),
    ] {
        let (got, answer) = daemon.post(target, &body).await;
        assert_eq!(
            (got.as_u16(), &answer["code"]),
            (status, &json!(code)),
            "{target} {body}: {answer}"
        );
    }
    for (method, target, status) in [
        ("GET", "/process/session/none", 404),
        ("DELETE", "/process/session/none", 404),
        ("DELETE", "/process/session/entrypoint", 400),
        ("GET", "/process/session/s/command/none", 404),
        ("GET", "/process/session/s/command/none/logs", 404),
        ("PUT", "/process/session/s", 404),
        ("GET", "/process/session/entrypoint/logs?follow=maybe", 400),
    ] {
        let (got, answer) = daemon.call(method, target).await;
        assert_eq!(got.as_u16(), status, "{method} {target}: {answer}");
    }
    let (_, begun) = execute(&daemon, "echo; exit 0").await;
    let input =
        format!("/process/session/s/command/{}/input", begun["cmdId"].as_str().expect("an id"));
    assert_eq!(daemon.post(&input, &json!({"data": "x"})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn whatever_a_command_does_to_its_shell_harms_its_session_alone() {
    let junk = "for fd in /proc/self/fd/*; do fd=${fd##*/}; \
                [ $fd -lt 3 ] || eval \"echo junk >&$fd\" 2>/dev/null; done; echo said";
    for command in [
        junk,
        "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -lt 3 ] || eval \"exec $fd>&-\"; done; echo said",
        "yes b >&199 2>/dev/null; yes e0 >&9 2>/dev/null; echo said",
        "for fd in /proc/self/fd/*; do (: > $fd) 2>/dev/null; done; echo said",
    ] {
        let daemon = with_session().await;
        create(&daemon, "other").await;
        let (status, answer) = execute(&daemon, command).await;
        assert!(matches!(status.as_u16(), 200 | 410), "{command}: {status} {answer}");
        let exec = "/process/session/other/exec";
        let (status, answer) = daemon.post(exec, &json!({"command": "echo well"})).await;
        assert_eq!((status, &answer["stdout"]), (StatusCode::OK, &json!("well\n")), "{command}");
        let (status, _) = daemon.call("DELETE", "/process/session/s").await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{command}");
    }
}

#[tokio::test]
async fn a_session_has_room_for_only_so_many_waiting_commands() {
    let daemon = with_session().await;
    let first = begin(&daemon, "read x").await;
    let mut begun = 0;
    let refused = loop {
        let body = json!({"command": "echo", "runAsync": true});
        let (status, answer) = daemon.post("/process/session/s/exec", &body).await;
        if status != StatusCode::ACCEPTED {
            break (status, answer["code"].clone());
        }
        begun += 1;
        assert!(begun < 1000);
    };
    assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, json!("TOO_MANY_COMMANDS")));
    daemon.post(&format!("{first}/input"), &json!({"data": ""})).await;
    let (_, session) = daemon.call("GET", "/process/session/s").await;
    let last = session["commands"].as_array().and_then(|all| all.last()).expect("a command");
    let last = format!("/process/session/s/command/{}", last["id"].as_str().expect("an id"));
    assert_eq!(exit_code(&daemon, &last).await, 0);
    assert_eq!(run(&daemon, "echo through").await, json!([0, "through\n", ""]));
}

#[tokio::test]
async fn a_name_may_have_any_characters() {
    let daemon = Daemon::start();
    create(&daemon, "a/b c%ü").await;
    let path = "/process/session/a%2Fb%20c%25%C3%BC";
    let (status, answer) =
        daemon.post(&format!("{path}/exec"), &json!({"command": "echo yes"})).await;
    assert_eq!((status, &answer["stdout"]), (StatusCode::OK, &json!("yes\n")));
    assert_eq!(daemon.call("GET", path).await.1["sessionId"], "a/b c%ü");
    assert_eq!(daemon.call("DELETE", path).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_images_own_program_is_a_session_of_its_own() {
    let script = "echo \"$0 $1\"; echo err >&2; pwd; exit 5";
    let daemon = Daemon::start_with(&json!({"entrypoint": ["sh", "-c", script, "name", "ü"]}), &[]);
    let followed = follow(&daemon, "/process/session/entrypoint").await;
    let folder = daemon.folder().canonicalize().expect("a folder");
    let wanted = [format!("name ü\n{}\n", folder.display()).into_bytes(), b"err\n".to_vec()];
    assert_eq!(split(&followed), wanted);
    assert_eq!(split(&follow_socket(&daemon, "/process/session/entrypoint").await.0), wanted);
    let (status, session) = daemon.call("GET", "/process/session/entrypoint").await;
    let command = format!("sh -c {script} name ü");
    let commands = json!([{"id": "entrypoint_command", "command": command, "exitCode": 5}]);
    assert_eq!(
        (status, session),
        (StatusCode::OK, json!({"sessionId": "entrypoint", "commands": commands}))
    );
    assert_eq!(daemon.call("GET", SESSIONS).await.1, json!([]));
    let (_, logs) = daemon.call("GET", "/process/session/entrypoint/logs").await;
    assert_eq!(logs["stderr"], "err\n");
}

#[tokio::test]
async fn a_program_that_cannot_run_says_so_and_holds_up_nothing() {
    let daemon = Daemon::start_with(&json!({"entrypoint": ["/no/such/program"]}), &[]);
    let log = follow(&daemon, "/process/session/entrypoint").await;
    assert_eq!(log, "\x02\x02\x02/no/such/program: not found\n");
    let (_, session) = daemon.call("GET", "/process/session/entrypoint").await;
    assert_eq!(session["commands"][0]["exitCode"], 127);
    assert_eq!(daemon.execute("echo here").await["result"], "here\n");
}

#[tokio::test]
async fn an_image_without_a_program_has_an_empty_session() {
    let daemon = Daemon::start();
    let (status, session) = daemon.call("GET", "/process/session/entrypoint").await;
    assert_eq!(
        (status, session),
        (StatusCode::OK, json!({"sessionId": "entrypoint", "commands": []}))
    );
    let (status, logs) = daemon.call("GET", "/process/session/entrypoint/logs").await;
    assert_eq!((status, logs), (StatusCode::OK, json!({"output": "", "stdout": "", "stderr": ""})));
    assert_eq!(
        follow_socket(&daemon, "/process/session/entrypoint").await,
        (Vec::new(), Some(1000))
    );
}
