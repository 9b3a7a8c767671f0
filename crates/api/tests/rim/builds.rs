//! Sandboxes and snapshots whose images are built: what the rim says of them, and their logs.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use pitlane_control::{BuildOrder, ImageBuilder, NoBuild, NoBuilder, Transcript};
use pitlane_driver::fake::FakeDriver;
use pitlane_driver::{Driver as _, PreparedImage};
use pitlane_model::{Build, ImageConfig, ImageName, OrganizationId};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::http::{call, request};
use crate::server::{Options, Server};

const DOCKERFILE: &str = "FROM debian:12\nRUN true\n";

/// Writes a line, waits for the door, writes another. A Dockerfile with `RUN false` fails then.
#[derive(Debug)]
struct Slow {
    driver: FakeDriver,
    is_open: watch::Receiver<bool>,
}

#[async_trait]
impl ImageBuilder for Slow {
    async fn check(&self, organization: OrganizationId, build: &Build) -> Result<(), String> {
        match build.dockerfile.contains("NONSENSE") {
            true => NoBuilder.check(organization, build).await,
            false => Ok(()),
        }
    }

    async fn build(
        &self,
        order: BuildOrder,
        transcript: Arc<Transcript>,
    ) -> Result<PreparedImage, NoBuild> {
        transcript.write(b"one\n");
        drop(self.is_open.clone().wait_for(|is_open| *is_open).await);
        transcript.write(b"two\n");
        if order.build.dockerfile.contains("RUN false") {
            return Err(NoBuild::Failed { reason: "line 2: RUN false: exit code 1".to_owned() });
        }
        let (scratch, config) = (ImageName::scratch(), ImageConfig::default());
        let made = self.driver.derive_image(&scratch, &config, &order.reference).await;
        made.map_err(|cause| NoBuild::Host { cause: cause.into() })
    }
}

async fn start() -> (Server, watch::Sender<bool>) {
    let (open, is_open) = watch::channel(false);
    let builder = move |driver: &FakeDriver| -> Arc<dyn ImageBuilder> {
        Arc::new(Slow { driver: driver.clone(), is_open })
    };
    let options = Options { builder: Box::new(builder), ..Options::default() };
    (Server::start_with(options).await, open)
}

fn with(dockerfile: &str) -> String {
    json!({"buildInfo": {"dockerfileContent": dockerfile}}).to_string()
}

/// What is found at `path` when it is in `state`.
async fn until(server: &Server, path: &str, state: &str) -> Value {
    server.eventually(path, |answer| answer.json()["state"] == state).await;
    server.get(path).await.json()
}

#[tokio::test]
async fn a_sandbox_that_is_built_says_so_and_its_log_can_be_followed() {
    let (server, open) = start().await;
    let made = server.post("/api/sandbox", &with(DOCKERFILE)).await;
    assert_eq!(made.status, StatusCode::OK);
    let made = made.json();
    assert_eq!(made["state"], "pending_build");
    assert_eq!(made["buildInfo"]["dockerfileContent"], DOCKERFILE);
    assert_eq!(made["buildInfo"]["snapshotRef"], made["snapshot"]);
    let path = format!("/api/sandbox/{}", made["id"].as_str().unwrap());
    let url = server.get(&format!("{path}/build-logs-url")).await.json();
    assert_eq!(url, json!({"url": format!("http://pit.test:3986{path}/build-logs")}));
    until(&server, &path, "building_snapshot").await;
    let so_far = server.get(&format!("{path}/build-logs")).await;
    assert_eq!(so_far.text(), "one\n");
    let followed = format!("{path}/build-logs?follow=true");
    let (followers, _) =
        tokio::join!(async { tokio::join!(server.get(&followed), server.get(&followed)) }, async {
            open.send(true)
        });
    for follower in [followers.0, followers.1] {
        assert_eq!((follower.status, follower.text()), (StatusCode::OK, "one\ntwo\n".to_owned()));
    }
    until(&server, &path, "started").await;
    assert_eq!(server.get(&followed).await.text(), "one\ntwo\n");
    let stranger = server.stranger().await;
    let strange = request(Method::GET, &followed, Some(&stranger), "");
    assert_eq!(call(server.address, strange).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_build_that_fails_says_why() {
    let (server, open) = start().await;
    let made = server.post("/api/sandbox", &with("FROM a:1\nRUN false")).await.json();
    let path = format!("/api/sandbox/{}", made["id"].as_str().unwrap());
    open.send(true).unwrap();
    let failed = until(&server, &path, "build_failed").await;
    assert_eq!(failed["errorReason"], "line 2: RUN false: exit code 1");
    assert_eq!(failed["desiredState"], "started");
    let log = server.get(&format!("{path}/build-logs?follow=true")).await.text();
    assert_eq!(log, "one\ntwo\n");
    let refused = server.post(&format!("{path}/start"), "").await.refusal();
    assert_eq!(refused.0, 400);
    assert_eq!(server.delete(&path).await.status, StatusCode::OK);
    let refused = server.post("/api/sandbox", &with("NONSENSE")).await.refusal();
    assert_eq!(refused, (400, "this server builds no images".to_owned()));
}

#[tokio::test]
async fn a_snapshot_is_building_then_active_and_has_a_log() {
    let (server, open) = start().await;
    let body = json!({"name": "s:1", "buildInfo": {"dockerfileContent": DOCKERFILE}}).to_string();
    let made = server.post("/api/snapshots", &body).await.json();
    assert_eq!(made["state"], "building");
    let path = format!("/api/snapshots/{}", made["id"].as_str().unwrap());
    let url = server.get(&format!("{path}/build-logs-url")).await.json();
    assert_eq!(url, json!({"url": format!("http://pit.test:3986{path}/build-logs")}));
    let followed = format!("{path}/build-logs?follow=true");
    let (log, _) = tokio::join!(server.get(&followed), async { open.send(true) });
    assert_eq!(log.text(), "one\ntwo\n");
    until(&server, &path, "active").await;
    let made = server.post("/api/sandbox", r#"{"snapshot": "s:1"}"#).await.json();
    assert_eq!(made["state"], "started");
    let logless = format!("/api/sandbox/{}/build-logs", made["id"].as_str().unwrap());
    assert_eq!(server.get(&logless).await.status, StatusCode::NOT_FOUND);
    let both = json!({"name": "t", "imageName": "a:1", "buildInfo": {"dockerfileContent": "x"}});
    assert_eq!(server.post("/api/snapshots", &both.to_string()).await.refusal().0, 400);
}
