//! Uploads and downloads.

use std::convert::Infallible;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::daemon::{Daemon, post, until};
use crate::execute::peak_memory_kib;

/// A form of fields: name, file name, contents.
fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, file, contents) in fields {
        form.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"").bytes());
        if let Some(file) = file {
            form.extend(format!("; filename=\"{file}\"\r\nContent-Type: text/odd").bytes());
        }
        form.extend(b"\r\n\r\n");
        form.extend(*contents);
        form.extend(b"\r\n");
    }
    form.extend(b"--B--\r\n");
    form
}

fn upload(target: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(target)
        .header("content-type", "multipart/form-data; boundary=B")
        .body(Full::from(body))
        .expect("a request")
}

async fn upload_many(daemon: &Daemon, body: Vec<u8>) -> (StatusCode, Value) {
    let (status, answer) = daemon.ask(upload("/files/bulk-upload", body)).await;
    (status, serde_json::from_slice(&answer).expect("JSON"))
}

#[tokio::test]
async fn fields_may_come_in_the_order_of_any_client() {
    let daemon = Daemon::start();
    // All paths first, as the Python client sends it.
    let paths_first = form(&[
        ("files[0].path", None, b"p/a"),
        ("files[1].path", None, "p/ä b".as_bytes()),
        ("files[0].file", Some("p/a"), b"one"),
        ("files[1].file", Some("p/b"), b""),
    ]);
    // In turns, as the TypeScript client does; here with the indices turned around, and a field of the future.
    let in_turns = form(&[
        ("files[7].path", None, b"t/a"),
        ("files[7].file", Some("a"), b"--B\r\r\n--"),
        ("files[7].mode", None, b"644"),
        ("files[0].path", None, b"t/b"),
        ("files[0].file", Some("b"), b"two"),
    ]);
    let wanted = json!({"files": [{"path": "p/a", "bytes": 3}, {"path": "p/ä b", "bytes": 0}]});
    assert_eq!(upload_many(&daemon, paths_first).await, (StatusCode::OK, wanted));
    let wanted = json!({"files": [{"path": "t/a", "bytes": 8}, {"path": "t/b", "bytes": 3}]});
    assert_eq!(upload_many(&daemon, in_turns).await, (StatusCode::OK, wanted));
    let texts = ["p/a", "p/ä b", "t/a", "t/b"].map(|name| daemon.text(name));
    assert_eq!(texts, ["one", "", "--B\r\r\n--", "two"]);
    let mode = std::fs::metadata(daemon.path("p/a")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[tokio::test]
async fn one_file_that_fails_does_not_stop_the_others() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("folder")).expect("a folder");
    let body = form(&[
        ("files[0].path", None, b"folder"),
        ("files[0].file", Some("x"), b"lost"),
        ("files[1].file", Some("x"), b"lost"),
        ("files[2].path", None, b"good"),
        ("files[2].file", Some("x"), b"kept"),
        ("files[3].path", None, b"promised"),
    ]);
    let wanted = json!({
        "errors": [
            "invalid path: folder: Is a directory (os error 21)",
            "files[1].file came without files[1].path before it",
            "files[3].path came without files[3].file after it",
        ],
        "files": [{"path": "good", "bytes": 4}],
    });
    assert_eq!(upload_many(&daemon, body).await, (StatusCode::BAD_REQUEST, wanted));
    assert_eq!(daemon.text("good"), "kept");
}

#[tokio::test]
async fn a_broken_upload_leaves_the_old_file_and_nothing_else() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("d")).expect("a folder");
    std::fs::write(daemon.path("d/a"), "old").expect("a file");
    let mut body = form(&[("files[0].path", None, b"d/a"), ("files[0].file", Some("a"), b"new")]);
    body.truncate(body.len() - 9);
    let (status, answer) = upload_many(&daemon, body).await;
    assert_eq!((status, &answer["files"]), (StatusCode::BAD_REQUEST, &json!([])));
    assert_eq!(daemon.text("d/a"), "old");
    until("nothing else is in the folder", || {
        std::fs::read_dir(daemon.path("d")).expect("a folder").count() == 1
    })
    .await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_the_old_file_and_nothing_else() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("d")).expect("a folder");
    std::fs::write(daemon.path("d/a"), "old").expect("a file");
    // What comes first says that the second has begun.
    let mut begun = form(&[
        ("files[0].path", None, b"first"),
        ("files[1].path", None, b"d/a"),
        ("files[2].path", None, b"d/new/inner/b"),
        ("files[0].file", Some("x"), b"1"),
        ("files[1].file", Some("a"), &[7; 600_000]),
    ]);
    begun.truncate(500_000);
    let entries = || std::fs::read_dir(daemon.path("d")).expect("a folder").count();
    let body = StreamBody::new(futures_util::stream::StreamExt::chain(
        futures_util::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(begun)))]),
        futures_util::stream::pending(),
    ));
    let request = Request::post("/files/bulk-upload")
        .header("content-type", "multipart/form-data; boundary=B")
        .body(body)
        .expect("a request");
    let mut connection = daemon.connect().await;
    let answer = connection.sender.send_request(request);
    tokio::select! {
        _ = answer => panic!("it was answered"),
        () = until("the upload has begun", || daemon.path("first").exists()) => {}
    }
    drop(connection);
    daemon.execute("true").await;
    assert_eq!(entries(), 1);
    assert_eq!(daemon.text("d/a"), "old");
}

