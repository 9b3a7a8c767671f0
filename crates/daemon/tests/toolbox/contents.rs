//! What is in files: parts of them, files that are not as they seem, and text.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::daemon::{Daemon, post, until};
use crate::execute::peak_memory_kib;

async fn get(daemon: &Daemon, target: &str, range: Option<&str>) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = Request::get(target);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let (response, _connection) = daemon.send(request).await;
    let (head, body) = response.into_parts();
    (head.status, head.headers, body.collect().await.expect("a whole body").to_bytes())
}

#[tokio::test]
async fn a_part_of_a_file_can_be_asked_for() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("a"), "0123456789").expect("a file");
    let target = "/files/download?path=a";
    for (range, status, body, said) in [
        (None, 200, "0123456789", None),
        (Some("bytes=2-4"), 206, "234", Some("bytes 2-4/10")),
        (Some("bytes=7-"), 206, "789", Some("bytes 7-9/10")),
        (Some("bytes=-2"), 206, "89", Some("bytes 8-9/10")),
        (Some("bytes=0-1,5-6"), 200, "0123456789", None),
    ] {
        let (got, headers, bytes) = get(&daemon, target, range).await;
        let said_range = headers.get("content-range").map(|value| value.to_str().expect("text"));
        assert_eq!((got.as_u16(), bytes.as_ref(), said_range), (status, body.as_bytes(), said));
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
    }
    let (status, headers, body) = get(&daemon, target, Some("bytes=10-")).await;
    assert_eq!(
        (status.as_u16(), &headers["content-range"]),
        (416, &"bytes */10".parse().expect("text"))
    );
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["statusCode"], 416);
}

#[tokio::test]
async fn files_without_a_length_are_sent_whole() {
    let daemon = Daemon::start();
    let (status, headers, body) = get(&daemon, "/files/download?path=/proc/version", None).await;
    let wanted = std::fs::read("/proc/version").expect("a file");
    assert_eq!((status, body.as_ref()), (StatusCode::OK, wanted.as_slice()));
    assert_eq!(headers["content-length"], wanted.len().to_string().as_str());
    let (_, form) =
        daemon.ask(post("/files/bulk-download", &json!({"paths": ["/proc/version"]}))).await;
    let text = String::from_utf8_lossy(&form).into_owned();
    assert!(text.contains(&format!("Content-Length: {}\r\n", wanted.len())), "{text}");
}

#[tokio::test]
async fn a_pipe_is_refused_without_waking_its_writer() {
    let daemon = Daemon::start();
    daemon.execute("mkfifo pipe").await;
    // The writer waits for a reader; a reader that comes and goes would end it.
    daemon.execute("(echo text > pipe; echo $? > written) >/dev/null 2>&1 &").await;
    for target in ["download", "find", "info"] {
        let (status, answer) =
            daemon.call("GET", &format!("/files/{target}?path=pipe&pattern=x")).await;
        let wanted = if target == "info" { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, wanted, "{target}: {answer}");
    }
    assert_eq!(daemon.execute("cat pipe").await["result"], "text\n");
    until("the writer has ended well", || {
        std::fs::read_to_string(daemon.path("written")).is_ok_and(|text| text == "0\n")
    })
    .await;
}

