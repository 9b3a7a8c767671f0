//! Every row of the coverage list, asked for without a key and with one.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::http::{call, request};
use crate::server::Server;

#[derive(Deserialize)]
struct Rows {
    control: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Row {
    status: String,
    #[serde(default)]
    public: bool,
}

fn rows() -> BTreeMap<String, Row> {
    let text = include_str!("../../../../openapi/compat.toml");
    toml::from_str::<Rows>(text).unwrap().control
}

/// `POST /sandbox/{id}` as a request's method and path, with a word for every variable.
fn asked(key: &str) -> (Method, String) {
    let (method, path) = key.split_once(' ').unwrap();
    let word = |segment: &str| if segment.starts_with('{') { "x" } else { segment }.to_owned();
    let path: Vec<String> = path.split('/').map(word).collect();
    (method.parse().unwrap(), format!("/api{}", path.join("/")))
}

#[tokio::test]
async fn every_operation_but_the_public_ones_refuses_strangers() {
    let server = Server::start().await;
    for (key, row) in rows() {
        let (method, path) = asked(&key);
        for token in [None, Some("dtn_wrong")] {
            let answer = call(server.address, request(method.clone(), &path, token, "{}")).await;
            let wanted = if row.public { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(answer.status, wanted, "{key} with {token:?}");
        }
    }
    let nowhere = call(server.address, request(Method::GET, "/api/nowhere", None, "")).await;
    assert_eq!(nowhere.refusal().0, 401);
}

#[tokio::test]
async fn what_is_said_to_work_has_a_route_and_the_rest_says_that_it_has_none() {
    let server = Server::start().await;
    for (key, row) in rows() {
        let (method, path) = asked(&key);
        let answer = call(server.address, request(method, &path, Some(&server.key), "")).await;
        let is_served = matches!(&*row.status, "implemented" | "partial");
        if is_served {
            assert_ne!(answer.status, StatusCode::NOT_IMPLEMENTED, "{key}");
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{key}");
        } else {
            let (status, message) = answer.refusal();
            assert_eq!(status, 501, "{key}");
            assert!(message.contains("is not available in Pitlane: "), "{key}: {message}");
        }
    }
    assert_eq!(server.get("/api/nowhere").await.refusal().0, 404);
    let brewed = request(Method::PUT, "/api/sandbox", Some(&server.key), "");
    assert_eq!(call(server.address, brewed).await.refusal().0, 405);
}

#[test]
fn what_is_said_to_work_is_described_and_nothing_else_is() {
    let text = include_str!("../../../../openapi/control.json");
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let described = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let is_served = |row: &Row| matches!(&*row.status, "implemented" | "partial");
    let served = rows().into_iter().filter(|(_, row)| is_served(row)).map(|(key, _)| key);
    assert_eq!(described.collect::<BTreeSet<_>>(), served.collect());
}
