//! Clients that are slow, half gone, gone or too many; daemons that talk and never answer.

use std::sync::Arc;

use http::{Method, StatusCode};
use pitlane_driver::fake::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::http::{Client, call, request};
use crate::raw::{self, Wire, head};
use crate::server::{Options, Server};

/// A connection that became a WebSocket to a sandbox.
pub(crate) async fn websocket(server: &Server, id: &str) -> Wire {
    let mut wire = Wire::connect(server.address).await;
    let first = format!("GET /toolbox/{id}/switch HTTP/1.1");
    let sent = head(server, &first, "connection: Upgrade\r\nupgrade: websocket\r\n");
    wire.say(sent.as_bytes()).await;
    assert_eq!(wire.answer().await.unwrap().status, 101);
    wire
}

#[tokio::test]
async fn a_connection_that_became_a_websocket_keeps_its_place() {
    let server = Server::start_with(Options { max_connections: 3, ..Options::default() }).await;
    let id = server.create().await;
    let first = websocket(&server, &id).await;
    let _second = websocket(&server, &id).await;
    let mut third = Wire::connect(server.address).await;
    third.say(head(&server, "GET /api/health HTTP/1.1", "").as_bytes()).await;
    assert_eq!(third.answer().await.unwrap().status, 200);
    // There is no fourth place: its request waits until the first goes.
    let mut fourth = Wire::connect(server.address).await;
    fourth.say(head(&server, "GET /api/health HTTP/1.1", "").as_bytes()).await;
    {
        let mut waiting = Box::pin(fourth.answer());
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("{answer:?}"),
            answer = async {
                // Answers in the meantime show that the server is alive and had its chance.
                for _ in 0..20 {
                    third.say(head(&server, "GET /api/config HTTP/1.1", "").as_bytes()).await;
                    assert_eq!(third.answer().await.unwrap().status, 200);
                }
            } => answer,
        }
        drop(first);
        assert_eq!(waiting.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn clients_that_only_connect_are_in_nobodys_way() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Wire::connect(server.address).await);
    }
    for wire in &mut silent[..100] {
        wire.say(b"GET /api/sandbox HTTP/1.1\r\nhost: h\r\nx: ").await;
    }
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_a_request() {
    let server = Server::start().await;
    let body = r#"{"name":"slow"}"#;
    let framing = format!("content-length: {}\r\n", body.len());
    let sent = format!("{}{body}", head(&server, "POST /api/sandbox HTTP/1.1", &framing));
    let mut wire = Wire::connect(server.address).await;
    for byte in sent.bytes() {
        wire.say(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_request_changes_nothing() {
    let server = Server::start().await;
    let body = r#"{"name":"half"}"#;
    let framing = format!("content-length: {}\r\n", body.len() + 1);
    let sent = format!("{}{body}", head(&server, "POST /api/sandbox HTTP/1.1", &framing));
    for cut in [10, sent.len() - body.len(), sent.len() - 1, sent.len()] {
        for is_half_closed in [false, true] {
            let mut wire = Wire::connect(server.address).await;
            wire.say(&sent.as_bytes()[..cut]).await;
            if is_half_closed {
                wire.shut().await;
                let told = wire.answer().await;
                assert!(told.is_none_or(|told| told.status == 400), "{cut}");
            }
        }
    }
    assert_eq!(raw::sandboxes(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_counts_as_gone() {
    let server = Server::start().await;
    let id = server.create().await;
    let mut wire = Wire::connect(server.address).await;
    let first = format!("POST /toolbox/{id}/hang HTTP/1.1");
    wire.say(head(&server, &first, "content-length: 0\r\n").as_bytes()).await;
    let asked = server.seen.heard(|heard| heard.target == "/hang").await;
    wire.shut().await;
    let wanted = format!("/pitlane/cancel/{}", asked.id.unwrap());
    server.seen.heard(|heard| heard.target == wanted).await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_the_daemon_and_nobody_else() {
    let server = Server::start().await;
    let id = server.create().await;
    let body = vec![b'x'; 64 << 20];
    let path = format!("/toolbox/{id}/echo");
    let mut client = Client::connect(server.address).await;
    let sent = request(Method::POST, &path, Some(&server.key), body);
    let answer = client.send(sent).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // Nobody reads the answer. Others are answered as ever.
    for _ in 0..10 {
        assert_eq!(server.get(&format!("/toolbox/{id}/hello")).await.status, StatusCode::OK);
    }
    let before = memory_mib();
    drop(answer);
    client.hang_up().await;
    server.seen.heard(|heard| heard.target.starts_with("/pitlane/cancel/")).await;
    // The body itself is this test's own.
    assert!(before < 64 + 64, "{before} MiB");
}

/// What this process has in memory.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// A daemon that says this once it was asked, and `again` for ever.
fn saying(once: &'static str, again: &'static str) -> Service {
    Arc::new(move |_inside, stream| Box::pin(say(stream, once, again)))
}

async fn say(mut stream: DuplexStream, once: &'static str, again: &'static str) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        asked.push(byte);
    }
    if stream.write_all(once.as_bytes()).await.is_err() || again.is_empty() {
        return;
    }
    let many = again.repeat(1000);
    while stream.write_all(many.as_bytes()).await.is_ok() {}
}

/// What a client gets through a daemon that says such things.
async fn through(once: &'static str, again: &'static str) -> (u16, String) {
    through_to("/x", once, again).await
}

async fn through_to(path: &str, once: &'static str, again: &'static str) -> (u16, String) {
    let options = Options { service: Some(saying(once, again)), ..Options::default() };
    let server = Server::start_with(options).await;
    let id = server.create().await;
    let sent = request(Method::GET, &format!("/toolbox/{id}{path}"), Some(&server.key), "");
    let (status, message) = call(server.address, sent).await.refusal();
    let message = message.split(" (request ").next().unwrap().to_owned();
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
    (status, message)
}

#[tokio::test]
async fn a_daemon_that_never_comes_to_its_answer_is_cut_off() {
    let wanted = (502, "the sandbox's daemon did not answer".to_owned());
    for (once, again) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 102 Processing\r\nx: y\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("HTTP/1.1 200 OK\r\nx: ", "y"),
        ("HTTP/1.1 200 OK\r\n", " folded\r\n"),
        ("", "x"),
        ("", "\r\n"),
        ("", ""),
        ("HTTP/1.1 200 OK\r\n", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", ""),
        ("HTTP/2.0 200 OK\r\n\r\n", ""),
        ("SSH-2.0-OpenSSH\r\n", ""),
    ] {
        assert_eq!(through(once, again).await, wanted, "{once:?} {again:?}");
    }
}

#[tokio::test]
async fn an_application_that_never_comes_to_its_answer_is_cut_off() {
    let reached = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: pitlane-tunnel\r\n\r\n";
    let (status, _) =
        through_to("/proxy/3000/x", reached, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
            .await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_daemon_that_switches_unasked_is_not_followed() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let (status, _) = through(switch, "").await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_passed_on_as_a_whole_one() {
    for daemon in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\nhalf\r\n",
    ] {
        let options = Options { service: Some(saying(daemon, "")), ..Options::default() };
        let server = Server::start_with(options).await;
        let id = server.create().await;
        let first = format!("GET /toolbox/{id}/x HTTP/1.1");
        let mut wire = Wire::connect(server.address).await;
        wire.say(head(&server, &first, "").as_bytes()).await;
        let said = wire.rest().await;
        // If it is known before the head is sent, there is nothing but the end.
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 200 OK\r\n"), "{daemon:?}: {said:?}");
        assert!(!said.ends_with("0\r\n\r\n"), "{daemon:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_whoever_keeps_a_connection() {
    let server = Server::start().await;
    let mut wire = Wire::connect(server.address).await;
    wire.say(head(&server, "GET /api/health HTTP/1.1", "").as_bytes()).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    server.stop().await;
    assert!(wire.is_closed().await);
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_answer_of_no_length_ends_with_its_connection() {
    let daemon = "HTTP/1.1 200 OK\r\n\r\nall of it";
    let options = Options { service: Some(saying(daemon, "")), ..Options::default() };
    let server = Server::start_with(options).await;
    let id = server.create().await;
    let sent = request(Method::GET, &format!("/toolbox/{id}/x"), Some(&server.key), "");
    let answer = call(server.address, sent).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"all of it"[..]));
}
