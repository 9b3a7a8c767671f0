//! `POST /process/execute/stream`.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use pitlane_wire::toolbox::frames::{Decoder, Frame};
use serde_json::{Value, json};

use crate::daemon::{Daemon, post, until};

/// All frames, with pieces of one output that follow each other joined.
async fn frames(daemon: &Daemon, body: &Value) -> Vec<Frame> {
    let (status, bytes) = daemon.ask(post("/process/execute/stream", body)).await;
    assert_eq!(status, StatusCode::OK);
    decode(&bytes)
}

fn decode(bytes: &Bytes) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let mut frames: Vec<Frame> = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("a frame") {
        match (frames.last_mut(), frame) {
            (Some(Frame::Stdout(before)), Frame::Stdout(more))
            | (Some(Frame::Stderr(before)), Frame::Stderr(more)) => before.extend(more),
            (_, frame) => frames.push(frame),
        }
    }
    assert!(decoder.is_empty());
    frames
}

#[tokio::test]
async fn outputs_are_apart_and_byte_exact() {
    let daemon = Daemon::start();
    let command = r"printf 'a\377\000b'; sleep 0.1; printf 'e\376' >&2; exit 4";
    let wanted =
        [Frame::Stdout(b"a\xff\0b".to_vec()), Frame::Stderr(b"e\xfe".to_vec()), Frame::Exit(4)];
    assert_eq!(frames(&daemon, &json!({"command": command})).await, wanted);
}

#[tokio::test]
async fn long_output_is_complete() {
    let daemon = Daemon::start();
    let got = frames(&daemon, &json!({"command": "seq 1000000; kill -15 $$"})).await;
    let wanted: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    assert!(got == [Frame::Stdout(wanted.into_bytes()), Frame::Exit(143)], "the output differs");
}

#[tokio::test]
async fn output_comes_while_the_command_runs() {
    let daemon = Daemon::start();
    let command = "echo first; while [ ! -e go ]; do sleep 0.01; done; echo second";
    let request = post("/process/execute/stream", &json!({"command": command}));
    let (response, _connection) = daemon.send(request).await;
    let mut body = response.into_body();
    let first = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(decode(&first.into_data().expect("data")), [Frame::Stdout(b"first\n".to_vec())]);
    std::fs::write(daemon.path("go"), "").expect("a file");
    let rest = body.collect().await.expect("the rest").to_bytes();
    assert_eq!(decode(&rest), [Frame::Stdout(b"second\n".to_vec()), Frame::Exit(0)]);
}

#[tokio::test]
async fn code_streams_as_well() {
    let daemon = Daemon::start();
    let body = json!({"language": "python", "code": "import sys\nprint(sys.argv)", "argv": ["x"]});
    let wanted = [Frame::Stdout(b"['-', 'x']\n".to_vec()), Frame::Exit(0)];
    assert_eq!(frames(&daemon, &body).await, wanted);
}

#[tokio::test]
async fn a_command_without_an_exit_code_ends_with_a_failure() {
    let daemon = Daemon::start();
    let body = json!({"command": "echo $$ > pid; sleep 1000", "timeout": 1});
    let wanted = [Frame::Failure("request timeout: command execution timeout".into())];
    assert_eq!(frames(&daemon, &body).await, wanted);
    let body = json!({"command": "true", "cwd": "/does/not/exist"});
    let reason = "cannot start in /does/not/exist: No such file or directory (os error 2)";
    assert_eq!(frames(&daemon, &body).await, [Frame::Failure(reason.into())]);
    until("the killed command is gone", || !crate::daemon::is_running(&daemon.text("pid"))).await;
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_before_the_stream() {
    let daemon = Daemon::start();
    let (status, answer) = daemon.post("/process/execute/stream", &json!({"command": ""})).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::BAD_REQUEST, &json!("command is required"))
    );
}

#[tokio::test]
async fn a_slow_reader_neither_loses_output_nor_stops_the_timeout() {
    let daemon = Daemon::start();
    let body = json!({"command": "echo $$ > pid; yes", "timeout": 1});
    let (response, _connection) = daemon.send(post("/process/execute/stream", &body)).await;
    // Nothing is read: the command waits for room, and is killed waiting.
    until("the command has begun", || daemon.path("pid").exists()).await;
    until("the command is gone", || !crate::daemon::is_running(&daemon.text("pid"))).await;
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    let last = decode(&bytes).pop();
    assert_eq!(last, Some(Frame::Failure("request timeout: command execution timeout".into())));
}
