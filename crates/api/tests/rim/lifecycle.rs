//! Changes of living sandboxes, as clients see them.

use http::{Method, StatusCode};
use pitlane_driver::fake::Fault;
use serde_json::{Value, json};

use crate::http::{Answer, call, request};
use crate::server::Server;

async fn put(server: &Server, path: &str, body: &Value) -> Answer {
    call(server.address, request(Method::PUT, path, Some(&server.key), body.to_string())).await
}

/// What of a sandbox a change may change.
fn settings(sandbox: &Value) -> Value {
    let fields = [
        "labels",
        "public",
        "autoStopInterval",
        "autoArchiveInterval",
        "autoDeleteInterval",
        "cpu",
        "memory",
        "disk",
        "state",
        "desiredState",
    ];
    fields.into_iter().map(|field| (field.to_owned(), sandbox[field].clone())).collect()
}

#[tokio::test]
async fn every_change_is_answered_with_the_sandbox_as_it_is_then() {
    let server = Server::start().await;
    let id = server.create().await;
    let change = async |change: &str, body: &str| {
        let answer = server.post(&format!("/api/sandbox/{id}/{change}"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{change}");
        answer.json()
    };
    assert_eq!(change("autostop/7", "").await["autoStopInterval"], 7);
    assert_eq!(change("autoarchive/8", "").await["autoArchiveInterval"], 8);
    assert_eq!(change("autodelete/9", "").await["autoDeleteInterval"], 9);
    assert_eq!(change("autodelete/-1", "").await["autoDeleteInterval"], -1);
    assert_eq!(change("public/true", "").await["public"], true);
    assert!(change("ttl/5", "").await["autoDestroyAt"].is_string());
    assert!(change("ttl/0", "").await["autoDestroyAt"].is_null());
    let resized = change("resize", r#"{"cpu":2,"memory":2}"#).await;
    assert_eq!([&resized["cpu"], &resized["memory"], &resized["disk"]], [2, 2, 3]);

    let labels = json!({"labels": {"a": "b"}});
    let answer = put(&server, &format!("/api/sandbox/{id}/labels"), &labels).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, labels));
    let noted = server.post(&format!("/api/sandbox/{id}/last-activity"), "").await;
    assert_eq!((noted.status, &*noted.body), (StatusCode::CREATED, &b""[..]));

    let wanted = json!({
        "labels": {"a": "b"}, "public": true, "autoStopInterval": 7, "autoArchiveInterval": 8,
        "autoDeleteInterval": -1, "cpu": 2, "memory": 2, "disk": 3, "state": "started",
        "desiredState": "started",
    });
    let read = server.get(&format!("/api/sandbox/{id}")).await.json();
    assert_eq!(settings(&read), wanted);
    assert!(read["autoStopAt"].as_str() > read["lastActivityAt"].as_str());
    server.stop().await;
}

#[tokio::test]
async fn an_archive_is_begun_and_a_start_ends_it() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/api/sandbox/{id}");
    let early = server.post(&format!("{path}/archive"), "").await.refusal();
    assert_eq!(early, (400, "a sandbox that is started cannot be archived".to_owned()));
    server.post(&format!("{path}/stop"), "").await;
    let begun = server.post(&format!("{path}/archive"), "").await.json();
    assert_eq!([&begun["state"], &begun["desiredState"]], ["archiving", "archived"]);
    server.eventually(&path, |answer| answer.json()["state"] == "archived").await;
    let resized = server.post(&format!("{path}/resize"), r#"{"cpu":2}"#).await.refusal();
    assert_eq!(resized, (400, "a sandbox that is archived cannot be resized".to_owned()));
    let started = server.post(&format!("{path}/start"), "").await.json();
    assert_eq!(started["state"], "started");
    server.stop().await;
}

#[tokio::test]
async fn a_failure_says_why_and_whether_it_can_be_mended() {
    let server = Server::start().await;
    server.fail_next_create(Fault::Host);
    let failed = server.post("/api/sandbox", r#"{"name":"first"}"#).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    let read = server.get("/api/sandbox/first").await.json();
    assert_eq!(
        [&read["state"], &read["errorReason"], &read["recoverable"]],
        [&json!("error"), &json!("the machine could not create it"), &json!(true)]
    );
    let start = server.post("/api/sandbox/first/start", "").await.refusal();
    assert_eq!(start, (400, "a sandbox that is error cannot start".to_owned()));
    let recovered = server.post("/api/sandbox/first/recover", "").await.json();
    assert_eq!(recovered["state"], "started");
    assert!(recovered["errorReason"].is_null() && recovered["recoverable"].is_null());
    let again = server.post("/api/sandbox/first/recover?skipStart=true", "").await.refusal();
    assert_eq!(again, (400, "a sandbox that is started cannot be recovered".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_value_that_is_none_is_refused_by_name() {
    let server = Server::start().await;
    let id = server.create().await;
    let before = settings(&server.get(&format!("/api/sandbox/{id}")).await.json());
    for (change, body, wanted) in [
        ("autostop/-1", "", "interval must be a number of minutes from 0 to 4294967295"),
        ("autostop/x", "", "interval must be a number of minutes from 0 to 4294967295"),
        ("autoarchive/-1", "", "interval must be a number of minutes from 0 to 4294967295"),
        ("autodelete/x", "", "interval must be a number of minutes from 0 to 4294967295"),
        ("ttl/-1", "", "ttlMinutes must be a number of minutes from 0 to 4294967295"),
        ("public/yes", "", "isPublic must be true or false"),
        ("recover?skipStart=x", "", "query parameter skipStart is not valid"),
        ("resize", "{}", "the sandbox has these limits already"),
        (
            "resize",
            r#"{"disk":4}"#,
            "the disk of a running sandbox cannot be resized: stop it first",
        ),
        ("resize", r#"{"cpu":9}"#, "cpu 9 exceeds the maximum of 4 per sandbox"),
        ("resize", r#"{"cpu":0}"#, "cpu must be at least 1"),
    ] {
        let answer = server.post(&format!("/api/sandbox/{id}/{change}"), body).await;
        assert_eq!(answer.refusal(), (400, wanted.to_owned()), "{change} {body}");
    }
    let after = settings(&server.get(&format!("/api/sandbox/{id}")).await.json());
    assert_eq!(after, before);
    server.stop().await;
}

#[tokio::test]
async fn another_organization_changes_nothing() {
    let server = Server::start().await;
    let id = server.create().await;
    let stranger = server.stranger().await;
    for (method, change, body) in [
        (Method::POST, "autostop/1", ""),
        (Method::POST, "autoarchive/1", ""),
        (Method::POST, "autodelete/0", ""),
        (Method::POST, "ttl/1", ""),
        (Method::POST, "public/true", ""),
        (Method::POST, "resize", r#"{"cpu":2}"#),
        (Method::POST, "archive", ""),
        (Method::POST, "recover", ""),
        (Method::POST, "last-activity", ""),
        (Method::PUT, "labels", r#"{"labels":{}}"#),
    ] {
        let path = format!("/api/sandbox/{id}/{change}");
        let answer = call(server.address, request(method, &path, Some(&stranger), body)).await;
        let wanted = (404, format!("Sandbox with ID or name {id} not found"));
        assert_eq!(answer.refusal(), wanted, "{change}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_follows_what_becomes_of_a_sandbox_is_answered_when_something_does() {
    let server = Server::start().await;
    let id = server.create().await;
    let told = server.get(&format!("/api/sandbox/{id}/log")).await.json();
    let last = told["items"].as_array().unwrap().last().unwrap()["number"].clone();
    let path = format!("/api/sandbox/{id}/log?after={last}");
    assert_eq!(server.get(&path).await.json(), json!({"items": []}));
    let following = async { server.get(&format!("{path}&wait=60")).await.json() };
    let stopping = async {
        tokio::task::yield_now().await;
        server.post(&format!("/api/sandbox/{id}/stop"), "").await
    };
    let (next, stopped) = tokio::join!(following, stopping);
    assert_eq!(stopped.status, StatusCode::OK);
    assert_eq!(
        (&next["items"][0]["state"], &next["items"][0]["by"]),
        (&json!("stopping"), &json!("caller"))
    );
}
