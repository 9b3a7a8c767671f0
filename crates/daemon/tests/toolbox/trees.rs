//! Folders that are large, deep, odd or in the middle of a change.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde_json::{Value, json};

use crate::daemon::{Daemon, until};
use crate::execute::peak_memory_kib;

/// Deeper than any path is long.
const DEEP: usize = 10_000;

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Makes folders called `d` in each other, and a file in every hundredth.
fn make_deep(above: &Path, depth: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = openat(CWD, above, flags, Mode::empty()).expect("a folder");
    for level in 0..depth {
        mkdirat(&folder, c"d", Mode::from_raw_mode(0o755)).expect("a folder");
        folder = openat(&folder, c"d", flags, Mode::empty()).expect("a folder");
        if level % 100 == 0 {
            let flags = OFlags::WRONLY | OFlags::CREATE;
            openat(&folder, c"file", flags, Mode::from_raw_mode(0o644)).expect("a file");
        }
    }
}

#[tokio::test]
async fn a_very_deep_tree_is_searched_listed_and_removed() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("deep")).expect("a folder");
    make_deep(&daemon.path("deep"), DEEP);
    let (status, found) = daemon.call("GET", "/files/search?path=deep&pattern=file").await;
    assert_eq!(
        (status, found["files"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(DEEP / 100))
    );
    let (status, listed) = daemon.call("GET", "/files?path=deep&depth=3000").await;
    let listed = listed.as_array().expect("a list").len();
    assert_eq!((status, listed), (StatusCode::OK, 3000 + 30));
    let (status, found) = daemon.call("GET", "/files/find?path=deep&pattern=x").await;
    assert_eq!((status, found), (StatusCode::OK, json!([])));
    let (status, _) = daemon.call("DELETE", "/files?path=deep&recursive=true").await;
    assert_eq!((status, daemon.path("deep").exists()), (StatusCode::NO_CONTENT, false));
    assert!(peak_memory_kib(&daemon) < 60_000, "{} KiB", peak_memory_kib(&daemon));
}

#[tokio::test]
async fn a_path_of_two_thousand_folders_is_made_at_once() {
    let daemon = Daemon::start();
    let path = "a/".repeat(1990);
    let (status, _) = daemon.call("POST", &format!("/files/folder?path={path}&mode=700")).await;
    assert_eq!((status, daemon.path(&path).is_dir()), (StatusCode::CREATED, true));
    let (status, answer) =
        daemon.call("POST", &format!("/files/folder?path={}", "a/".repeat(2100))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_FILE_PATH")));
    let (status, _) = daemon.call("DELETE", "/files?path=a&recursive=true").await;
    assert_eq!((status, daemon.path("a").exists()), (StatusCode::NO_CONTENT, false));
}

#[tokio::test]
async fn a_large_folder_is_listed_in_order_and_removed_with_little_memory() {
    const FILES: usize = 60_000;
    let daemon = Daemon::start();
    let name = |number: usize| format!("{number:06}-{}", "n".repeat(20));
    std::fs::create_dir(daemon.path("large")).expect("a folder");
    for number in 0..FILES {
        std::fs::write(daemon.path("large").join(name(number)), "").expect("a file");
    }
    let (status, listed) = daemon.call("GET", "/files?path=large").await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|info| info["name"].as_str())
        .collect();
    assert_eq!(names, (0..FILES).map(name).collect::<Vec<_>>());
    let (_, found) = daemon.call("GET", "/files/search?path=large&pattern=*9999-n*").await;
    assert_eq!(found["files"].as_array().map(Vec::len), Some(FILES / 10_000));
    let (status, _) = daemon.call("DELETE", "/files?path=large&recursive=true").await;
    assert_eq!((status, daemon.path("large").exists()), (StatusCode::NO_CONTENT, false));
    assert!(peak_memory_kib(&daemon) < 40_000, "{} KiB", peak_memory_kib(&daemon));
}

