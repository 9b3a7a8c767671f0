//! Files and folders: what there is, and changing it.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use http::StatusCode;
use serde_json::{Value, json};

use crate::daemon::{Daemon, refusal};

/// What is the same on every machine.
fn shape(info: &Value) -> Value {
    json!([info["name"], info["size"], info["mode"], info["isDir"], info["permissions"]])
}

#[tokio::test]
async fn a_file_is_described_in_full() {
    let daemon = Daemon::start();
    let path = daemon.path("a.txt");
    std::fs::write(&path, "12345").expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_787_227_200);
    std::fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(time))
        .expect("a time");
    let (status, info) = daemon.call("GET", "/files/info?path=a.txt").await;
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let wanted = json!({
        "name": "a.txt", "path": path, "size": 5, "mode": "-rw-r-----",
        "modTime": "2026-08-20 12:00:00 +0000 UTC", "modifiedAt": "2026-08-20T12:00:00.000Z",
        "isDir": false, "owner": uid.to_string(), "group": gid.to_string(), "permissions": "0640",
    });
    assert_eq!((status, info), (StatusCode::OK, wanted));
}

#[tokio::test]
async fn a_folder_is_listed_as_deep_as_was_asked() {
    let daemon = Daemon::start();
    std::fs::create_dir_all(daemon.path("d/e/f")).expect("folders");
    std::fs::write(daemon.path("d/z"), "1").expect("a file");
    symlink("/nowhere", daemon.path("d/link")).expect("a link");
    let names = |listed: &Value| -> Vec<String> {
        let listed = listed.as_array().expect("a list").iter();
        listed.map(|info| format!("{} {}", info["name"], info["mode"])).collect()
    };
    let (status, listed) = daemon.call("GET", "/files?path=d").await;
    let wanted = ["\"e\" \"drwxr-xr-x\"", "\"link\" \"Lrwxrwxrwx\"", "\"z\" \"-rw-r--r--\""];
    assert_eq!((status, names(&listed)), (StatusCode::OK, wanted.map(String::from).to_vec()));
    let (_, listed) = daemon.call("GET", "/files?path=d&depth=2").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(4));
    assert_eq!(listed[1]["path"], json!(daemon.path("d/e/f")));
    let (status, _) = daemon.call("GET", "/files?path=d&depth=0").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let daemon = Daemon::start();
    for (method, target) in [
        ("GET", "/files/info?path=/no/such"),
        ("GET", "/files?path=/no/such"),
        ("DELETE", "/files?path=/no/such"),
        ("GET", "/files/download?path=/no/such"),
        ("POST", "/files/permissions?path=/no/such&mode=600"),
        ("POST", "/files/move?source=/no/such&destination=x"),
    ] {
        let (status, answer) = daemon.call(method, target).await;
        let path = target.split('?').next().expect("a path");
        let wanted = json!({
            "statusCode": 404, "message": "file not found: /no/such", "error": "Not Found",
            "code": "FILE_NOT_FOUND", "source": "DAYTONA_DAEMON", "path": path, "method": method,
        });
        assert_eq!((status, refusal(answer)), (StatusCode::NOT_FOUND, wanted), "{target}");
    }
}