#[tokio::test]
async fn holes_of_a_file_are_sent_as_zeros() {
    let daemon = Daemon::start();
    daemon.execute("truncate -s 3M holes; printf end >> holes").await;
    let (_, _, body) = get(&daemon, "/files/download?path=holes", None).await;
    assert_eq!((body.len(), &body[body.len() - 3..]), ((3 << 20) + 3, &b"end"[..]));
    assert!(body[..3 << 20].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_file_that_vanishes_or_grows_while_it_is_sent_is_sent_as_it_was() {
    const LENGTH: usize = 16 << 20;
    let daemon = Daemon::start();
    for change in ["rm file", "cat file file > more && cat more > file", "mv file away"] {
        std::fs::write(daemon.path("file"), vec![b'x'; LENGTH]).expect("a file");
        let request = Request::get("/files/download?path=file").body(Full::<Bytes>::default());
        let (response, _connection) = daemon.send(request.expect("a request")).await;
        let mut body = response.into_body();
        assert!(body.frame().await.is_some_and(|piece| piece.is_ok()));
        daemon.execute(change).await;
        let rest = body.collect().await.expect("a whole body").to_bytes();
        assert!(rest.len() > LENGTH / 2 && rest.len() < LENGTH, "{change}: {}", rest.len());
    }
}

#[tokio::test]
async fn many_slow_downloads_hold_no_thread_and_little_memory() {
    const CLIENTS: usize = 300;
    let daemon = Daemon::start();
    std::fs::write(daemon.path("file"), vec![b'x'; 4 << 20]).expect("a file");
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let request = Request::get("/files/download?path=file").body(Full::<Bytes>::default());
        waiting.push(daemon.send(request.expect("a request")).await);
    }
    // Nobody reads on, and everything else goes on.
    let (_, info) = daemon.call("GET", "/files/info?path=file").await;
    assert_eq!(info["size"], 4 << 20);
    assert_eq!(daemon.execute("echo well").await["result"], "well\n");
    let mut readers = JoinSet::new();
    for (response, connection) in waiting {
        readers.spawn(async move {
            let body = response.into_body().collect().await.expect("a whole body").to_bytes();
            drop(connection);
            body.len()
        });
    }
    while let Some(length) = readers.join_next().await {
        assert_eq!(length.expect("a reader"), 4 << 20);
    }
    let memory = peak_memory_kib(&daemon);
    assert!(memory < 150 * 1024, "the daemon used {memory} KiB for {CLIENTS} clients");
}

#[tokio::test]
async fn text_is_found_in_lines_of_any_length_and_not_in_binary_files() {
    let daemon = Daemon::start();
    let long = format!("{}needle\r\nsecond needle\n\nlast", "x".repeat(2_000_000));
    std::fs::write(daemon.path("long"), long).expect("a file");
    std::fs::write(daemon.path("binary"), b"\0needle").expect("a file");
    std::fs::write(daemon.path("latin"), b"\xE4 needle .*").expect("a file");
    let (_, found) = daemon.call("GET", "/files/find?path=.&pattern=needle").await;
    let wanted = json!([
        {"file": daemon.path("latin"), "line": 1, "content": "\u{FFFD} needle .*"},
        {"file": daemon.path("long"), "line": 1, "content": "x".repeat(65_536)},
        {"file": daemon.path("long"), "line": 2, "content": "second needle"},
    ]);
    assert_eq!(found, wanted);
    // A pattern is a text, not an expression.
    let (_, found) = daemon.call("GET", "/files/find?path=latin&pattern=.*").await;
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let (_, found) = daemon.call("GET", "/files/find?path=latin&pattern=n.edle").await;
    assert_eq!(found, json!([]));
}

#[tokio::test]
async fn text_is_replaced_in_files_of_any_kind_and_length() {
    let daemon = Daemon::start();
    let mut contents = vec![b'x'; 700_000];
    contents.extend(b"\0\xFFabcabc");
    contents.extend(vec![b'y'; 300_000]);
    contents.extend(b"abcab");
    std::fs::write(daemon.path("file"), &contents).expect("a file");
    daemon.execute("chmod 640 file; ln -s file link; touch -d @1 untouched").await;
    let before = std::fs::metadata(daemon.path("untouched")).expect("a file").modified();
    let change = json!({"files": ["link", "untouched", "."], "pattern": "abc", "newValue": "-"});
    let (status, results) = daemon.post("/files/replace", &change).await;
    let wanted = json!([
        {"file": "link", "success": true},
        {"file": "untouched", "success": true},
        {"file": ".", "success": false, "error": "invalid path: .: Is a directory (os error 21)"},
    ]);
    assert_eq!((status, results), (StatusCode::OK, wanted));
    let mut wanted = vec![b'x'; 700_000];
    wanted.extend(b"\0\xFF--");
    wanted.extend(vec![b'y'; 300_000]);
    wanted.extend(b"-ab");
    assert!(std::fs::read(daemon.path("file")).expect("a file") == wanted);
    let mode = daemon.execute("stat -c %a file; readlink link").await;
    assert_eq!(mode["result"], "640\nfile\n");
    let after = std::fs::metadata(daemon.path("untouched")).expect("a file").modified();
    assert_eq!(before.expect("a time"), after.expect("a time"));
    for body in [
        json!({"files": ["file"], "pattern": "", "newValue": "x"}),
        json!({"files": "file", "pattern": "a", "newValue": "x"}),
        json!({"files": vec![""; 10_001], "pattern": "a", "newValue": "x"}),
    ] {
        assert_eq!(daemon.post("/files/replace", &body).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_request_for_endlessly_many_files_is_refused_before_it_costs_memory() {
    let daemon = Daemon::start();
    let body = format!("{{\"paths\":[{}\"\"]}}", "\"\",".repeat(4 << 20));
    let request = Request::post("/files/bulk-download").body(Full::from(body)).expect("a request");
    let (status, _) = daemon.ask(request).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let body = json!({"paths": vec![""; 100_001]});
    assert_eq!(daemon.post("/files/bulk-download", &body).await.0, StatusCode::BAD_REQUEST);
    assert!(peak_memory_kib(&daemon) < 60_000, "{} KiB", peak_memory_kib(&daemon));
}