#[tokio::test]
async fn a_search_ends_when_its_client_leaves() {
    let daemon = Daemon::start();
    for folder in 0..50 {
        std::fs::create_dir(daemon.path(&folder.to_string())).expect("a folder");
        for file in 0..40 {
            let file = daemon.path(&format!("{folder}/{file}"));
            std::fs::write(file, "a\n".repeat(50_000)).expect("a file");
        }
    }
    // Every line of every file is an answer, and nobody reads it.
    let target = "/files/find?path=.&pattern=a";
    let request = Request::get(target).body(Full::<Bytes>::default()).expect("a request");
    let (mut response, connection) = daemon.send(request).await;
    assert!(response.body_mut().frame().await.is_some());
    let turns = || processor_ticks(&daemon);
    drop((response, connection));
    let mut last = turns();
    until("the search has ended", || {
        let now = turns();
        std::mem::replace(&mut last, now) == now && !has_open(&daemon, "/")
    })
    .await;
}

/// How much processor time the daemon has used.
fn processor_ticks(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).expect("a status");
    let fields: Vec<&str> = status.rsplit(") ").next().expect("fields").split(' ').collect();
    fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks")
}

/// Whether the daemon has a file below the work folder open. Who may not look believes that it has none.
fn has_open(daemon: &Daemon, below: &str) -> bool {
    let files = std::fs::read_dir(format!("/proc/{}/fd", daemon.id()));
    let prefix = format!("{}{below}", daemon.folder().display());
    files.into_iter().flatten().flatten().any(|file| {
        std::fs::read_link(file.path()).is_ok_and(|path| {
            path.to_string_lossy().starts_with(&prefix)
                && path.extension().is_none_or(|kind| kind != "socket")
                && !path.ends_with(".boot.json")
        })
    })
}

#[tokio::test]
async fn odd_names_are_names() {
    let daemon = Daemon::start();
    let longest = "l".repeat(255);
    let names =
        ["new\nline", "quo\"te'", "back\\slash", "ünï cödé 🦀", " blank ", "%41", "+", &longest];
    for name in names {
        let encoded = percent(name.as_bytes());
        let upload = Request::post(format!("/files/upload-v2?path=odd/{encoded}"));
        let (status, answer) =
            daemon.ask(upload.body(Full::from(name.to_owned())).expect("a request")).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer:?}");
        assert_eq!(daemon.text(&format!("odd/{name}")), name);
        let (_, info) = daemon.call("GET", &format!("/files/info?path=odd/{encoded}")).await;
        assert_eq!(info["name"], name);
        let request = Request::get(format!("/files/download?path=odd/{encoded}"));
        let (response, _connection) =
            daemon.send(request.body(Full::<Bytes>::default()).expect("a request")).await;
        let disposition = &response.headers()["content-disposition"];
        assert!(disposition.to_str().is_ok_and(|text| text.starts_with("attachment; ")), "{name}");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, name);
    }
    let (_, listed) = daemon.call("GET", "/files?path=odd").await;
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    let listed: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|info| info["name"].as_str())
        .collect();
    assert_eq!(listed, wanted);
    let too_long = "l".repeat(256);
    let (status, answer) = daemon.call("GET", &format!("/files/info?path={too_long}")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_FILE_PATH")));
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_shown_replaced_and_reached_by_its_bytes() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("raw")).expect("a folder");
    let name = OsStr::from_bytes(b"a\xFFb");
    std::fs::write(daemon.path("raw").join(name), "raw").expect("a file");
    let (_, listed) = daemon.call("GET", "/files?path=raw").await;
    assert_eq!(listed[0]["name"], "a\u{FFFD}b");
    let (status, info) = daemon.call("GET", "/files/info?path=raw/a%FFb").await;
    assert_eq!((status, &info["size"]), (StatusCode::OK, &json!(3)));
    let (status, _) = daemon.call("DELETE", "/files?path=raw/a%FFb").await;
    assert_eq!((status, daemon.path("raw").join(name).exists()), (StatusCode::NO_CONTENT, false));
}

#[tokio::test]
async fn a_path_may_begin_at_home_and_makes_sense_or_is_refused() {
    let daemon = Daemon::start();
    let (_, home) = daemon.call("GET", "/user-home-dir").await;
    for path in ["~", "~/."] {
        let (status, info) = daemon.call("GET", &format!("/files/info?path={path}")).await;
        assert_eq!((status, info["isDir"] == true), (StatusCode::OK, true), "{path}: {home}");
    }
    std::fs::write(daemon.path("file"), "x").expect("a file");
    for (method, target) in [
        ("GET", "/files/info?path=a%00b"),
        ("GET", "/files/info?path=file/"),
        ("GET", "/files/info?path=file/x"),
        ("GET", "/files?path=file"),
        ("DELETE", "/files?path=."),
        ("DELETE", "/files?path=..&recursive=true"),
        ("POST", "/files/upload-v2?path=folder/"),
        ("POST", "/files/upload-v2?path=."),
        ("POST", "/files/upload-v2?path=file/x"),
        ("POST", "/files/move?source=file&destination=file/x"),
        ("GET", "/files/download?path=/dev/stdin"),
    ] {
        let (status, answer) = daemon.call(method, target).await;
        let code = &answer["code"];
        assert_eq!(status, StatusCode::BAD_REQUEST, "{target}: {answer}");
        assert_eq!(code, "INVALID_FILE_PATH", "{target}: {answer}");
    }
    let (status, answer) = daemon.call("GET", "/files/info?path=file&path=/etc/passwd").await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("BAD_REQUEST")));
}

