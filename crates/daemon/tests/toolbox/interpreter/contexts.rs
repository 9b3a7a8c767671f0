//! Making, listing and deleting contexts.

use http::StatusCode;
use serde_json::{Value, json};

use super::{CONTEXTS, Heard, Socket, ask, create, printed, run};
use crate::daemon::{Daemon, is_running, refusal, until};

async fn list(daemon: &Daemon) -> Vec<Value> {
    let (status, answer) = daemon.call("GET", CONTEXTS).await;
    assert_eq!(status, StatusCode::OK);
    answer["contexts"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn contexts_are_made_listed_and_deleted() {
    let daemon = Daemon::start();
    assert_eq!(list(&daemon).await, Vec::<Value>::new());
    std::fs::create_dir(daemon.path("sub")).expect("a folder");
    let (_, first) = daemon.post(CONTEXTS, &json!({})).await;
    let (_, second) = daemon.post(CONTEXTS, &json!({"cwd": "sub", "language": "python"})).await;
    for (context, folder) in [(&first, daemon.folder().to_owned()), (&second, daemon.path("sub"))] {
        let mut context = context.clone();
        let fields = context.as_object_mut().expect("an object");
        let id = fields.remove("id").expect("an id");
        assert_eq!(id.as_str().map(str::len), Some(36));
        assert!(fields.remove("createdAt").expect("a time").is_string());
        assert_eq!(context, json!({"cwd": folder, "language": "python", "active": true}));
    }
    assert_eq!(list(&daemon).await, [first.clone(), second.clone()]);
    // The default context is in no list.
    assert_eq!(run(&daemon, "pass").await, Heard::printed(""));
    assert_eq!(list(&daemon).await.len(), 2);
    let id = first["id"].as_str().expect("an id");
    let (status, answer) = daemon.call("DELETE", &format!("{CONTEXTS}/{id}")).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({"message": "Context deleted successfully"}))
    );
    assert_eq!(list(&daemon).await, [second]);
    let (status, answer) = daemon.call("DELETE", &format!("{CONTEXTS}/{id}")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn a_context_starts_in_its_folder() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("sub")).expect("a folder");
    std::fs::write(daemon.path("sub/beside.py"), "VALUE = 7").expect("a file");
    let id = create(&daemon, json!({"cwd": "sub"})).await;
    let code = "import os, beside; print(os.path.basename(os.getcwd()), beside.VALUE)";
    let heard = ask(&daemon, json!({"code": code, "contextId": id})).await;
    assert_eq!(heard, Heard::printed("sub 7\n"));
    assert_eq!(
        printed(&daemon, "import os; print(os.getcwd())").await,
        format!("{}\n", daemon.folder().display())
    );
}

#[tokio::test]
async fn impossible_contexts_are_refused() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("file"), "").expect("a file");
    for (request, sentence) in [
        (
            json!({"language": "cobol"}),
            "unsupported language \"cobol\": contexts speak python".to_owned(),
        ),
        (
            json!({"cwd": "/no/such"}),
            "cwd cannot be entered: /no/such: No such file or directory (os error 2)".to_owned(),
        ),
        (
            json!({"cwd": "file"}),
            format!(
                "cwd cannot be entered: {}: Not a directory (os error 20)",
                daemon.path("file").display()
            ),
        ),
        (json!({"cwd": "a\0b"}), "cwd contains a NUL".to_owned()),
    ] {
        let (status, answer) = daemon.post(CONTEXTS, &request).await;
        assert_eq!((status, &answer["message"]), (StatusCode::BAD_REQUEST, &json!(sentence)));
    }
    let (status, answer) = daemon.post(CONTEXTS, &json!([])).await;
    assert_eq!(
        (status, &refusal(answer)["code"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_REQUEST_BODY"))
    );
    assert_eq!(list(&daemon).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_default_context_cannot_be_deleted() {
    let daemon = Daemon::start();
    let (status, answer) = daemon.call("DELETE", &format!("{CONTEXTS}/default")).await;
    let message = json!("the default context cannot be deleted");
    assert_eq!((status, &answer["message"]), (StatusCode::BAD_REQUEST, &message));
}

#[tokio::test]
async fn deleting_a_context_ends_its_run_and_everything_it_started() {
    let daemon = Daemon::start();
    let id = create(&daemon, json!({})).await;
    let code = "import subprocess, time\n\
                p = subprocess.Popen(['sleep', '1000'], start_new_session=False)\n\
                print(p.pid, flush=True)\ntime.sleep(1000)";
    let mut socket = Socket::ask(&daemon, &json!({"code": code, "contextId": id})).await;
    let waiting = Socket::ask(&daemon, &json!({"code": "1", "contextId": id})).await;
    let said = socket.next().await.expect("a message");
    let pid = said["text"].as_str().expect("a text").trim().to_owned();
    assert!(is_running(&pid));
    let (status, _) = daemon.call("DELETE", &format!("{CONTEXTS}/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    until("its process is gone", || !is_running(&pid)).await;
    let wanted = Heard::closed(1008, "the interpreter context was deleted");
    assert_eq!(socket.rest().await, wanted);
    assert_eq!(waiting.rest().await, wanted);
    let heard = ask(&daemon, json!({"code": "1", "contextId": id})).await;
    assert_eq!(heard, Heard::closed(1008, &format!("there is no interpreter context {id}")));
}

#[tokio::test]
async fn there_is_a_most_number_of_contexts() {
    let daemon = Daemon::start();
    let made: Vec<String> =
        futures_util::future::join_all((0..64).map(|_| create(&daemon, json!({})))).await;
    let (status, answer) = daemon.post(CONTEXTS, &json!({})).await;
    assert_eq!(
        (status, &answer["code"], &answer["message"]),
        (
            StatusCode::TOO_MANY_REQUESTS,
            &json!("TOO_MANY_CONTEXTS"),
            &json!("the sandbox has 64 interpreter contexts: delete one first")
        )
    );
    let (status, _) = daemon.call("DELETE", &format!("{CONTEXTS}/{}", made[0])).await;
    assert_eq!(status, StatusCode::OK);
    create(&daemon, json!({})).await;
}

#[tokio::test]
async fn a_sandbox_without_python_says_so() {
    let daemon = Daemon::start_with(&json!({"env": {"PATH": "/nowhere"}}), &[]);
    let (status, answer) = daemon.post(CONTEXTS, &json!({})).await;
    let sentence = "there is no python3 in this sandbox, and no python";
    assert_eq!((status, &answer["message"]), (StatusCode::BAD_REQUEST, &json!(sentence)));
    assert_eq!(run(&daemon, "1").await, Heard::closed(1011, sentence));
}

#[tokio::test]
async fn what_is_no_operation_is_not_found() {
    let daemon = Daemon::start();
    for (method, path) in [
        ("PUT", "/process/interpreter/context"),
        ("DELETE", "/process/interpreter/context"),
        ("POST", "/process/interpreter/execute"),
        ("GET", "/process/interpreter/nothing"),
    ] {
        let (status, _) = daemon.call(method, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let (status, _) = daemon.call("GET", "/process/interpreter/execute").await;
    assert_eq!(status, StatusCode::UPGRADE_REQUIRED);
}
