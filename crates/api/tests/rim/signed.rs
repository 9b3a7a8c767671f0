//! Addresses of files that were signed: who is let in without a key, and what passes.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, Request};
use pitlane_api::{Allowance, RateLimits};
use pitlane_control::Clock;
use serde_json::Value;
use sha2::Sha256;

use crate::http::{Answer, call, request};
use crate::server::{Options, Server};

const DOWNLOAD: &str = "/files/download";
const UPLOAD: &str = "/files/upload-v2";

/// What a test signs.
#[derive(Clone, Copy)]
struct Signing<'a> {
    key: &'a str,
    method: &'a str,
    path: &'a str,
    expires: &'a str,
}

impl Signing<'_> {
    /// The query as the SDKs write it.
    fn query(self) -> String {
        let Self { key, method, path, expires } = self;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("v1:files:{method}:{path}:{expires}").as_bytes());
        let signature = format!("v1_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("path", path), ("expires", expires), ("signature", &signature)])
            .finish()
    }
}

fn download<'a>(key: &'a str, path: &'a str) -> Signing<'a> {
    Signing { key, method: "GET", path, expires: "0" }
}

async fn signing_key(server: &Server, id: &str) -> String {
    let answer = server.get(&format!("/api/sandbox/{id}/signing-key")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json().as_str().unwrap().to_owned()
}

async fn rotate(server: &Server, id: &str) -> String {
    let answer = server.post(&format!("/api/sandbox/{id}/signing-key/rotate"), "").await;
    assert_eq!(answer.status, 200);
    answer.json().as_str().unwrap().to_owned()
}

/// Asks without a key.
async fn ask(server: &Server, method: Method, id: &str, rest: &str) -> Answer {
    call(server.address, request(method, &format!("/toolbox/{id}{rest}"), None, "")).await
}

async fn status(server: &Server, method: Method, id: &str, rest: &str) -> u16 {
    ask(server, method, id, rest).await.status.as_u16()
}

fn with_headers(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_signed_address_needs_no_key_and_its_daemon_sees_the_path_alone() {
    let server = Server::start().await;
    let id = server.create().await;
    let key = signing_key(&server, &id).await;
    let path = "/home/daytona/a b+ü&c.txt";
    let query = download(&key, path).query();
    let address = format!("/toolbox/{id}{DOWNLOAD}?x=1&{query}&DAYTONA_SANDBOX_AUTH_KEY=k");
    let referer = format!("http://pit.test:3986{address}");
    let headers =
        [("referer", &*referer), ("authorization", "Bearer dtn_wrong"), ("cookie", "a=b")];
    let asked = with_headers(request(Method::GET, &address, None, ""), &headers);
    let answer = call(server.address, asked).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"hello"[..]));
    let said: Vec<_> = ["access-control-allow-origin", "referrer-policy", "cache-control"]
        .map(|name| answer.headers[name].to_str().unwrap().to_owned())
        .into();
    assert_eq!(said, ["*", "no-referrer", "no-store"]);
    let heard = server.seen.all().remove(0);
    assert_eq!(heard.target, "/files/download?path=%2Fhome%2Fdaytona%2Fa+b%2B%C3%BC%26c.txt");
    assert_eq!(heard.headers, [("host".to_owned(), "daemon".to_owned())]);

    let query = Signing { method: "POST", ..download(&key, path) }.query();
    let answer = ask(&server, Method::POST, &id, &format!("{UPLOAD}?{query}")).await;
    assert_eq!(answer.status, 200);
    let heard = server.seen.all().remove(1);
    assert_eq!(heard.target, "/files/upload-v2?path=%2Fhome%2Fdaytona%2Fa+b%2B%C3%BC%26c.txt");
}

