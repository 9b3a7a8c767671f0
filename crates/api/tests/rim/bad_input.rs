//! Input that makes no sense: it is refused in JSON, and nothing changes.

use http::{Method, Request, StatusCode};
use proptest::arbitrary::any;
use proptest::sample::Index;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::http::{call, request};
use crate::raw::{self, Wire, ask, head};
use crate::server::Server;

/// Sends a body to where sandboxes are made.
async fn create(server: &Server, body: Vec<u8>) -> (u16, String) {
    let sent = request(Method::POST, "/api/sandbox", Some(&server.key), body);
    call(server.address, sent).await.refusal()
}

#[tokio::test]
async fn what_is_no_json_object_makes_no_sandbox() {
    let server = Server::start().await;
    let deep = |open: &str, close: &str| {
        format!("{{\"x\":{}{}}}", open.repeat(10_000), close.repeat(10_000)).into_bytes()
    };
    for body in [
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"{\"name\":}".to_vec(),
        b"{\"name\":\"a\",}".to_vec(),
        b"{'name':'a'}".to_vec(),
        b"{}{}".to_vec(),
        b"{} x".to_vec(),
        b"[]".to_vec(),
        b"[{}]".to_vec(),
        b"\"{}\"".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"name\":\"\xff\"}".to_vec(),
        b"{\"name\":\"\xc3\"}".to_vec(),
        b"{\"name\":\"a\0b\"}".to_vec(),
        b"{\"name\":\"\\ud800\"}".to_vec(),
        b"\0{}".to_vec(),
        "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        deep("[", "]"),
        deep("{\"x\":", "1}"),
        b"[".repeat(10_000),
    ] {
        let text = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        let (status, message) = create(&server, body).await;
        assert_eq!(status, 400, "{text}: {message}");
        assert!(message.starts_with("the body "), "{text}: {message}");
        assert!(message.len() < 400, "{text}: {message}");
    }
    assert_eq!(raw::sandboxes(&server).await, 0);
}

