//! Every error has the same body, in the reference's form.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{Answer, call, request};
use crate::routes;
use crate::server::Server;

/// Checks a refusal's body in every field.
fn check(answer: &Answer, method: &Method, path: &str) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} in {body}"));
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8", "{path}");
    assert_eq!(body["statusCode"], answer.status.as_u16(), "{path}");
    let phrase = answer.status.canonical_reason().unwrap();
    assert_eq!(text("error"), phrase, "{path}");
    assert_eq!(text("code"), phrase.to_uppercase().replace(' ', "_"), "{path}");
    assert_eq!(text("source"), "DAYTONA_API", "{path}");
    assert_eq!(text("method"), method.as_str(), "{path}");
    assert_eq!(text("path"), path.split('?').next().unwrap());
    assert!(!text("message").is_empty());
    let timestamp = text("timestamp").parse::<jiff::Timestamp>().unwrap();
    let age = jiff::Timestamp::now().duration_since(timestamp).abs();
    assert!(age.as_secs() < 60, "{timestamp}");
    let mut fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    fields.sort();
    let wanted =
        ["code", "error", "message", "method", "path", "source", "statusCode", "timestamp"];
    assert_eq!(fields, wanted);
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_one_form() {
    let server = Server::start().await;
    let key = Some(&*server.key);
    for (method, path, key, body, status) in [
        (Method::GET, "/", key, "", 404),
        (Method::GET, "/api", key, "", 404),
        (Method::GET, "/api/", key, "", 404),
        (Method::GET, "/api/nowhere?q=1", key, "", 404),
        (Method::POST, "/api/sandbox/x/nothing", key, "{}", 404),
        (Method::GET, "/api/sandbox/x", key, "", 404),
        (Method::GET, "/toolbox/", key, "", 404),
        (Method::GET, "/api/users/me", key, "", 501),
        (Method::PATCH, "/api/sandbox", key, "{}", 405),
        (Method::PUT, "/api/api-keys", key, "{}", 405),
        (Method::POST, "/api/sandbox", key, "name=x", 400),
        (Method::POST, "/api/sandbox", key, "<sandbox/>", 400),
        (Method::GET, "/api/sandbox?limit=x", key, "", 400),
        (Method::GET, "/api/sandbox/x", None, "", 401),
        (Method::GET, "/api/sandbox/x", Some("dtn_wrong"), "", 401),
        (Method::GET, "/api/sandbox/x", key, "", 404),
        (Method::GET, "/api/organizations/x", key, "", 404),
    ] {
        let answer = call(server.address, request(method.clone(), path, key, body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        check(&answer, &method, path);
    }
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_it_says_it_is() {
    let server = Server::start().await;
    for (kind, body, status) in [
        (Some("application/json"), "{}", 200),
        (Some("application/json; charset=utf-8"), "{}", 200),
        (None, "{}", 200),
        (Some("text/plain"), "{}", 200),
        (Some("application/x-www-form-urlencoded"), "name=x", 400),
        (Some("multipart/form-data; boundary=x"), "--x--", 400),
        (Some("no type at all"), "", 400),
    ] {
        let mut sent = request(Method::POST, "/api/sandbox", Some(&server.key), body);
        if let Some(kind) = kind {
            sent.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        let answer = call(server.address, sent).await;
        assert_eq!(answer.status, status, "{kind:?}: {answer:?}");
        if status != 200 {
            check(&answer, &Method::POST, "/api/sandbox");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_which_ones_there_are() {
    let server = Server::start().await;
    for route in routes::all().into_iter().filter(|route| !route.methods.is_empty()) {
        // Paths that are another route for other methods are not what is asked for here.
        let path = route.filled(&["unheard-of"]);
        let sent = request(Method::OPTIONS, &path, Some(&server.key), "");
        let answer = call(server.address, sent).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        check(&answer, &Method::OPTIONS, &path);
        let allowed = answer.headers["allow"].to_str().unwrap().to_owned();
        for method in &route.methods {
            assert!(allowed.split(',').any(|word| word == method.as_str()), "{path}: {allowed}");
        }
    }
}

#[tokio::test]
async fn a_failure_inside_shows_its_request_and_not_its_cause() {
    let server = Server::start().await;
    server.fail_next_create(pitlane_driver::fake::Fault::Host);
    let answer = server.post("/api/sandbox", "{}").await;
    check(&answer, &Method::POST, "/api/sandbox");
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let message = format!("the sandbox could not be created (request {id})");
    assert_eq!(answer.json()["message"], Value::from(message));
    assert_eq!(answer.json()["code"], json!("INTERNAL_SERVER_ERROR"));
}