#[tokio::test]
async fn a_file_that_is_replaced_keeps_its_mode_and_links_to_it_stay_links() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("real"), "old").expect("a file");
    std::fs::set_permissions(daemon.path("real"), std::fs::Permissions::from_mode(0o751))
        .expect("a mode");
    symlink("real", daemon.path("link")).expect("a link");
    let body = form(&[("files[0].path", None, b"link"), ("files[0].file", Some("x"), b"new")]);
    assert_eq!(upload_many(&daemon, body).await.0, StatusCode::OK);
    assert!(daemon.path("link").is_symlink());
    let mode = std::fs::metadata(daemon.path("real")).expect("a file").permissions().mode();
    assert_eq!((daemon.text("real").as_str(), mode & 0o7777), ("new", 0o751));
}

#[tokio::test]
async fn pipes_and_devices_are_neither_read_nor_written() {
    let daemon = Daemon::start();
    daemon.execute("mkfifo pipe").await;
    for path in ["pipe", "/dev/zero", "."] {
        let body =
            form(&[("files[0].path", None, path.as_bytes()), ("files[0].file", Some("x"), b"new")]);
        assert_eq!(upload_many(&daemon, body).await.0, StatusCode::BAD_REQUEST, "{path}");
        let (status, answer) = daemon.call("GET", &format!("/files/download?path={path}")).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID_FILE_PATH")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_old_ways_to_upload_one_file_still_work() {
    let daemon = Daemon::start();
    for target in ["/files/upload", "/files/upload-v2"] {
        let body = form(&[("other", None, b"x"), ("file", Some("x"), b"contents")]);
        let (status, answer) = daemon.ask(upload(&format!("{target}?path=n/a"), body)).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer, json!({"name": "a", "path": "n/a", "type": "file"}));
        assert_eq!(daemon.text("n/a"), "contents");
    }
}

#[tokio::test]
async fn downloads_are_framed_exactly() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("a"), "contents\n").expect("a file");
    std::fs::write(daemon.path("empty"), "").expect("a file");
    let body = json!({"paths": ["a", "missing", "empty"]});
    let (response, _connection) = daemon.send(post("/files/bulk-download", &body)).await;
    let form = response.headers()["content-type"].to_str().expect("text").to_owned();
    let boundary = form.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
    assert!(boundary.starts_with("DAYTONA-FILE-BOUNDARY-"), "{boundary}");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("text");
    let (before, rest) = text.split_once("{\"statusCode\":404").expect("an error");
    let (error, after) = rest.split_once('}').expect("the end of the error");
    let length = "{\"statusCode\":404".len() + error.len() + 1;
    assert_eq!(
        before,
        format!(
            "--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a\"; filename*=utf-8''a\r\n\
             Content-Length: 9\r\nContent-Type: application/octet-stream\r\n\r\ncontents\n\r\n\
             --{boundary}\r\n\
             Content-Disposition: form-data; name=\"error\"; filename=\"missing\"; \
             filename*=utf-8''missing\r\nContent-Length: {length}\r\n\
             Content-Type: application/json; charset=utf-8\r\n\r\n"
        )
    );
    assert!(
        error.contains("\"code\":\"FILE_NOT_FOUND\"") && error.contains("\"path\":\"missing\"")
    );
    assert_eq!(
        after,
        format!(
            "\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"empty\"; filename*=utf-8''empty\r\n\
         Content-Length: 0\r\nContent-Type: application/octet-stream\r\n\r\n\r\n\
         --{boundary}--\r\n"
        )
    );
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_cuts_the_answer_off() {
    let daemon = Daemon::start();
    let file = std::fs::File::options().write(true).create_new(true).open(daemon.path("a"));
    let file = file.expect("a file");
    file.set_len(64 << 20).expect("a size");
    for target in ["bulk", "one"] {
        file.set_len(64 << 20).expect("a size");
        let request = match target {
            "bulk" => post("/files/bulk-download", &json!({"paths": ["a"]})),
            _ => Request::get("/files/download?path=a").body(Full::default()).expect("a request"),
        };
        let (response, _connection) = daemon.send(request).await;
        let mut body = response.into_body();
        // The length was promised with the first piece at the latest.
        assert!(body.frame().await.is_some_and(|piece| piece.is_ok()));
        file.set_len(1 << 20).expect("a size");
        let body = body.collect().await;
        assert!(body.is_err(), "{target}: a shorter file was sent as if it were whole");
    }
}

