//! A client and a daemon over real sockets, and between them what passes one's request on to the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pitlane_control::Connection;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::patient::Patient;

use super::{Bypassed, Hold, Inlet, LEAST, Outlet, Pipe};

const DEADLINE: Duration = Duration::from_secs(60);

/// Bytes that are nowhere the same.
fn pattern(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

fn least() -> usize {
    usize::try_from(LEAST).unwrap()
}

/// Serves one connection: `POST /held` goes past to a daemon, everything else the usual way.
async fn serve(client: TcpStream, daemon: UnixStream) {
    let inlet = Inlet::new(client);
    let gate = inlet.gate();
    let daemon = Arc::new(std::sync::Mutex::new(Some(daemon)));
    let service = service_fn(move |request: Request<Incoming>| {
        let hold = request.uri().path().starts_with("/held").then(|| gate.hold());
        let daemon = Arc::clone(&daemon);
        async move {
            if request.uri().path() == "/held-and-let-go" {
                drop(hold);
                let whole = request.into_body().collect().await.unwrap().to_bytes();
                return Ok::<_, Infallible>(Response::new(Body::from(whole.len().to_string())));
            }
            let daemon = daemon.lock().unwrap().take().unwrap();
            Ok(pass_on(request, hold, Box::new(daemon)).await)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    // A client that has gone is no failure here.
    serving.serve_connection(TokioIo::new(inlet), service).await.ok();
}

async fn pass_on(
    request: Request<Incoming>,
    hold: Option<Hold>,
    daemon: Connection,
) -> Response<Body> {
    let pipe = Arc::new(Pipe::new().unwrap());
    let (patient, _answered) = Patient::new(Outlet::new(daemon, Some(Arc::clone(&pipe))));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(patient)).await.unwrap();
    let watch = hold.as_ref().map(Hold::watch);
    let gone = async {
        match watch {
            Some(watch) => watch.gone().await,
            None => std::future::pending().await,
        }
    };
    let whole = http_body::Body::size_hint(request.body()).exact().unwrap();
    let request = request.map(|body| match hold {
        Some(hold) => Body::new(Bypassed::new(Body::new(body), whole, hold, Arc::clone(&pipe))),
        None => Body::new(body),
    });
    let mut sending = std::pin::pin!(sender.send_request(request));
    let mut moving = std::pin::pin!(connection);
    let answer = tokio::select! {
        biased;
        _ = &mut moving => sending.await,
        answer = &mut sending => answer,
        () = gone => return Response::new(Body::empty()),
    };
    let begin = HeaderValue::from(pipe.begins_at().unwrap_or(u64::MAX));
    match answer {
        Ok(mut answer) => {
            answer.headers_mut().insert("x-past-from", begin);
            answer.map(Body::new)
        }
        Err(error) => Response::builder().status(502).body(Body::from(error.to_string())).unwrap(),
    }
}

/// A connection's two ends, and what serves it.
async fn connected(daemon: UnixStream) -> (TcpStream, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(serve(accepted, daemon));
    (client, serving)
}

fn head(path: &str, length: usize) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

/// A daemon that reads one request and answers: its body.
async fn read_whole(daemon: UnixStream) -> Bytes {
    let (bodies, mut received) = tokio::sync::mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        let bodies = bodies.clone();
        async move {
            let whole = request.into_body().collect().await?.to_bytes();
            bodies.send(whole).await.ok();
            Ok::<_, hyper::Error>(Response::new(Body::from("done")))
        }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    let served = serving.serve_connection(TokioIo::new(daemon), service);
    // The connection ends with its answer, or broke off.
    served.await.ok();
    received.try_recv().unwrap_or_default()
}

/// Sends a request in pieces of such lengths, the head with the first, and reads until the connection's end: what came
/// at the daemon and what came back.
async fn send(path: &str, body: &[u8], pieces: Vec<usize>) -> (Bytes, String) {
    let (daemon, server_side) = UnixStream::pair().unwrap();
    let (mut client, _serving) = connected(server_side).await;
    let mut all = head(path, body.len());
    all.extend_from_slice(body);
    let talking = async {
        let mut rest = &all[..];
        for piece in pieces.into_iter().chain([all.len()]) {
            let (first, after) = rest.split_at(piece.min(rest.len()));
            client.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            rest = after;
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let both = async { tokio::join!(read_whole(daemon), talking) };
    tokio::time::timeout(DEADLINE, both).await.unwrap()
}

#[tokio::test]
async fn a_long_body_arrives_as_it_was_and_its_connection_ends_with_the_answer() {
    let body = pattern(3 * least() + 12_345);
    let (received, answer) = send("/held", &body, Vec::new()).await;
    assert!(received == body, "{} of {} bytes", received.len(), body.len());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("done"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    let (_, begin) = answer.split_once("x-past-from: ").unwrap();
    let begin: usize = begin.split_once("\r\n").unwrap().0.parse().unwrap();
    assert!(begin < least(), "{begin} bytes went the usual way");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_body_arrives_as_it_was_however_it_comes(
        beyond in 0_usize..300_000,
        pieces in prop::collection::vec(prop_oneof![1_usize..200, 1_usize..600_000], 0..40),
    ) {
        let body = pattern(least() + beyond);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (received, answer) = runtime.block_on(send("/held", &body, pieces));
        prop_assert!(received == body, "{} of {} bytes", received.len(), body.len());
        prop_assert!(answer.ends_with("done"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_breaks_off_gives_the_daemon_no_whole_body() {
    let (daemon, server_side) = UnixStream::pair().unwrap();
    let (mut client, mut serving) = connected(server_side).await;
    let sending = async {
        client.write_all(&head("/held", 2 * least())).await.unwrap();
        client.write_all(&pattern(least())).await.unwrap();
        drop(client);
    };
    let both = async { tokio::join!(read_whole(daemon), sending).0 };
    let received = tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert!(received.is_empty(), "{} bytes", received.len());
    tokio::time::timeout(DEADLINE, serving.join_next()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_daemon_that_answers_early_is_heard_by_a_client_that_still_sends() {
    let (mut daemon, server_side) = UnixStream::pair().unwrap();
    let (client, _serving) = connected(server_side).await;
    let (mut reading, mut writing) = client.into_split();
    let daemon_side = async move {
        let mut first = vec![0; 1 << 20];
        daemon.read_exact(&mut first).await.unwrap();
        let answer = b"HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 4\r\n\r\nfull";
        daemon.write_all(answer).await.unwrap();
        // It reads no more, and the rest of the body has nowhere to go.
        daemon
    };
    let client_side = async {
        writing.write_all(&head("/held", 4 * least())).await.unwrap();
        let sending = async {
            // The connection may be closed under it.
            writing.write_all(&pattern(4 * least())).await.ok();
        };
        let mut answer = String::new();
        let hearing = async {
            while !answer.ends_with("full") {
                let mut piece = [0; 4096];
                let count = reading.read(&mut piece).await.unwrap();
                assert!(count > 0, "{answer}");
                answer.push_str(std::str::from_utf8(&piece[..count]).unwrap());
            }
        };
        tokio::select! {
            () = hearing => {}
            () = async { sending.await; std::future::pending().await } => {}
        }
        answer
    };
    let both = Box::pin(async { tokio::join!(daemon_side, client_side) });
    let (_daemon, answer) = tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
}

#[tokio::test]
async fn what_a_daemon_does_not_hear_any_more_is_dropped_and_its_answer_comes() {
    let (mut daemon, server_side) = UnixStream::pair().unwrap();
    let (mut client, _serving) = connected(server_side).await;
    let talking = async {
        let mut first = vec![0; 1 << 20];
        daemon.read_exact(&mut first).await.unwrap();
        rustix::net::shutdown(&daemon, rustix::net::Shutdown::Read).unwrap();
        // What is on its way already comes, and nothing more.
        daemon.read_to_end(&mut first).await.unwrap();
        daemon
    };
    let sending = async {
        client.write_all(&head("/held", 4 * least())).await.unwrap();
        client.write_all(&pattern(4 * least())).await.unwrap();
    };
    let both = async { tokio::join!(talking, sending).0 };
    let mut daemon = tokio::time::timeout(DEADLINE, both).await.unwrap();
    daemon
        .write_all(b"HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 4\r\n\r\nfull")
        .await
        .unwrap();
    let mut answer = String::new();
    let hearing = client.read_to_string(&mut answer);
    tokio::time::timeout(DEADLINE, hearing).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 507") && answer.ends_with("full"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_before_it_is_answered_is_missed() {
    let (mut daemon, server_side) = UnixStream::pair().unwrap();
    let (mut client, mut serving) = connected(server_side).await;
    let body = pattern(least());
    client.write_all(&head("/held", body.len())).await.unwrap();
    let hearing = async {
        // It reads everything and says nothing.
        let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 20]);
        while !all.ends_with(&body) {
            let count = daemon.read(&mut piece).await.unwrap();
            assert!(count > 0, "{} bytes", all.len());
            all.extend_from_slice(&piece[..count]);
        }
    };
    let both = async { tokio::join!(hearing, client.write_all(&body)).1 };
    tokio::time::timeout(DEADLINE, both).await.unwrap().unwrap();
    drop(client);
    let mut rest = Vec::new();
    let hung_up = daemon.read_to_end(&mut rest);
    assert_eq!(tokio::time::timeout(DEADLINE, hung_up).await.unwrap().unwrap(), 0);
    tokio::time::timeout(DEADLINE, serving.join_next()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_held_for_nothing_is_read_and_used_again() {
    let (_daemon, server_side) = UnixStream::pair().unwrap();
    let (mut client, _serving) = connected(server_side).await;
    for _ in 0..3 {
        client.write_all(&head("/held-and-let-go", least())).await.unwrap();
        client.write_all(&pattern(least())).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with(&least().to_string()) {
            let mut piece = [0; 4096];
            let reading = tokio::time::timeout(DEADLINE, client.read(&mut piece));
            let count = reading.await.unwrap().unwrap();
            assert!(count > 0, "{answer}");
            answer.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
    }
}
