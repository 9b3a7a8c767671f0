//! What the log says, and what it must not.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Method;
use pitlane_driver::fake::Fault;
use serde_json::{Value, json};

use crate::http::{Client, call, request};
use crate::server::Server;

const SECRET: &str = "sesame-0123456789";

/// The log of this thread, on which a test's whole server runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines about finished requests.
    fn requests(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "request").collect()
    }
}

#[tokio::test]
async fn every_request_has_one_line_with_the_id_that_its_answer_has() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let id = server.create().await;
    let answers = [
        server.get(&format!("/api/sandbox/{id}")).await,
        server.get("/api/sandbox/nowhere").await,
        server.get(&format!("/toolbox/{id}/files/info?path=%2Fetc")).await,
    ];
    let lines = log.requests();
    let told: Vec<_> = lines[1..]
        .iter()
        .map(|line| (line["request"].clone(), line["route"].clone(), line["status"].clone()))
        .collect();
    let id = |n: usize| Value::from(answers[n].headers["x-request-id"].to_str().unwrap());
    let wanted = [
        (id(0), "/api/sandbox/{idOrName}".into(), 200.into()),
        (id(1), "/api/sandbox/{idOrName}".into(), 404.into()),
        (id(2), "/toolbox/{id}/files/info".into(), 200.into()),
    ];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_line_says_whose_request_it_was_about_which_sandbox_and_how_much_went_both_ways() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}/count");
    call(server.address, request(Method::POST, &path, Some(&server.key), "hello")).await;
    server.get("/api/health").await;
    server.get("/api/nowhere").await;
    let mut lines = log.requests();
    for line in &mut lines {
        for measured in ["head_us", "took_us"] {
            assert!(line[measured].is_u64(), "{line}");
        }
        let rest = line.as_object_mut().unwrap();
        for name in ["timestamp", "target", "request", "message", "head_us", "took_us"] {
            assert!(rest.remove(name).is_some(), "{name}");
        }
    }
    let organization = lines[1]["organization"].clone();
    assert_eq!(organization.as_str().unwrap().len(), 36);
    let created = lines[0]["sent"].as_u64().unwrap();
    let unmatched = lines[3]["sent"].as_u64().unwrap();
    assert!(created > 500 && unmatched > 100);
    let wanted = [
        json!({
            "level": "INFO", "method": "POST", "route": "/api/sandbox", "sandbox": id,
            "organization": organization, "status": 200, "received": 2, "sent": created,
            "complete": true,
        }),
        json!({
            "level": "INFO", "method": "POST", "route": "/toolbox/{id}/…", "sandbox": id,
            "organization": organization, "status": 200, "received": 5, "sent": 1, "complete": true,
        }),
        json!({
            "level": "DEBUG", "method": "GET", "route": "/api/health", "status": 200, "received": 0,
            "sent": 15, "complete": true,
        }),
        json!({
            "level": "INFO", "method": "GET", "route": "unmatched", "organization": organization,
            "status": 404, "received": 0, "sent": unmatched, "complete": true,
        }),
    ];
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn a_client_that_goes_away_and_a_failure_have_their_lines_too() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let id = server.create().await;
    for path in ["hang", "trickle"] {
        let path = format!("/toolbox/{id}/{path}");
        let mut client = Client::connect(server.address).await;
        let mut sending =
            Box::pin(client.try_send(request(Method::POST, &path, Some(&server.key), "")));
        tokio::select! {
            answer = &mut sending => drop(answer),
            _asked = server.seen.heard(|heard| heard.target == "/hang") => {}
        }
        drop(sending);
        client.hang_up().await;
        server.seen.forget();
    }
    server.fail_next_create(Fault::Host);
    assert_eq!(server.post("/api/sandbox", "{}").await.status, 500);
    // What a daemon says of itself is between it and its client.
    assert_eq!(server.get(&format!("/toolbox/{id}/broken")).await.status, 503);
    server.stop().await;
    let told: Vec<_> = log.requests()[1..]
        .iter()
        .map(|line| (line["level"].clone(), line["status"].clone(), line["complete"].clone()))
        .collect();
    let wanted: [(Value, Value, Value); 4] = [
        ("INFO".into(), Value::Null, false.into()),
        ("INFO".into(), 200.into(), false.into()),
        ("WARN".into(), 500.into(), true.into()),
        ("INFO".into(), 503.into(), true.into()),
    ];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn what_an_application_does_to_its_visitors_is_no_warning() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let id = server.post("/api/sandbox", r#"{"public": true}"#).await.json();
    let id = id["id"].as_str().unwrap();
    // Nothing listens, nothing is accepted, the connection is closed.
    for (port, status) in [(1, 502), (2, 504), (4, 502)] {
        let answer = server.get(&format!("/toolbox/{id}/proxy/{port}/")).await;
        assert_eq!(answer.status, status, "{port}");
    }
    server.stop().await;
    let lines = log.requests();
    let told: Vec<_> = lines[1..].iter().map(|line| &line["level"]).collect();
    assert_eq!(told, ["INFO"; 3]);
    assert!(!log.text().contains("\"WARN\""), "{}", log.text());
}

#[tokio::test]
async fn every_line_about_a_request_has_its_id() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    server.fail_next_create(Fault::Host);
    let refused = server.post("/api/sandbox", "{}").await;
    let id = refused.headers["x-request-id"].to_str().unwrap();
    let text = log.text();
    let failed = text.lines().find(|line| line.contains(r#""message":"failed""#)).unwrap();
    assert!(failed.contains(id), "{failed}");
}

#[tokio::test]
async fn no_secret_of_a_request_is_in_the_log() {
    let (log, _guard) = Log::start();
    let server = Server::start().await;
    let id = server.create().await;
    for path in [
        format!("/toolbox/{id}/files?DAYTONA_SANDBOX_AUTH_KEY={SECRET}"),
        format!("/toolbox/{id}/files/download?path=x&signature={SECRET}"),
        format!("/api/sandbox/ssh-access/validate?token={SECRET}"),
        format!("/api/preview/{id}/validate/{SECRET}"),
        format!("/toolbox/{id}/proxy/80/?DAYTONA_SANDBOX_AUTH_KEY={SECRET}"),
        format!("/api/sandbox/{id}/ports/80/signed-preview-url/{SECRET}/expire"),
        format!("/api/organizations/otel-config/by-sandbox-auth-token/{SECRET}"),
        format!("/api/nowhere/{SECRET}?token={SECRET}"),
    ] {
        for key in [Some(&*server.key), Some(SECRET)] {
            let mut sent = request(Method::GET, &path, key, SECRET);
            for name in ["cookie", "x-daytona-preview-token", "x-api-key"] {
                sent.headers_mut().insert(name, SECRET.parse().unwrap());
            }
            call(server.address, sent).await;
        }
    }
    let body = format!(r#"{{"name":"k","permissions":["{SECRET}"]}}"#);
    server.post("/api/api-keys", &body).await;
    let made = server.post("/api/api-keys", r#"{"name":"k","permissions":[]}"#).await.json();
    server.stop().await;
    assert_eq!(log.requests().len(), 19);
    let text = log.text();
    for secret in [SECRET, &server.key, made["value"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
}
