//! Requests that are passed on to a sandbox's daemon.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::http::{Client, call, raw, request};
use crate::server::Server;

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_request_arrives_as_it_was_without_what_proves_who_asks() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}/files/a%2Fb/../info?path=%2Fx&DAYTONA_SANDBOX_AUTH_KEY=s&b");
    let mut sent = request(Method::POST, &path, Some(&server.key), "body");
    for (name, value) in [
        ("cookie", "daytona-sandbox-auth=s"),
        ("x-daytona-preview-token", "s"),
        ("x-daytona-organization-id", "s"),
        ("x-api-key", "s"),
        ("x-pitlane-request", "forged"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "s"),
        ("x-daytona-sdk-version", "0.226.1"),
    ] {
        sent.headers_mut().append(name, value.parse().unwrap());
    }

    let answer = call(server.address, sent).await;

    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"hello"[..]));
    let heard = server.seen.heard(|_| true).await;
    assert_eq!((heard.method, &*heard.target), (Method::POST, "/files/a%2Fb/../info?path=%2Fx&b"));
    let wanted = [
        pair("content-length", "4"),
        pair("host", "daemon"),
        pair("x-daytona-sdk-version", "0.226.1"),
    ];
    assert_eq!(heard.headers, wanted);
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(heard.id.as_deref(), Some(id));
}

#[tokio::test]
async fn both_directions_stream_at_the_same_time() {
    let server = Server::start().await;
    let id = server.create().await;
    let (sender, chunks) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let chunks = futures_util::stream::unfold(chunks, |mut chunks| async {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    });
    let body = Body::new(StreamBody::new(chunks.boxed()));
    let mut client = Client::connect(server.address).await;
    let sent = request(Method::POST, &format!("/toolbox/{id}/echo"), Some(&server.key), body);
    let mut answer = client.send(sent).await.into_body();
    for n in 0..100u8 {
        let chunk = Bytes::from(vec![n; 1000]);
        sender.send(Ok(Frame::data(chunk.clone()))).await.unwrap();
        let mut back = Vec::new();
        while back.len() < chunk.len() {
            back.extend(answer.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(back, chunk, "{n}");
    }
    drop(sender);
    assert!(answer.frame().await.is_none());
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let server = Server::start().await;
    let id = server.create().await;
    const CHUNKS: usize = 1024;
    let chunk = Bytes::from(vec![7; 64 * 1024]);
    let chunks = futures_util::stream::repeat(chunk)
        .take(CHUNKS)
        .map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    let body = Body::new(StreamBody::new(chunks));
    let sent = request(Method::POST, &format!("/toolbox/{id}/count"), Some(&server.key), body);
    let answer = call(server.address, sent).await;
    assert_eq!(String::from_utf8(answer.body).unwrap(), (CHUNKS * 64 * 1024).to_string());
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_wherever_that_is() {
    for path in ["/hang", "/trickle"] {
        let server = Server::start().await;
        let id = server.create().await;
        let mut client = Client::connect(server.address).await;
        let sent =
            request(Method::POST, &format!("/toolbox/{id}{path}"), Some(&server.key), "code");
        let mut first = None;
        if path == "/hang" {
            let mut sending = Box::pin(client.send(sent));
            tokio::select! {
                answer = &mut sending => panic!("{answer:?}"),
                _heard = server.seen.heard(|heard| heard.target == path) => {}
            }
        } else {
            let mut body = client.send(sent).await.into_body();
            first = body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
        }
        assert_eq!(first, (path == "/trickle").then(|| Bytes::from_static(b"first")));
        let begun = server.seen.heard(|heard| heard.target == path).await;

        client.hang_up().await;

        let wanted = format!("/pitlane/cancel/{}", begun.id.unwrap());
        let told = server.seen.heard(|heard| heard.target == wanted).await;
        assert_eq!(told.method, Method::POST);
    }
}

#[tokio::test]
async fn a_complete_answer_ends_nothing() {
    let server = Server::start().await;
    let id = server.create().await;
    for path in ["/hello", "/count", "/echo"] {
        let path = format!("/toolbox/{id}{path}");
        call(server.address, request(Method::POST, &path, Some(&server.key), "")).await;
        call(server.address, request(Method::POST, &path, Some(&server.key), "text")).await;
    }
    // A cancellation would have been on its way before this last request.
    call(
        server.address,
        request(Method::GET, &format!("/toolbox/{id}/last"), Some(&server.key), ""),
    )
    .await;
    server.stop().await;
    let cancelled = server.seen.all().into_iter().filter(|h| h.target.starts_with("/pitlane"));
    assert_eq!(cancelled.collect::<Vec<_>>(), []);
}

#[tokio::test]
async fn a_server_that_goes_away_ends_no_request() {
    let server = Server::start().await;
    let id = server.create().await;
    let mut client = Client::connect(server.address).await;
    let sent = request(Method::POST, &format!("/toolbox/{id}/hang"), Some(&server.key), "");
    let mut sending = Box::pin(client.try_send(sent));
    tokio::select! {
        answer = &mut sending => panic!("{answer:?}"),
        _heard = server.seen.heard(|heard| heard.target == "/hang") => {}
    }
    server.cut_off().await;
    assert!(sending.await.is_err());
    let targets: Vec<String> = server.seen.all().into_iter().map(|heard| heard.target).collect();
    assert_eq!(targets, ["/hang"]);
}

#[tokio::test]
async fn a_websocket_passes_through_byte_by_byte() {
    let server = Server::start().await;
    let id = server.create().await;
    let mut client = Client::connect(server.address).await;
    let mut sent = request(Method::GET, &format!("/toolbox/{id}/switch"), Some(&server.key), "");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "X-Daytona-Pty-Exit-Control"),
    ] {
        sent.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = client.send(sent).await;
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.headers()["upgrade"], "websocket");
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    for text in ["a", "bytes \0\u{1}", "end"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text);
    }
    let heard = server.seen.heard(|_| true).await;
    assert!(heard.headers.contains(&pair("sec-websocket-protocol", "X-Daytona-Pty-Exit-Control")));
    assert!(heard.headers.contains(&pair("upgrade", "websocket")));
    drop(stream);
    client.hang_up().await;
    server.stop().await;
}

