//! Git, with real repositories.

mod local;
mod online;
mod server;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::daemon::Daemon;

/// A daemon whose user has a home of its own, and settings that surprise nobody.
async fn daemon() -> Daemon {
    daemon_with(&json!({})).await
}

async fn daemon_with(environment: &Value) -> Daemon {
    let daemon = Daemon::start();
    let home = daemon.path(".home");
    std::fs::create_dir(&home).expect("a folder");
    let settings = "[init]\n\tdefaultBranch = main\n";
    std::fs::write(home.join(".gitconfig"), settings).expect("a file");
    let mut variables = json!({
        "HOME": home,
        "XDG_CONFIG_HOME": home.join("none"),
        "GIT_CONFIG_NOSYSTEM": "1",
    });
    let more = environment.as_object().expect("an object").clone();
    variables.as_object_mut().expect("an object").extend(more);
    let (status, answer) = daemon.post("/env", &json!({"set": variables})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    daemon
}

/// The code of an answer; nothing of one that succeeded.
fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default())
}

async fn delete(daemon: &Daemon, target: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::delete(target).body(Full::from(body.to_string())).expect("a request");
    let (status, answer) = daemon.ask(request).await;
    let answer = if answer.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&answer).expect("JSON")
    };
    (status, answer)
}

/// Sends what has to succeed.
async fn done(daemon: &Daemon, operation: &str, body: &Value) -> Value {
    let (status, answer) = daemon.post(&format!("/git/{operation}"), body).await;
    assert!(status.is_success(), "{operation}: {answer}");
    answer
}

/// The output of a shell's command that has to succeed.
async fn sh(daemon: &Daemon, command: &str) -> String {
    let answer = daemon.execute(command).await;
    assert_eq!(answer["exitCode"], 0, "{command}: {answer}");
    answer["result"].as_str().expect("a text").to_owned()
}

/// A repository `repo` with one commit.
async fn repository(daemon: &Daemon) {
    done(daemon, "init", &json!({"path": "repo"})).await;
    std::fs::write(daemon.path("repo/file"), "one\n").expect("a file");
    done(daemon, "add", &json!({"path": "repo", "files": ["."]})).await;
    commit(daemon, "repo", "first").await;
}

async fn commit(daemon: &Daemon, path: &str, message: &str) -> String {
    let body = json!({"path": path, "message": message, "author": "A", "email": "a@b.c", "allow_empty": true});
    done(daemon, "commit", &body).await["hash"].as_str().expect("a hash").to_owned()
}

async fn status(daemon: &Daemon, path: &str) -> Value {
    let (status, answer) = daemon.call("GET", &format!("/git/status?path={path}")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}
