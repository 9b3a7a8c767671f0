//! The daemon has every operation that the toolbox's description promises.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::daemon::Daemon;

#[tokio::test]
async fn every_described_operation_has_a_route() {
    let text = include_str!("../../../../openapi/toolbox.json");
    let document: Value = serde_json::from_str(text).expect("JSON");
    let daemon = Daemon::start();
    let mut without_route = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let asked = path.replace(['{', '}'], "");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(asked);
            let request = request.body(Full::from("")).expect("a request");
            let (status, answer) = daemon.ask(request).await;
            let said = String::from_utf8_lossy(&answer);
            if status == StatusCode::NOT_IMPLEMENTED || said.contains("the toolbox has no") {
                without_route.push(format!("{method} {path}: {said}"));
            }
        }
    }
    assert_eq!(without_route, Vec::<String>::new());
}