#[tokio::test]
async fn folders_are_made_with_those_above_and_a_mode() {
    let daemon = Daemon::start();
    let (status, _) = daemon.call("POST", "/files/folder?path=x/y/z&mode=777").await;
    assert_eq!(status, StatusCode::CREATED);
    let mode = |name: &str| {
        std::fs::metadata(daemon.path(name)).expect("a folder").permissions().mode() & 0o7777
    };
    assert_eq!((mode("x"), mode("x/y/z")), (0o755, 0o777));
    let (again, _) = daemon.call("POST", "/files/folder?path=x/y/z&mode=777").await;
    assert_eq!(again, StatusCode::CREATED);
    std::fs::write(daemon.path("file"), "").expect("a file");
    for (target, wanted) in [
        ("/files/folder?path=file&mode=755", StatusCode::BAD_REQUEST),
        ("/files/folder?path=file/inner&mode=755", StatusCode::BAD_REQUEST),
        ("/files/folder?path=new&mode=9", StatusCode::BAD_REQUEST),
        ("/files/folder?mode=755", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(daemon.call("POST", target).await.0, wanted, "{target}");
    }
}

#[tokio::test]
async fn a_folder_is_removed_only_on_purpose_and_links_are_not_followed() {
    let daemon = Daemon::start();
    std::fs::create_dir_all(daemon.path("d/e")).expect("folders");
    std::fs::create_dir(daemon.path("kept")).expect("a folder");
    std::fs::write(daemon.path("kept/file"), "").expect("a file");
    symlink(daemon.path("kept"), daemon.path("d/link")).expect("a link");
    assert_eq!(daemon.call("DELETE", "/files?path=d").await.0, StatusCode::BAD_REQUEST);
    let (status, answer) = daemon.call("DELETE", "/files?path=d&recursive=maybe").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(refusal(answer)["message"], "recursive must be true or false");
    assert_eq!(
        daemon.call("DELETE", "/files?path=d&recursive=true").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!((daemon.path("d").exists(), daemon.path("kept/file").exists()), (false, true));
    assert_eq!(daemon.call("DELETE", "/files?path=kept/file").await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        daemon.call("DELETE", "/files?path=/&recursive=true").await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_file_moves_to_a_free_path_only() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("a"), "a").expect("a file");
    std::fs::write(daemon.path("b"), "b").expect("a file");
    let taken = daemon.call("POST", "/files/move?source=a&destination=b").await.0;
    assert_eq!((taken, daemon.text("b").as_str()), (StatusCode::CONFLICT, "b"));
    assert_eq!(daemon.call("POST", "/files/move?source=a&destination=c").await.0, StatusCode::OK);
    assert_eq!((daemon.text("c").as_str(), daemon.path("a").exists()), ("a", false));
}

#[tokio::test]
async fn permissions_change_to_what_was_asked() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("a"), "").expect("a file");
    let (status, _) = daemon.call("POST", "/files/permissions?path=a&mode=0600").await;
    assert_eq!(status, StatusCode::OK);
    let (_, info) = daemon.call("GET", "/files/info?path=a").await;
    assert_eq!(shape(&info), json!(["a", 0, "-rw-------", false, "0600"]));
}

#[tokio::test]
async fn text_is_found_and_replaced() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("t")).expect("a folder");
    std::fs::write(daemon.path("t/a.txt"), "one\ntwo needle\n").expect("a file");
    std::fs::write(daemon.path("t/b.bin"), "needle\0").expect("a file");
    let (_, found) = daemon.call("GET", "/files/find?path=t&pattern=needle").await;
    let wanted = json!([{"file": daemon.path("t/a.txt"), "line": 2, "content": "two needle"}]);
    assert_eq!(found, wanted);
    let (_, found) = daemon.call("GET", "/files/search?path=t&pattern=*.txt").await;
    assert_eq!(found, json!({"files": [daemon.path("t/a.txt")]}));
    let change = json!({"files": ["t/a.txt", "t/none"], "pattern": "needle", "newValue": "pin"});
    let (status, results) = daemon.post("/files/replace", &change).await;
    let wanted = json!([
        {"file": "t/a.txt", "success": true},
        {"file": "t/none", "success": false, "error": "file not found: t/none"},
    ]);
    assert_eq!((status, results), (StatusCode::OK, wanted));
    assert_eq!(daemon.text("t/a.txt"), "one\ntwo pin\n");
}

#[tokio::test]
async fn the_kernels_own_links_lead_nowhere() {
    let daemon = Daemon::start();
    for number in 0..24 {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/thread-self/fd/{number}/x")]
        {
            for target in ["info", "download"] {
                let (status, answer) =
                    daemon.call("GET", &format!("/files/{target}?path={path}")).await;
                let is_refused = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&status);
                assert!(is_refused, "{path}: {answer}");
            }
        }
    }
}
