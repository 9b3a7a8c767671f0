//! The variables that commands get, and `POST /env`.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::daemon::{Daemon, refusal};

#[tokio::test]
async fn nothing_of_the_daemons_or_a_callers_own_reaches_a_command() {
    let daemon =
        Daemon::start_with(&json!({"env": {"CONFIGURED": "1", "PATH": "/usr/bin:/bin"}}), &[]);
    let body = json!({"command": "env -u PWD -u SHLVL -u OLDPWD -u _ | cut -d= -f1 | sort", "envs": {"ASKED": "2"}});
    let request = Request::post("/process/execute")
        .header("authorization", "Bearer secret")
        .header("cookie", "daytona-sandbox-auth-x=secret")
        .header("x-daytona-preview-token", "secret")
        .body(Full::from(body.to_string()))
        .expect("a request");
    let (_, answer) = daemon.ask(request).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    let names = [
        "ASKED",
        "CONFIGURED",
        "DAYTONA_SANDBOX_ID",
        "DAYTONA_SANDBOX_SNAPSHOT",
        "DAYTONA_SANDBOX_USER",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "SHELL",
        "USER",
    ];
    assert_eq!(answer, json!({"exitCode": 0, "result": format!("{}\n", names.join("\n"))}));
}

#[tokio::test]
async fn a_variable_must_have_a_name_that_shells_understand() {
    let daemon = Daemon::start();
    let body = json!({"command": "true", "envs": {"A B": "1"}});
    let (status, answer) = daemon.post("/process/execute", &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = "environment variable name \"A B\" is not an identifier";
    assert_eq!(refusal(answer)["message"], message);
}

#[tokio::test]
async fn a_change_counts_for_commands_that_start_later() {
    let daemon = Daemon::start_with(&json!({"env": {"A": "1", "B": "1"}}), &[]);
    let change = json!({"set": {"A": "2"}, "unset": ["B"]});
    let (status, all) = daemon.post("/env", &change).await;
    assert_eq!((status, &all["A"], all.get("B")), (StatusCode::OK, &json!("2"), None));
    let answer = daemon.execute("echo $A ${B-none}").await;
    assert_eq!(answer, json!({"exitCode": 0, "result": "2 none\n"}));
}

#[tokio::test]
async fn a_list_is_not_taken_for_an_object() {
    let daemon = Daemon::start();
    for target in ["/env", "/process/execute", "/files/bulk-download"] {
        let (status, answer) = daemon.post(target, &json!(["true"])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{target}");
        let message = "invalid request body: it must be a JSON object";
        assert_eq!(refusal(answer)["message"], message, "{target}");
    }
}