#[tokio::test]
async fn a_signature_opens_what_it_was_made_for_and_nothing_else() {
    let server = Server::start().await;
    let (id, other) = (server.create().await, server.create().await);
    let key = signing_key(&server, &id).await;
    let now = Clock::system().now().as_micros() / 1_000_000;
    let (soon, before) = ((now + 60).to_string(), (now - 1).to_string());
    let good = download(&key, "a");
    let query = good.query();
    for signing in [good, Signing { expires: &soon, ..good }] {
        let rest = format!("{DOWNLOAD}?{}", signing.query());
        assert_eq!(status(&server, Method::GET, &id, &rest).await, 200, "{rest}");
    }
    for rest in [
        format!("{DOWNLOAD}?{}", Signing { expires: &before, ..good }.query()),
        format!("{DOWNLOAD}?{}", Signing { expires: "00", ..good }.query()),
        format!("{DOWNLOAD}?{}", Signing { expires: "", ..good }.query()),
        format!("{DOWNLOAD}?{}", Signing { method: "POST", ..good }.query()),
        format!("{DOWNLOAD}?{}", Signing { key: "another", ..good }.query()),
        format!("{DOWNLOAD}?{}", query.replace("path=a", "path=b")),
        format!("{DOWNLOAD}?{}", query.replace("path=a", "path=%2Fa")),
        format!("{DOWNLOAD}?{}", query.replace("expires=0", &format!("expires={soon}"))),
        format!("{DOWNLOAD}?{query}&path=a"),
        format!("{DOWNLOAD}?{query}&path=b"),
        format!("{DOWNLOAD}?path=b&{query}"),
        format!("{DOWNLOAD}?{query}&expires=0"),
        format!("{DOWNLOAD}?{query}&signature=x"),
        format!("{DOWNLOAD}/?{query}"),
        format!("/{DOWNLOAD}?{query}"),
        format!("/files/%64ownload?{query}"),
        format!("/files/info?{query}"),
        format!("/files?{query}"),
        format!("/process/execute?{query}"),
        format!("/proxy/3000{DOWNLOAD}?{query}"),
    ] {
        assert_eq!(status(&server, Method::GET, &id, &rest).await, 401, "{rest}");
    }
    let rest = format!("{DOWNLOAD}?{query}");
    assert_eq!(status(&server, Method::GET, &other, &rest).await, 401);
    for method in [Method::POST, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert_eq!(status(&server, method.clone(), &id, &rest).await, 401, "{method}");
    }
    let uploaded = Signing { method: "POST", ..good }.query();
    for method in [Method::GET, Method::PUT] {
        let rest = format!("{UPLOAD}?{uploaded}");
        assert_eq!(status(&server, method.clone(), &id, &rest).await, 401, "{method}");
    }
}

