//! Connections that break, and requests that are cancelled.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::daemon::{Daemon, is_running, refusal, until};

fn named(id: &str, target: &str, body: &Value) -> Request<Full<bytes::Bytes>> {
    Request::post(target)
        .header("x-pitlane-request", id)
        .body(Full::from(body.to_string()))
        .expect("a request")
}

#[tokio::test]
async fn a_connection_that_breaks_ends_no_command() {
    let daemon = Daemon::start();
    let command = "echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; echo > proof";
    for target in ["/process/execute", "/process/execute/stream"] {
        for name in ["pid", "go", "proof"] {
            std::fs::remove_file(daemon.path(name)).ok();
        }
        let request = named("a", target, &json!({"command": command}));
        let mut connection = daemon.connect().await;
        let answer = connection.sender.send_request(request);
        tokio::select! {
            _ = async { answer.await?.into_body().collect().await } => panic!("it ended too soon"),
            () = until("the command runs", || daemon.path("pid").exists()) => {}
        }
        drop(connection);
        std::fs::write(daemon.path("go"), "").expect("a file");
        until("the command went on to its end", || daemon.path("proof").exists()).await;
    }
}

#[tokio::test]
async fn a_cancelled_request_is_over_and_its_command_is_gone() {
    let daemon = Daemon::start();
    let command = "sleep 1000 & echo $! > child; echo $$ > pid; wait";
    let request = named("name-1", "/process/execute", &json!({"command": command}));
    let cancel = async {
        until("the command runs", || daemon.path("pid").exists()).await;
        daemon.call("POST", "/pitlane/cancel/name-1").await
    };
    let ((status, answer), (cancelled, _)) = tokio::join!(daemon.ask(request), cancel);
    assert_eq!((status, cancelled), (StatusCode::GONE, StatusCode::NO_CONTENT));
    let answer = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(refusal(answer)["message"], "the request was cancelled");
    let running = ["pid", "child"].map(|name| is_running(&daemon.text(name)));
    assert_eq!(running, [false, false]);
    // It has ended, and its name with it.
    let (again, _) = daemon.call("POST", "/pitlane/cancel/name-1").await;
    assert_eq!(again, StatusCode::NOT_FOUND);
}
