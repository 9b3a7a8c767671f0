//! Requests that two programs could read in two ways.

use http::StatusCode;

use crate::raw::{self, Wire, ask, head};
use crate::server::Server;

/// What would be done if someone took the rest of a body for a request.
const HIDDEN: &str = "POST /pitlane/cancel/x HTTP/1.1\r\nhost: h\r\n\r\n";

#[tokio::test]
async fn a_body_whose_end_is_told_in_two_ways_reaches_nobody() {
    let server = Server::start().await;
    let id = server.create().await;
    let length = HIDDEN.len();
    for (framing, body) in [
        (format!("content-length: 0\r\ncontent-length: {length}\r\n"), HIDDEN.to_owned()),
        (format!("content-length: {length}, 0\r\n"), HIDDEN.to_owned()),
        ("content-length: -1\r\n".to_owned(), HIDDEN.to_owned()),
        ("content-length: +5\r\n".to_owned(), HIDDEN.to_owned()),
        ("content-length: 0x5\r\n".to_owned(), HIDDEN.to_owned()),
        ("content-length: 5 5\r\n".to_owned(), HIDDEN.to_owned()),
        ("content-length:\r\n".to_owned(), HIDDEN.to_owned()),
        ("content-length: 18446744073709551616\r\n".to_owned(), HIDDEN.to_owned()),
        ("transfer-encoding: chunked, identity\r\n".to_owned(), format!("0\r\n\r\n{HIDDEN}")),
        ("transfer-encoding: identity\r\n".to_owned(), HIDDEN.to_owned()),
        ("transfer-encoding: xchunked\r\n".to_owned(), HIDDEN.to_owned()),
        ("transfer-encoding: chunked\x0b\r\n".to_owned(), format!("0\r\n\r\n{HIDDEN}")),
        ("transfer-encoding : chunked\r\n".to_owned(), format!("0\r\n\r\n{HIDDEN}")),
        ("x: 1\r\n transfer-encoding: chunked\r\n".to_owned(), format!("0\r\n\r\n{HIDDEN}")),
        (" transfer-encoding: chunked\r\n".to_owned(), format!("0\r\n\r\n{HIDDEN}")),
    ] {
        for path in ["/api/sandbox".to_owned(), format!("/toolbox/{id}/count")] {
            let first = format!("POST {path} HTTP/1.1");
            let sent = format!("{}{body}", head(&server, &first, &framing));
            let told = ask(&server, sent.as_bytes()).await.unwrap();
            assert_eq!(told.status, 400, "{path} {framing:?}: {told:?}");
        }
    }
    assert_eq!(server.seen.all(), []);
    assert_eq!(raw::sandboxes(&server).await, 1);
}

#[tokio::test]
async fn of_a_length_and_chunks_the_chunks_count_and_the_connection_ends() {
    let server = Server::start().await;
    let id = server.create().await;
    let framing = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
    let first = format!("POST /toolbox/{id}/count HTTP/1.1");
    let sent = format!("{}5\r\nhello\r\n0\r\n\r\n{HIDDEN}", head(&server, &first, framing));
    let mut wire = Wire::connect(server.address).await;
    wire.say(sent.as_bytes()).await;
    let told = wire.answer().await.unwrap();
    assert!(matches!(told.status, 200 | 400), "{told:?}");
    // Whatever came behind it is nobody's request, or one of its own for the rim, which has no such path.
    if let Some(second) = wire.answer().await {
        assert!(matches!(second.status, 400 | 401 | 404), "{second:?}");
    }
    let targets: Vec<String> = server.seen.all().into_iter().map(|heard| heard.target).collect();
    assert!(targets.iter().all(|target| target == "/count"), "{targets:?}");
}

#[tokio::test]
async fn chunks_that_are_none_end_the_request() {
    let server = Server::start().await;
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    for chunks in [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2\n{}\n0\n\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}XX0\r\n\r\n",
        extension.as_str(),
    ] {
        let rest = "transfer-encoding: chunked\r\n";
        let sent = format!("{}{chunks}", head(&server, "POST /api/sandbox HTTP/1.1", rest));
        let mut wire = Wire::connect(server.address).await;
        wire.say(sent.as_bytes()).await;
        wire.shut().await;
        let told = wire.answer().await;
        let shown: String = chunks.chars().take(40).collect();
        assert!(told.as_ref().is_none_or(|told| told.status == 400), "{shown:?}: {told:?}");
    }
    assert_eq!(raw::sandboxes(&server).await, 0);
}