#[tokio::test]
async fn values_of_a_wrong_kind_or_size_make_no_sandbox() {
    let server = Server::start().await;
    let long = "x".repeat(10_000);
    for body in [
        r#"{"name":1}"#.to_owned(),
        r#"{"name":["a"]}"#.to_owned(),
        r#"{"name":"a\u0000b"}"#.to_owned(),
        r#"{"name":"a\nb"}"#.to_owned(),
        format!(r#"{{"name":"{long}"}}"#),
        format!(r#"{{"snapshot":"{long}"}}"#),
        format!(r#"{{"user":"{long}"}}"#),
        r#"{"snapshot":"../../etc/passwd"}"#.to_owned(),
        r#"{"labels":[]}"#.to_owned(),
        r#"{"labels":{"a":1}}"#.to_owned(),
        r#"{"labels":{"a":null}}"#.to_owned(),
        r#"{"env":"A=1"}"#.to_owned(),
        r#"{"env":{"A=B":"1"}}"#.to_owned(),
        r#"{"env":{"":"1"}}"#.to_owned(),
        r#"{"env":{"A":"\u0000"}}"#.to_owned(),
        r#"{"cpu":{}}"#.to_owned(),
        r#"{"cpu":-1}"#.to_owned(),
        r#"{"cpu":0}"#.to_owned(),
        r#"{"cpu":1.5}"#.to_owned(),
        r#"{"cpu":1e400}"#.to_owned(),
        r#"{"cpu":NaN}"#.to_owned(),
        r#"{"cpu":0x10}"#.to_owned(),
        r#"{"cpu":4294967297}"#.to_owned(),
        r#"{"memory":18446744073709551617}"#.to_owned(),
        r#"{"disk":99999999999999999999999999}"#.to_owned(),
        r#"{"autoStopInterval":-1}"#.to_owned(),
        r#"{"autoStopInterval":9223372036854775808}"#.to_owned(),
        r#"{"autoStopInterval":9223372036854775807}"#.to_owned(),
        r#"{"public":"maybe"}"#.to_owned(),
        r#"{"name":"a","name":"b"}"#.to_owned(),
        r#"{"cpu":1,"cpu":2}"#.to_owned(),
    ] {
        let (status, message) = create(&server, body.clone().into_bytes()).await;
        assert_eq!(status, 400, "{body}: {message}");
        assert!(message.len() < 400, "{body}: {message}");
    }
    assert_eq!(raw::sandboxes(&server).await, 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    for framing in [
        "content-length: 1048577\r\n",
        "content-length: 9223372036854775807\r\n",
        "content-length: 1048577\r\nexpect: 100-continue\r\n",
    ] {
        let sent = head(&server, "POST /api/sandbox HTTP/1.1", framing);
        let told = ask(&server, sent.as_bytes()).await.unwrap();
        let wanted = (413, "the body is larger than 1048576 bytes".to_owned());
        assert_eq!((told.status, told.message()), wanted, "{framing}");
    }
    // In chunks, nobody knows before.
    let mut sent =
        head(&server, "POST /api/sandbox HTTP/1.1", "transfer-encoding: chunked\r\n").into_bytes();
    for _ in 0..32 {
        sent.extend_from_slice(b"10000\r\n");
        sent.extend(std::iter::repeat_n(b' ', 0x10000));
        sent.extend_from_slice(b"\r\n");
    }
    assert_eq!(ask(&server, &sent).await.unwrap().status, 413);
    assert_eq!(raw::sandboxes(&server).await, 0);
}

#[tokio::test]
async fn paths_and_queries_that_name_nothing_find_nothing() {
    let server = Server::start().await;
    let id = server.create().await;
    let long = "x".repeat(10_000);
    let upper = id.to_uppercase();
    for (path, statuses) in [
        (format!("/api/sandbox/{long}"), &[404][..]),
        ("/api/sandbox/a%2Fb".to_owned(), &[404]),
        ("/api/sandbox/..%2f..%2fetc".to_owned(), &[404]),
        (format!("/api/sandbox/../sandbox/{id}"), &[404]),
        (format!("/api/./sandbox/{id}"), &[404]),
        (format!("/api//sandbox/{id}"), &[404]),
        (format!("/api/sandbox//{id}"), &[404]),
        (format!("/api/sandbox/{id};x=1"), &[404]),
        (format!("/api/sandbox/{id}%00"), &[404]),
        ("/api/sandbox/%00".to_owned(), &[404]),
        ("/api/sandbox/%zz".to_owned(), &[400, 404]),
        ("/api/sandbox/%ff".to_owned(), &[400]),
        ("/api/sandbox/%".to_owned(), &[400, 404]),
        ("/api/sandbox/00000000-0000-0000-0000-000000000000".to_owned(), &[404]),
        ("/api/sandbox/-1".to_owned(), &[404]),
        ("/api/sandbox/'%20or%201=1--".to_owned(), &[404]),
        ("/api/snapshots/%00".to_owned(), &[404]),
        ("/api/api-keys/%00".to_owned(), &[404]),
        ("/API/sandbox".to_owned(), &[404]),
        ("/toolbox".to_owned(), &[404]),
        ("/toolbox/".to_owned(), &[404]),
        (format!("/toolbox/{long}/files"), &[404]),
        (format!("/toolbox/{id}%2Ffiles"), &[404]),
        (format!("/toolbox/{id}%00/files"), &[404]),
        ("/api/sandbox?limit=-1".to_owned(), &[400]),
        ("/api/sandbox?limit=99999999999999999999".to_owned(), &[400]),
        ("/api/sandbox?limit=1e3".to_owned(), &[400]),
        ("/api/sandbox?cursor=garbage".to_owned(), &[400]),
        (format!("/api/sandbox?cursor={long}"), &[400]),
        ("/api/sandbox?sort=owner".to_owned(), &[400]),
        ("/api/sandbox?labels=%7B".to_owned(), &[400]),
        ("/api/sandbox/paginated?page=-1".to_owned(), &[400]),
        ("/api/sandbox/paginated?page=18446744073709551616".to_owned(), &[400]),
    ] {
        let sent = request(Method::GET, &path, Some(&server.key), "");
        let answer = call(server.address, sent).await;
        let shown: String = path.chars().take(60).collect();
        assert!(answer.status.is_client_error(), "{shown}: {answer:?}");
        let (status, message) = answer.refusal();
        assert!(statuses.contains(&status), "{shown}: {status} {message}");
    }
    let wanted = server.get(&format!("/api/sandbox/{id}")).await;
    assert_eq!(wanted.status, StatusCode::OK);
    // An id is an id however it is written.
    let shouted = server.get(&format!("/api/sandbox/{upper}")).await;
    assert!(matches!(shouted.status, StatusCode::OK | StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_heads_are_refused() {
    let server = Server::start().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "x".repeat(1024 * 1024));
    let above = format!("x: {0}\r\ny: {0}\r\n", "x".repeat(33 * 1024));
    let path = format!("GET /api/{} HTTP/1.1", "x".repeat(1024 * 1024));
    for (first, rest, statuses) in [
        ("GET /api/health HTTP/1.1", many.as_str(), &[431][..]),
        ("GET /api/health HTTP/1.1", large.as_str(), &[431]),
        ("GET /api/health HTTP/1.1", above.as_str(), &[431]),
        (path.as_str(), "", &[414, 431]),
        ("GET /api/health HTTP/1.1", "x\0y: 1\r\n", &[400]),
        ("GET /api/health HTTP/1.1", "x: a\0b\r\n", &[400]),
        ("GET /api/health HTTP/1.1", "x : 1\r\n", &[400]),
        ("GET /api/health HTTP/1.1", ": 1\r\n", &[400]),
        ("GET /api/health HTTP/1.1", "x\r\n", &[400]),
        ("GET /api/health HTTP/1.1", "x: a\rb: c\r\n", &[400]),
        ("GET /api/h\x01ealth HTTP/1.1", "", &[400]),
        ("GET /api/health HTTP/1.1 ", "", &[400]),
        ("GET /api/health HTTP/9.9", "", &[400, 505]),
        ("GET /api/health", "", &[400]),
        ("PRI * HTTP/2.0", "", &[400, 505]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}", "", &[400]),
        ("GET  /api/health HTTP/1.1", "", &[400]),
        ("GET /api/hea lth HTTP/1.1", "", &[400]),
        ("G\u{e9}T /api/health HTTP/1.1", "", &[400]),
    ] {
        let told = ask(&server, head(&server, first, rest).as_bytes()).await.unwrap();
        let shown: String = format!("{first:?} {rest:?}").chars().take(80).collect();
        assert!(statuses.contains(&told.status), "{shown}: {told:?}");
    }
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn methods_and_credentials_that_nobody_knows_are_refused_in_words() {
    let server = Server::start().await;
    for (method, path, status) in [
        ("BREW", "/api/sandbox", 405),
        ("TRACE", "/api/sandbox", 405),
        ("OPTIONS", "/api/sandbox", 405),
        ("PUT", "/api/health", 405),
        ("PROPFIND", "/", 404),
    ] {
        let sent = request(method.parse().unwrap(), path, Some(&server.key), "");
        assert_eq!(call(server.address, sent).await.refusal().0, status, "{method} {path}");
    }
    let long = format!("Bearer {}", "x".repeat(60_000));
    for value in [
        &b"Bearer \xff\xfe"[..],
        b"Bearer",
        b"Bearer ",
        b"Basic YTpi",
        b"Bearer a b",
        long.as_bytes(),
    ] {
        let sent = Request::get("/api/sandbox").header("authorization", value);
        let answer = call(server.address, sent.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.refusal().0, 401, "{value:?}");
    }
}

#[tokio::test]
async fn no_damage_to_a_requests_bytes_is_taken_for_a_failure_of_the_server() {
    let server = Server::start().await;
    let id = server.create().await;
    let body = r#"{"name":"a","labels":{"b":"c"},"env":{"D":"e"}}"#;
    let framing = format!("content-length: {}\r\n", body.len());
    let chunked = format!("transfer-encoding: chunked\r\n\r\n2f\r\n{body}\r\n0\r\n\r\n");
    let intact = [
        format!("{}{body}", head(&server, "POST /api/sandbox HTTP/1.1", &framing)),
        format!("{}{body}", head(&server, &format!("PUT /toolbox/{id}/count HTTP/1.1"), &framing)),
        head(&server, "GET /api/sandbox?limit=3&labels=%7B%22a%22%3A%22b%22%7D HTTP/1.1", ""),
        head(&server, "POST /api/sandbox HTTP/1.1", "").trim_end().to_owned() + "\r\n" + &chunked,
    ];
    let mut runner = TestRunner::deterministic();
    let edit = (any::<Index>(), any::<u8>(), 0..3_u8);
    let damage = (any::<Index>(), proptest::collection::vec(edit, 1..4));
    for _ in 0..400 {
        let (which, edits) = damage.new_tree(&mut runner).unwrap().current();
        let mut bytes = which.get(&intact).clone().into_bytes();
        for (place, byte, kind) in edits {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        let mut wire = Wire::connect(server.address).await;
        wire.say(&bytes).await;
        // What is still missing does not come: it is cut off instead of being waited for.
        wire.shut().await;
        if let Some(told) = wire.answer().await {
            assert!(told.status < 500, "{told:?} to {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    assert_eq!(server.get("/api/health").await.status, StatusCode::OK);
    server.stop().await;
}