#[tokio::test]
async fn an_http2_tunnel_is_not_passed_on() {
    let server = Server::start().await;
    let id = server.create().await;
    let mut sent = request(Method::GET, &format!("/toolbox/{id}/hello"), Some(&server.key), "");
    for (name, value) in
        [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMA")]
    {
        sent.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(call(server.address, sent).await.status, StatusCode::OK);
    assert_eq!(server.seen.heard(|_| true).await.headers, [pair("host", "daemon")]);
}

#[tokio::test]
async fn what_only_the_server_may_ask_is_not_passed_on() {
    let server = Server::start().await;
    let id = server.create().await;
    for rest in ["/pitlane/cancel/x", "/x/../pitlane/cancel/x", "//pitlane/x", "/%70itlane/x"] {
        let path = format!("/toolbox/{id}{rest}");
        let answer =
            call(server.address, request(Method::POST, &path, Some(&server.key), "")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{rest}");
    }
    assert_eq!(server.seen.all(), []);
}

#[tokio::test]
async fn a_path_with_dots_stays_in_its_sandbox() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}/../../api/sandbox");
    let answer = call(server.address, request(Method::GET, &path, Some(&server.key), "")).await;
    assert_eq!(&*answer.body, b"hello");
    assert_eq!(server.seen.heard(|_| true).await.target, "/../../api/sandbox");
}

#[tokio::test]
async fn a_daemons_answer_cannot_pass_for_the_servers() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}/hostile");
    let answer = call(server.address, request(Method::GET, &path, Some(&server.key), "")).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::IM_A_TEAPOT, &b"<script>"[..]));
    assert!(!answer.headers.contains_key("set-cookie"));
    assert!(!answer.headers.contains_key("x-pitlane-request"));
    assert_ne!(answer.headers["x-request-id"], "forged");
    assert_eq!(answer.headers["content-security-policy"], "sandbox");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_request_that_is_two_requests_to_some_is_one_or_none_here() {
    let server = Server::start().await;
    let id = server.create().await;
    let head = format!(
        "POST /toolbox/{id}/count HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\nconnection: close\r\n",
        server.key
    );
    let hidden = "POST /pitlane/cancel/x HTTP/1.1\r\nhost: h\r\n\r\n";
    for framing in [
        format!("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: xchunked\r\ncontent-length: 0\r\n\r\n{hidden}"),
        format!("content-length: +0\r\n\r\n{hidden}"),
        format!("content-length : 0\r\n\r\n{hidden}"),
        format!("x: 1\r\n transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n{hidden}"),
    ] {
        let answer = raw(server.address, format!("{head}{framing}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 ") || answer.is_empty(), "{answer}");
    }
    for heard in server.seen.all() {
        assert_eq!(heard.target, "/count");
    }
}

#[tokio::test]
async fn a_toolbox_is_open_to_its_own_organization_alone() {
    let server = Server::start().await;
    let id = server.create().await;
    let stranger = server.other_organization();
    let path = format!("/toolbox/{id}/hello");
    let refused = call(server.address, request(Method::GET, &path, Some(&stranger), "")).await;
    let missing = format!("Sandbox with ID or name {id} not found");
    assert_eq!(refused.refusal(), (404, missing));
    let nobody = call(server.address, request(Method::GET, &path, None, "")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.seen.all(), []);
}

#[tokio::test]
async fn a_stopped_sandbox_says_what_to_do() {
    let server = Server::start().await;
    let id = server.create().await;
    let stop = format!("/api/sandbox/{id}/stop");
    assert_eq!(server.post(&stop, "").await.status, StatusCode::OK);
    let refused = server.get(&format!("/toolbox/{id}/hello")).await;
    assert_eq!(refused.refusal(), (400, format!("Sandbox {id} is stopped; start it")));
}
