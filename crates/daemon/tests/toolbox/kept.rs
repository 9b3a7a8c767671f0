//! What commands said, for whoever lost the connection.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use pitlane_wire::toolbox::frames::{Decoder, Frame};
use serde_json::{Value, json};

use crate::daemon::{Daemon, refusal, until};

fn named(id: &str, target: &str, body: &Value) -> Request<Full<bytes::Bytes>> {
    Request::post(target)
        .header("x-pitlane-request", id)
        .body(Full::from(body.to_string()))
        .expect("a request")
}

/// The bytes of a record from one of them on.
async fn kept_bytes(daemon: &Daemon, id: &str, offset: usize) -> bytes::Bytes {
    let request = Request::get(format!("/process/kept/{id}?offset={offset}"));
    let (status, bytes) = daemon.ask(request.body(Full::default()).expect("a request")).await;
    assert_eq!(status, StatusCode::OK);
    bytes
}

/// The frames of a record, joined by their kind.
async fn kept(daemon: &Daemon, id: &str) -> Vec<Frame> {
    let bytes = kept_bytes(daemon, id, 0).await;
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("a frame") {
        match (frames.last_mut(), frame) {
            (Some(Frame::Stdout(before)), Frame::Stdout(more)) => before.extend(more),
            (_, frame) => frames.push(frame),
        }
    }
    frames
}

#[tokio::test]
async fn output_and_exit_code_can_be_had_after_the_connection_broke() {
    let daemon = Daemon::start();
    let command = "echo first; while [ ! -e go ]; do sleep 0.01; done; echo second; exit 7";
    for (target, id) in [("/process/execute", "one"), ("/process/execute/stream", "two")] {
        std::fs::remove_file(daemon.path("go")).ok();
        let mut connection = daemon.connect().await;
        let answer =
            connection.sender.send_request(named(id, target, &json!({"command": command})));
        let reading = async { answer.await?.into_body().collect().await };
        let listed = async {
            loop {
                let (_, list) = daemon.call("GET", "/process/kept").await;
                let is_it = |kept: &Value| kept["request"] == id && kept["isOver"] == false;
                if list.as_array().expect("a list").iter().any(is_it) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = reading => panic!("it ended too soon"),
            () = listed => {}
        }
        drop(connection);
        // Whoever comes back before its end gets the rest as it comes.
        let frames = async { kept(&daemon, id).await };
        let go = async { std::fs::write(daemon.path("go"), "").expect("a file") };
        let wanted = [Frame::Stdout(b"first\nsecond\n".to_vec()), Frame::Exit(7)];
        assert_eq!(tokio::join!(frames, go).0, wanted, "{target}");
        // And whoever comes after it, from any byte on.
        let all = kept_bytes(&daemon, id, 0).await;
        for offset in [1, 5, 8, all.len() - 1, all.len()] {
            assert_eq!(kept_bytes(&daemon, id, offset).await, all.slice(offset..), "{target}");
        }
    }
    let (_, list) = daemon.call("GET", "/process/kept").await;
    let codes: Vec<_> =
        list.as_array().expect("a list").iter().map(|kept| kept["exitCode"].clone()).collect();
    assert_eq!(codes, [json!(7), json!(7)]);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_said_to_be_gone() {
    let daemon = Daemon::start();
    let request =
        named("much", "/process/execute", &json!({"command": "head -c 3000000 /dev/zero"}));
    let (status, _) = daemon.ask(request).await;
    assert_eq!(status, StatusCode::OK);
    let (status, answer) = daemon.call("GET", "/process/kept/much?offset=0").await;
    assert_eq!(status, StatusCode::GONE);
    let message = refusal(answer)["message"].as_str().expect("a message").to_owned();
    assert!(message.ends_with("bytes are no longer kept"), "{message}");
    let (status, _) = daemon.call("GET", "/process/kept/never").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = daemon.call("GET", "/process/kept/much?offset=-1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_command_that_was_cancelled_is_kept_as_such() {
    let daemon = Daemon::start();
    let command = "echo > begun; sleep 1000";
    let running = daemon.ask(named("gone", "/process/execute", &json!({"command": command})));
    let cancel = async {
        until("it runs", || daemon.path("begun").exists()).await;
        daemon.call("POST", "/pitlane/cancel/gone").await
    };
    tokio::join!(running, cancel);
    let wanted = [Frame::Failure(String::from("the request was cancelled"))];
    assert_eq!(kept(&daemon, "gone").await, wanted);
}