#[tokio::test]
async fn a_refused_signature_tells_nothing_about_the_sandbox() {
    let server = Server::start().await;
    let (id, stopped, deleted) =
        (server.create().await, server.create().await, server.create().await);
    let query = download(&signing_key(&server, &deleted).await, "a").query();
    let rest = format!("{DOWNLOAD}?{query}");
    assert_eq!(status(&server, Method::GET, &deleted, &rest).await, 200);
    server.post(&format!("/api/sandbox/{stopped}/stop"), "").await;
    server.delete(&format!("/api/sandbox/{deleted}")).await;
    let nobodys = "00000000-0000-4000-8000-000000000000";
    let mut told = Vec::new();
    for id in [&*id, &*stopped, &*deleted, nobodys] {
        let answer = ask(&server, Method::GET, id, &rest).await;
        let mut body = answer.json();
        let names = answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        body["timestamp"] = Value::Null;
        body["path"] = body["path"].as_str().unwrap().replace(id, "ID").into();
        told.push((answer.status.as_u16(), names, body));
    }
    assert_eq!(told[0].0, 401);
    for other in &told[1..] {
        assert_eq!(*other, told[0]);
    }
    let query = download(&signing_key(&server, &stopped).await, "a").query();
    let answer = ask(&server, Method::GET, &stopped, &format!("{DOWNLOAD}?{query}")).await;
    let wanted = (400, format!("Sandbox {stopped} is stopped; start it"));
    assert_eq!(answer.refusal(), wanted);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_rotated_key_counts_at_once_for_its_sandbox_alone() {
    let server = Server::start().await;
    let id = server.create().await;
    let first = signing_key(&server, &id).await;
    assert_eq!(signing_key(&server, &id).await, first);
    let rest = |key: &str| format!("{DOWNLOAD}?{}", download(key, "a").query());
    let second = rotate(&server, &id).await;
    assert_ne!(second, first);
    assert_eq!(signing_key(&server, &id).await, second);
    assert_eq!(status(&server, Method::GET, &id, &rest(&first)).await, 401);
    assert_eq!(status(&server, Method::GET, &id, &rest(&second)).await, 200);
    let other = server.create().await;
    let kept = signing_key(&server, &other).await;
    rotate(&server, &id).await;
    assert_eq!(signing_key(&server, &other).await, kept);
}

#[tokio::test]
async fn a_rotation_ends_what_the_key_before_has_opened() {
    let server = Server::start().await;
    let id = server.create().await;
    let query = download(&signing_key(&server, &id).await, "/endless").query();
    let rest = format!("{DOWNLOAD}?{query}");
    let (answer, _) = tokio::join!(ask(&server, Method::GET, &id, &rest), async {
        server.seen.heard(|heard| heard.target.starts_with(DOWNLOAD)).await;
        rotate(&server, &server.create().await).await;
        rotate(&server, &id).await
    });
    assert_eq!(answer.status, 401);
    // What it had begun ends with it.
    server.seen.heard(|heard| heard.target.starts_with("/pitlane/cancel/")).await;
}

#[tokio::test]
async fn pages_of_other_origins_may_use_a_signed_address_and_ask_whether_they_may() {
    let server = Server::start().await;
    let id = server.create().await;
    let key = signing_key(&server, &id).await;
    let signed = Signing { method: "POST", ..download(&key, "a") }.query();
    let asked = async |path: &str, method: &str| {
        let path = format!("/toolbox/{id}{path}");
        let headers =
            [("origin", "https://else.example"), ("access-control-request-method", method)];
        let asked = with_headers(request(Method::OPTIONS, &path, None, ""), &headers);
        call(server.address, asked).await
    };
    let answer = asked(&format!("{UPLOAD}?{signed}"), "POST").await;
    let said = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    let names = ["access-control-allow-origin", "access-control-allow-methods"];
    assert_eq!(names.map(|name| said(&answer.headers, name)), ["*", "GET, POST"]);
    assert_eq!(answer.status, 204);
    assert_eq!(server.seen.all(), []);
    for (path, method) in [
        (format!("{UPLOAD}?{signed}x"), "POST"),
        (format!("{UPLOAD}?{signed}"), "PUT"),
        (format!("{DOWNLOAD}?{signed}"), "POST"),
        (UPLOAD.to_owned(), "POST"),
        ("/process/execute".to_owned(), "POST"),
    ] {
        let answer = asked(&path, method).await;
        let is_open = answer.headers.contains_key("access-control-allow-origin");
        assert_eq!((answer.status.as_u16(), is_open), (401, false), "{path} {method}");
    }
}

#[tokio::test]
async fn a_key_that_is_valid_counts_before_a_signature() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}{DOWNLOAD}?path=a&signature=nonsense&expires=0");
    assert_eq!(server.get(&path).await.status, 200);
    assert_eq!(server.seen.all()[0].target, "/files/download?path=a&expires=0");
    let query = download(&signing_key(&server, &id).await, "a").query();
    let weak = server.key_for("weak", &["read:volumes"]).await;
    let path = format!("/toolbox/{id}{DOWNLOAD}?{query}");
    let answer = call(server.address, request(Method::GET, &path, Some(&weak), "")).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_signed_request_counts_for_its_organization() {
    let allowance = Allowance { per_key: None, per_organization: Some("2/hour".parse().unwrap()) };
    let rate_limits = RateLimits { toolbox: allowance, ..RateLimits::default() };
    let server = Server::start_with(Options { rate_limits, ..Options::default() }).await;
    let id = server.create().await;
    let query = download(&signing_key(&server, &id).await, "a").query();
    let rest = format!("{DOWNLOAD}?{query}");
    for _ in 0..3 {
        assert_eq!(status(&server, Method::GET, &id, &format!("{rest}x")).await, 401);
    }
    for _ in 0..2 {
        assert_eq!(status(&server, Method::GET, &id, &rest).await, 200);
    }
    let refused = ask(&server, Method::GET, &id, &rest).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
}
