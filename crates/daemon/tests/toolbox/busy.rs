//! Whether commands run, as the server asks it.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::daemon::{Daemon, until};

fn question() -> Request<Full<bytes::Bytes>> {
    Request::get("/pitlane/busy").body(Full::default()).expect("a request")
}

/// That the daemon is busy, and the end of its answer once `go` exists.
async fn is_busy_until_go(daemon: &Daemon) {
    let (answer, _connection) = daemon.send(question()).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let mut body = Box::pin(answer.into_body().collect());
    tokio::select! {
        biased;
        _ = &mut body => panic!("it is idle too soon"),
        (status, _) = daemon.call("GET", "/version") => assert_eq!(status, StatusCode::OK),
    }
    std::fs::write(daemon.path("go"), "").expect("a file");
    assert_eq!(body.await.expect("a body").to_bytes(), "");
    assert_eq!(daemon.ask(question()).await, (StatusCode::NO_CONTENT, bytes::Bytes::new()));
}

const COMMAND: &str = "echo > begun; while [ ! -e go ]; do sleep 0.01; done";

#[tokio::test]
async fn a_session_command_that_nobody_waits_for_is_busy_until_its_end_and_its_shell_is_not() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ask(question()).await.0, StatusCode::NO_CONTENT);
    let (status, _) = daemon.post("/process/session", &json!({"sessionId": "s"})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(daemon.ask(question()).await.0, StatusCode::NO_CONTENT);
    let body = json!({"command": COMMAND, "runAsync": true});
    let (status, _) = daemon.post("/process/session/s/exec", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    until("the command runs", || daemon.path("begun").exists()).await;
    is_busy_until_go(&daemon).await;
}

#[tokio::test]
async fn a_command_whose_connection_broke_is_busy_until_its_end() {
    let daemon = Daemon::start();
    for target in ["/process/execute", "/process/execute/stream"] {
        for name in ["begun", "go"] {
            std::fs::remove_file(daemon.path(name)).ok();
        }
        let body = json!({"command": COMMAND});
        let request =
            Request::post(target).body(Full::<bytes::Bytes>::from(Value::to_string(&body)));
        let mut connection = daemon.connect().await;
        let answer = connection.sender.send_request(request.expect("a request"));
        tokio::select! {
            _ = async { answer.await?.into_body().collect().await } => panic!("it ended too soon"),
            () = until("the command runs", || daemon.path("begun").exists()) => {}
        }
        drop(connection);
        is_busy_until_go(&daemon).await;
    }
}
