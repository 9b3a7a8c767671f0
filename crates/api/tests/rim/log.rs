//! What the log says, and what it must not.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::Value;

use crate::http::{call, request};
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
    let path = lines[3]["route"].as_str().unwrap();
    assert!(path.ends_with("/files/info"), "{path}");
    let wanted = [
        (id(0), "/api/sandbox/{idOrName}".into(), 200.into()),
        (id(1), "/api/sandbox/{idOrName}".into(), 404.into()),
        (id(2), path.into(), 200.into()),
    ];
    assert_eq!(told, wanted);
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
    assert_eq!(log.requests().len(), 15);
    let text = log.text();
    for secret in [SECRET, &server.key, made["value"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
}