#[tokio::test]
async fn large_files_go_both_ways_with_little_memory() {
    const PIECES: usize = 256;
    const PIECE: usize = 512 << 10;
    let daemon = Daemon::start();
    let head =
        b"--B\r\nContent-Disposition: form-data; name=\"files[0].path\"\r\n\r\nbig\r\n--B\r\n\
                 Content-Disposition: form-data; name=\"files[0].file\"; filename=\"big\"\r\n\r\n";
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let pieces = [Bytes::from_static(head)]
        .into_iter()
        .chain(std::iter::repeat_n(piece, PIECES))
        .chain([Bytes::from_static(b"\r\n--B--\r\n")])
        .map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let request = Request::post("/files/bulk-upload")
        .header("content-type", "multipart/form-data; boundary=B")
        .body(StreamBody::new(futures_util::stream::iter(pieces)))
        .expect("a request");
    let (response, _connection) = daemon.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let request = post("/files/bulk-download", &json!({"paths": ["big"]}));
    let (response, _connection) = daemon.send(request).await;
    let mut body = response.into_body();
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.expect("a piece").into_data().expect("data");
        count += data.iter().filter(|byte| **byte == b'x').count();
    }
    assert_eq!(count, PIECES * PIECE);
    let memory = peak_memory_kib(&daemon);
    assert!(memory < 40_000, "the daemon used {memory} KiB for {} KiB", PIECES * PIECE / 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_form_may_be_cut_anywhere(
        contents in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B')], 0..200,
        ),
        size in 1usize..60,
    ) {
        // What looks like the boundary would be one.
        prop_assume!(!contents.windows(5).any(|part| part == b"\r\n--B"));
        let body =
            form(&[("files[0].path", None, b"a"), ("files[0].file", Some("x"), &contents)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let daemon = Daemon::start();
            let pieces: Vec<_> = body
                .chunks(size)
                .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
                .collect();
            let request = Request::post("/files/bulk-upload")
                .header("content-type", "multipart/form-data; boundary=B")
                .body(StreamBody::new(futures_util::stream::iter(pieces)))
                .expect("a request");
            let (response, _connection) = daemon.send(request).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(std::fs::read(daemon.path("a")).expect("a file"), contents);
        });
    }
}

#[tokio::test]
async fn an_endless_head_of_a_part_is_refused_early() {
    let daemon = Daemon::start();
    let mut body = b"--B\r\nX-Long: ".to_vec();
    body.resize(8 << 20, b'a');
    let (status, answer) = upload_many(&daemon, body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let errors = answer["errors"][0].as_str().expect("a sentence");
    assert!(errors.ends_with("the head of a part is too long"), "{errors}");
    assert_eq!(daemon.execute("echo well").await, json!({"exitCode": 0, "result": "well\n"}));
}

#[tokio::test]
async fn a_form_is_read_to_the_end_of_its_message_so_that_its_connection_can_be_kept() {
    let daemon = Daemon::start();
    let mut connection = daemon.connect().await;
    for (target, name) in
        [("/files/bulk-upload", "files[0].file"), ("/files/upload?path=b", "file")]
    {
        let fields = [("files[0].path", None, &b"a"[..]), (name, Some("x"), &b"contents"[..])];
        let (pieces, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
        let body = futures_util::stream::unfold(body, |mut body| async {
            body.recv().await.map(|piece| (piece, body))
        });
        let request = Request::post(target)
            .header("host", "daemon")
            .header("content-type", "multipart/form-data; boundary=B")
            .body(StreamBody::new(Box::pin(body)))
            .expect("a request");
        connection.sender.ready().await.expect("the connection was kept");
        let answer = connection.sender.send_request(request);
        let sending = async {
            pieces.send(Ok(Frame::data(form(&fields).into()))).await.expect("a reader");
            // What follows the last boundary comes later and means nothing.
            until("the file", || daemon.path("a").exists()).await;
            pieces.send(Ok(Frame::data(Bytes::from_static(b"epilogue")))).await.expect("a reader");
            drop(pieces);
        };
        let (answer, ()) = tokio::join!(answer, sending);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{target}");
        answer.into_body().collect().await.expect("a body");
    }
}
