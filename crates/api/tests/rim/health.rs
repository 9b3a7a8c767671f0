//! Health and readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use pitlane_api::{Door, Probe};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{DEADLINE, call, request};
use crate::server::{Options, Server};

fn probe(name: &'static str, outcome: Result<(), String>) -> Probe {
    let ask = move || {
        let outcome = outcome.clone();
        Box::pin(async move { outcome }) as std::pin::Pin<Box<_>>
    };
    Probe { name, ask: Arc::new(ask) }
}

#[tokio::test]
async fn a_server_whose_parts_work_is_ready() {
    let probes = vec![probe("disk", Ok(()))];
    let server = Server::start_with(Options { probes, ..Options::default() }).await;
    let answer = server.get("/api/health/ready").await;
    let up = json!({"database": {"status": "up"}, "disk": {"status": "up"}});
    let wanted = json!({"status": "ok", "info": up, "error": {}, "details": up});
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, wanted));
}

#[tokio::test]
async fn a_server_with_a_part_that_does_not_work_lives_is_not_ready_and_says_why() {
    let probes = vec![probe("disk", Err("12 MiB are left".to_owned()))];
    let server = Server::start_with(Options { probes, ..Options::default() }).await;
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
    let answer = server.get("/api/health/ready").await;
    let (up, down) =
        (json!({"status": "up"}), json!({"status": "down", "message": "12 MiB are left"}));
    let wanted = json!({
        "status": "error",
        "info": {"database": up},
        "error": {"disk": down},
        "details": {"database": up, "disk": down},
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::SERVICE_UNAVAILABLE, wanted));
}

#[tokio::test]
async fn a_crowd_that_asks_for_readiness_asks_the_parts_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let ask = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) }) as std::pin::Pin<Box<_>>
    };
    let probes = vec![Probe { name: "counted", ask: Arc::new(ask) }];
    let server = Server::start_with(Options { probes, ..Options::default() }).await;
    let crowd = (0..50).map(|_| server.get("/api/health/ready"));
    let answers = futures_util::future::join_all(crowd).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    // A second answer is asked for when the first is a second old.
    assert!(asked.load(Ordering::Relaxed) <= 2, "{asked:?}");
}

#[tokio::test]
async fn a_server_that_starts_lives_and_is_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::open(listener, "api", 10, CancellationToken::new());
    let ask = async |path: &str| call(address, request(http::Method::GET, path, None, "")).await;
    assert_eq!(ask("/api/health").await.status, StatusCode::OK);
    let answer = ask("/api/health/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["error"]["start"]["status"], "down");
    drop(door);
    let closing = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, closing).await.expect("a door that is gone lets nobody in");
}

#[tokio::test]
async fn a_request_that_comes_while_the_server_starts_is_answered_when_it_has() {
    let server =
        Server::start_with(Options { early: Some("/api/config"), ..Options::default() }).await;
    assert_eq!(server.early_answer().await.status, StatusCode::OK);
}