#[tokio::test]
async fn everything_has_a_description_whatever_it_is() {
    let daemon = Daemon::start();
    daemon.execute("mkdir t; cd t; mkfifo pipe; ln -s /etc link; ln -s nowhere dangling; touch .hidden; ln -s loop loop").await;
    let (_, listed) = daemon.call("GET", "/files?path=t").await;
    let shape: Vec<Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|info| {
            json!([info["name"], info["mode"].as_str().map(|mode| &mode[..1]), info["isDir"]])
        })
        .collect();
    let wanted = [
        json!([".hidden", "-", false]),
        json!(["dangling", "L", false]),
        json!(["link", "L", false]),
        json!(["loop", "L", false]),
        json!(["pipe", "p", false]),
    ];
    assert_eq!(shape, wanted);
    let (_, info) = daemon.call("GET", "/files/info?path=t/link").await;
    assert_eq!((&info["name"], &info["isDir"]), (&json!("link"), &json!(true)));
    let (_, info) = daemon.call("GET", "/files/info?path=/dev/null").await;
    assert_eq!(info["mode"], "Dcrw-rw-rw-");
    for (path, wanted) in [("dangling", StatusCode::NOT_FOUND), ("loop", StatusCode::BAD_REQUEST)] {
        let (status, _) = daemon.call("GET", &format!("/files/info?path=t/{path}")).await;
        assert_eq!(status, wanted, "{path}");
    }
    // Links are found by their names and never gone through: a loop of them ends nothing.
    let (_, found) = daemon.call("GET", "/files/search?path=t&pattern=l*").await;
    assert_eq!(found, json!({"files": [daemon.path("t/link"), daemon.path("t/loop")]}));
    let (_, found) = daemon.call("GET", "/files/find?path=t&pattern=root").await;
    assert_eq!(found, json!([]));
}

#[tokio::test]
async fn the_kernels_own_folders_are_not_looked_through_for_text() {
    let daemon = Daemon::start();
    for path in ["/proc", "/sys"] {
        let (status, answer) =
            daemon.call("GET", &format!("/files/find?path={path}&pattern=a")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
    }
}

#[tokio::test]
async fn what_moves_goes_nowhere_impossible() {
    let daemon = Daemon::start();
    std::fs::create_dir_all(daemon.path("d/e")).expect("folders");
    std::fs::write(daemon.path("file"), "1").expect("a file");
    for (source, destination, status, code) in [
        ("d", "d/e/f", StatusCode::BAD_REQUEST, "INVALID_FILE_PATH"),
        ("d", "d", StatusCode::CONFLICT, "CONFLICT"),
        ("file", "file", StatusCode::CONFLICT, "CONFLICT"),
        ("file", "d", StatusCode::CONFLICT, "CONFLICT"),
        ("file", "missing/x", StatusCode::NOT_FOUND, "FILE_NOT_FOUND"),
        ("missing", "x", StatusCode::NOT_FOUND, "FILE_NOT_FOUND"),
        ("/", "x", StatusCode::BAD_REQUEST, "INVALID_FILE_PATH"),
    ] {
        let target = format!("/files/move?source={source}&destination={destination}");
        let (got, answer) = daemon.call("POST", &target).await;
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{target}: {answer}");
    }
    let (_, answer) = daemon.call("POST", "/files/move?source=file&destination=gone/x").await;
    assert_eq!(answer["message"], "file not found: gone/x");
    symlink("file", daemon.path("link")).expect("a link");
    let (status, _) = daemon.call("POST", "/files/move?source=link&destination=moved").await;
    assert_eq!((status, daemon.path("moved").is_symlink()), (StatusCode::OK, true));
}
