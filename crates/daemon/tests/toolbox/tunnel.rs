//! Streams to programs that listen inside.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::daemon::{Daemon, refusal};

fn wish(port: u16) -> Request<Empty<Bytes>> {
    Request::post(format!("/pitlane/connect/{port}"))
        .header("host", "daemon")
        .header("connection", "upgrade")
        .header("upgrade", "pitlane-tunnel")
        .body(Empty::new())
        .expect("a request")
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Both ends of a stream through a daemon.
async fn tunnel(daemon: &Daemon) -> (TokioIo<hyper::upgrade::Upgraded>, TcpStream) {
    let (listener, port) = listen().await;
    let mut connection = daemon.connect().await;
    let (answer, accepted) =
        tokio::join!(connection.sender.send_request(wish(port)), listener.accept());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.headers()["upgrade"], "pitlane-tunnel");
    let server = hyper::upgrade::on(answer).await.expect("a stream");
    (TokioIo::new(server), accepted.expect("a connection").0)
}

#[tokio::test]
async fn bytes_pass_both_ways_at_once_and_to_the_last() {
    let daemon = Daemon::start();
    let (mut server, mut program) = tunnel(&daemon).await;
    let (sent, answered) = (vec![1_u8; 3_000_000], vec![2_u8; 5_000_000]);
    let talk = async {
        let (mut from, mut to) = tokio::io::split(&mut server);
        let writing = to.write_all(&sent);
        let mut heard = Vec::new();
        let (written, read) = tokio::join!(writing, from.read_to_end(&mut heard));
        written.expect("written");
        read.expect("read");
        heard
    };
    let answer = async {
        let mut heard = vec![0; sent.len()];
        let (mut from, mut to) = program.split();
        let (written, read) = tokio::join!(to.write_all(&answered), from.read_exact(&mut heard));
        written.expect("written");
        read.expect("read");
        drop(program);
        heard
    };
    let (heard, received) = tokio::join!(talk, answer);
    assert!(heard == answered && received == sent);
}

#[tokio::test]
async fn a_program_is_told_that_the_server_has_gone_while_neither_says_anything() {
    let daemon = Daemon::start();
    let (server, mut program) = tunnel(&daemon).await;
    drop(server);
    assert_eq!(program.read(&mut [0]).await.expect("an end"), 0);
}

#[tokio::test]
async fn what_a_program_says_before_it_hangs_up_on_the_rest_is_heard() {
    let daemon = Daemon::start();
    let (mut server, mut program) = tunnel(&daemon).await;
    server.write_all(b"the beginning").await.expect("written");
    program.read_u8().await.expect("a byte");
    program.write_all(b"enough").await.expect("written");
    drop(program);
    // It goes nowhere, and does not fail either until the end is read.
    server.write_all(&[0; 1000]).await.ok();
    let mut heard = [0; 6];
    server.read_exact(&mut heard).await.expect("what was said");
    assert_eq!(&heard, b"enough");
}

#[tokio::test]
async fn where_nothing_listens_there_is_no_stream() {
    let daemon = Daemon::start();
    let (listener, port) = listen().await;
    drop(listener);
    let mut connection = daemon.connect().await;
    let answer = connection.sender.send_request(wish(port)).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let refusal = refusal(serde_json::from_slice(&body).expect("JSON"));
    assert_eq!(refusal["code"], "PORT_CLOSED");
    assert_eq!(refusal["message"], format!("nothing listens on port {port}"));
}

#[tokio::test]
async fn what_is_no_port_or_no_wish_for_a_stream_is_refused() {
    let daemon = Daemon::start();
    for port in ["0", "65536", "x", "", "080", "80/90", "-1", "+80"] {
        let (status, _) = daemon.call("POST", &format!("/pitlane/connect/{port}")).await;
        let expected =
            if port.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, expected, "{port:?}");
    }
    let (_listener, port) = listen().await;
    let (status, _) = daemon.call("POST", &format!("/pitlane/connect/{port}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = daemon.call("GET", &format!("/pitlane/connect/{port}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_a_name_of_a_request_is_looked_for() {
    let daemon = Daemon::start();
    let long = "x".repeat(65);
    for (name, wanted) in [
        ("0123456789abcdef0123456789abcdef", StatusCode::NOT_FOUND),
        (&*long, StatusCode::BAD_REQUEST),
        ("a%20b", StatusCode::BAD_REQUEST),
        ("a/b", StatusCode::BAD_REQUEST),
    ] {
        let (status, _) = daemon.call("POST", &format!("/pitlane/cancel/{name}")).await;
        assert_eq!(status, wanted, "{name}");
    }
    // A request may have any name; one that is none cannot be cancelled by it.
    let request = Request::post("/process/execute")
        .header("x-pitlane-request", long)
        .body(http_body_util::Full::from(json!({"command": "true"}).to_string()))
        .expect("a request");
    assert_eq!(daemon.ask(request).await.0, StatusCode::OK);
}