#[tokio::test]
async fn extensions_and_trailers_of_chunks_go_no_further() {
    let server = Server::start().await;
    let id = server.create().await;
    let first = format!("POST /toolbox/{id}/count HTTP/1.1");
    let rest =
        "transfer-encoding: chunked\r\ntrailer: x-daytona-preview-token, x-pitlane-request\r\n";
    let chunks =
        "5;a=b\r\nhello\r\n0\r\nx-daytona-preview-token: s\r\nx-pitlane-request: forged\r\n\r\n";
    let sent = format!("{}{chunks}", head(&server, &first, rest));
    let told = ask(&server, sent.as_bytes()).await.unwrap();
    assert_eq!((told.status, &*told.body), (200, "5"));
    let heard = server.seen.heard(|_| true).await;
    let names: Vec<&str> = heard.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["host", "transfer-encoding"]);
    assert_ne!(heard.id.as_deref(), Some("forged"));
}

#[tokio::test]
async fn requests_in_one_breath_are_answered_in_their_order() {
    let server = Server::start().await;
    let one = |path: &str| head(&server, &format!("GET {path} HTTP/1.1"), "");
    let sent: String =
        ["/api/health", "/api/nowhere", "/api/config", "/api/sandbox/x"].map(one).concat();
    let mut wire = Wire::connect(server.address).await;
    wire.say(sent.as_bytes()).await;
    for status in [200, 404, 200, 404] {
        assert_eq!(wire.answer().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_host_that_the_operator_did_not_give_is_repeated_as_an_address_of_toolboxes_alone() {
    let server = Server::start().await;
    let ask_as = async |target: &str, hosts: &str| {
        let sent = format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        ask(&server, sent.as_bytes()).await.unwrap()
    };
    for hosts in [
        "",
        "host: \r\n",
        "host: evil.example/path\r\n",
        "host: user@evil.example\r\n",
        "host: evil.example:80:80\r\n",
        "host: evil.example\"onload=x\r\n",
        "host: <script>\r\n",
        "host: a.example\r\nhost: b.example\r\n",
        "host: a.example, b.example\r\n",
    ] {
        let told = ask_as("/api/config", hosts).await;
        assert_eq!(told.status, 400, "{hosts:?}: {told:?}");
        assert!(!told.body.contains("example") && !told.body.contains("script"), "{told:?}");
    }
    // Neither a target with a host in it nor a header that proxies set is believed.
    for (target, more) in [
        ("http://evil.example/api/config", ""),
        ("/api/config", "x-forwarded-host: evil.example\r\n"),
        ("/api/config", "forwarded: host=evil.example\r\n"),
        ("/api/config", "x-original-host: evil.example\r\nx-forwarded-proto: https\r\n"),
    ] {
        let told = ask_as(target, &format!("host: pit.test\r\n{more}")).await;
        assert_eq!(told.status, 200, "{target} {more}");
        assert!(told.body.contains("http://pit.test/toolbox"), "{told:?}");
        assert!(!told.body.contains("evil"), "{told:?}");
    }
}

#[tokio::test]
async fn nobody_gets_a_tunnel() {
    let server = Server::start().await;
    let id = server.create().await;
    for (first, rest) in [
        ("CONNECT 127.0.0.1:22 HTTP/1.1".to_owned(), ""),
        ("CONNECT /api/health HTTP/1.1".to_owned(), ""),
        (format!("CONNECT /toolbox/{id}/hello HTTP/1.1"), ""),
        ("OPTIONS * HTTP/1.1".to_owned(), ""),
        ("GET http://127.0.0.1:22/ HTTP/1.1".to_owned(), ""),
        ("GET //127.0.0.1:22/ HTTP/1.1".to_owned(), ""),
    ] {
        let told = ask(&server, head(&server, &first, rest).as_bytes()).await.unwrap();
        assert!((400..500).contains(&told.status), "{first}: {told:?}");
    }
    let upgrade = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n";
    let sent = head(&server, "GET /api/health HTTP/1.1", upgrade);
    assert_eq!(ask(&server, sent.as_bytes()).await.unwrap().status, 200);
    assert_eq!(server.seen.all(), []);
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
}
