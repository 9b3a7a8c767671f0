//! Previews: who may reach a port inside a sandbox, and what passes.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::daemon::Heard;
use crate::http::{Answer, Client, DEADLINE, call, request};
use crate::server::Server;

const TOKEN: &str = "x-daytona-preview-token";

fn path(id: &str, rest: &str) -> String {
    format!("/toolbox/{id}/proxy/3000{rest}")
}

/// A request with these headers and no key.
fn asked(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = request(Method::GET, path, None, "");
    for (name, value) in headers {
        request
            .headers_mut()
            .append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    request
}

async fn visit(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    call(server.address, asked(path, headers)).await
}

async fn link(server: &Server, id: &str, port: u16) -> Value {
    server.get(&format!("/api/sandbox/{id}/ports/{port}/preview-url")).await.json()
}

async fn signed(server: &Server, id: &str, query: &str) -> Value {
    let path = format!("/api/sandbox/{id}/ports/3000/signed-preview-url{query}");
    server.get(&path).await.json()
}

async fn token(server: &Server, id: &str) -> String {
    link(server, id, 3000).await["token"].as_str().unwrap().to_owned()
}

async fn public(server: &Server) -> String {
    let made = server.post("/api/sandbox", r#"{"public": true}"#).await.json();
    made["id"].as_str().unwrap().to_owned()
}

/// What applications heard, as opposed to daemons.
fn heard(server: &Server) -> Vec<Heard> {
    let all = server.seen.all().into_iter();
    all.filter(|heard| !heard.target.starts_with("/pitlane/")).collect()
}

fn always(id: &str) -> Vec<(String, String)> {
    [
        ("host", "localhost:3000"),
        ("x-forwarded-host", "pit.test:3986"),
        ("x-forwarded-prefix", &path(id, "")),
        ("x-forwarded-proto", "http"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test]
async fn an_address_is_told_with_the_token_that_opens_it() {
    let server = Server::start().await;
    let id = server.create().await;
    let told = link(&server, &id, 3000).await;
    let url = format!("http://pit.test:3986{}", path(&id, ""));
    let first = told["token"].as_str().unwrap();
    assert_eq!(told, json!({"sandboxId": id, "url": url, "token": first}));
    assert_eq!(link(&server, &id, 3000).await, told);
    assert_ne!(link(&server, &id, 3001).await["token"], told["token"]);

    let told = signed(&server, &id, "?expiresInSeconds=100").await;
    let second = told["token"].as_str().unwrap();
    let url = format!("{url}/?DAYTONA_SANDBOX_AUTH_KEY={second}");
    let wanted = json!({"sandboxId": id, "port": 3000, "url": url, "token": second});
    assert_eq!(told, wanted);
    assert_ne!(signed(&server, &id, "").await["token"], told["token"]);
    for token in [first, second] {
        let answer = visit(&server, &path(&id, "/x"), &[(TOKEN, token)]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"hello"[..]));
    }
}

#[tokio::test]
async fn what_is_no_port_or_no_time_is_refused() {
    let server = Server::start().await;
    let id = server.create().await;
    for port in ["0", "65536", "x", "3000.5", "-1", "080"] {
        let answer = server.get(&format!("/api/sandbox/{id}/ports/{port}/preview-url")).await;
        let wanted = (400, "the port must be a whole number from 1 to 65535".to_owned());
        assert_eq!(answer.refusal(), wanted, "{port}");
        let answer = visit(&server, &format!("/toolbox/{id}/proxy/{port}/"), &[]).await;
        assert_eq!(answer.refusal(), wanted, "{port}");
    }
    for seconds in ["0", "86401", "-5", "x", "99999999999"] {
        let query = format!("?expiresInSeconds={seconds}");
        let path = format!("/api/sandbox/{id}/ports/80/signed-preview-url{query}");
        assert_eq!(server.get(&path).await.refusal().0, 400, "{seconds}");
    }
}

#[tokio::test]
async fn a_private_port_opens_to_its_own_token_and_key_alone() {
    let server = Server::start().await;
    let (id, other) = (server.create().await, server.create().await);
    let own = token(&server, &id).await;
    let for_another_port = link(&server, &id, 3001).await["token"].as_str().unwrap().to_owned();
    let for_another_sandbox = token(&server, &other).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let mut refusals = Vec::new();
    for (id, headers) in [
        (&*id, &[][..]),
        (&*id, &[(TOKEN, "")]),
        (&*id, &[(TOKEN, "wrong")]),
        (&*id, &[(TOKEN, &*for_another_port)]),
        (&*id, &[(TOKEN, &*for_another_sandbox)]),
        (&*id, &[("authorization", "Bearer wrong")]),
        (&*id, &[("authorization", &*format!("Bearer {own}"))]),
        (&*id, &[("x-api-key", &*server.key)]),
        (&*id, &[("cookie", &*format!("daytona-sandbox-auth-{other}={own}"))]),
        (nobody, &[]),
        (nobody, &[(TOKEN, &*own)]),
    ] {
        let answer = visit(&server, &path(id, "/x"), headers).await;
        refusals.push(answer.refusal());
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    // The same words whether there is such a sandbox or not.
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].0, 401);

    let stranger = format!("Bearer {}", server.other_organization());
    for (id, headers) in
        [(&*id, [("authorization", &*stranger)]), (nobody, [("authorization", &*stranger)])]
    {
        let answer = visit(&server, &path(id, "/x"), &headers).await;
        let missing = format!("Sandbox with ID or name {id} not found");
        assert_eq!(answer.refusal(), (404, missing));
    }
    assert_eq!(heard(&server), []);
    let bearer = format!("Bearer {}", server.key);
    for headers in [
        [(TOKEN, &*own)],
        [("authorization", &*bearer)],
        [(
            "cookie",
            &*format!("a=b; daytona-sandbox-auth-{id}=x; daytona-sandbox-auth-{id}={own}"),
        )],
    ] {
        assert_eq!(visit(&server, &path(&id, "/x"), &headers).await.status, StatusCode::OK);
    }
    let query = path(&id, &format!("/x?a=%2F&DAYTONA_SANDBOX_AUTH_KEY={own}&b"));
    assert_eq!(visit(&server, &query, &[]).await.status, StatusCode::OK);
    assert_eq!(heard(&server).last().unwrap().target, "/x?a=%2F&b");
}

#[tokio::test]
async fn nothing_that_proves_who_the_visitor_is_reaches_an_application() {
    let server = Server::start().await;
    let id = server.create().await;
    let own = token(&server, &id).await;
    let bearer = format!("Bearer {}", server.key);
    let cookie = format!("daytona-sandbox-auth-{id}={own}");
    let referer = format!("http://pit.test:3986{}", path(&id, "/?DAYTONA_SANDBOX_AUTH_KEY=s"));
    let sent = [
        ("authorization", &*bearer),
        (TOKEN, &own),
        ("x-api-key", &server.key),
        ("cookie", &cookie),
        ("cookie", "theirs=1"),
        ("referer", &referer),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-pitlane-request", "forged"),
    ];
    let target = path(&id, &format!("/a%2Fb//c?DAYTONA_SANDBOX_AUTH_KEY={own}"));
    assert_eq!(visit(&server, &target, &sent).await.status, StatusCode::OK);
    let mut wanted = always(&id);
    wanted.push(("cookie".to_owned(), "theirs=1".to_owned()));
    wanted.push(("referer".to_owned(), "http://localhost:3000/".to_owned()));
    wanted.sort();
    let only =
        Heard { method: Method::GET, target: "/a%2Fb//c".to_owned(), headers: wanted, id: None };
    assert_eq!(heard(&server), [only]);
}

#[tokio::test]
async fn a_browser_keeps_a_cookie_in_place_of_the_token_in_the_address() {
    let server = Server::start().await;
    let id = server.create().await;
    let navigates = ("sec-fetch-mode", "navigate");
    let told = signed(&server, &id, "?expiresInSeconds=100").await;
    let token = told["token"].as_str().unwrap();
    let with_token = path(&id, &format!("/x?a=1&DAYTONA_SANDBOX_AUTH_KEY={token}"));
    let answer = visit(&server, &with_token, &[navigates]).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], path(&id, "/x?a=1"));
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(pair, format!("daytona-sandbox-auth-{id}={token}"));
    let (scope, age) = attributes.rsplit_once('=').unwrap();
    assert_eq!(scope, format!("Path={}; HttpOnly; SameSite=Lax; Max-Age", path(&id, "/")));
    assert!((90..=100).contains(&age.parse::<u32>().unwrap()), "{age}");

    let shown = ("cookie", pair);
    assert_eq!(visit(&server, &path(&id, "/x?a=1"), &[navigates, shown]).await.body, b"hello");
    // A page of another origin cannot use it, not even one of the same host.
    for foreign in [("origin", "http://pit.test:9999"), ("sec-fetch-site", "same-site")] {
        let answer = visit(&server, &path(&id, "/x"), &[shown, foreign]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{foreign:?}");
    }

    let bare = visit(&server, &path(&id, "?q"), &[navigates, shown]).await;
    assert_eq!(bare.headers["location"], path(&id, "/?q"));
    assert!(!bare.headers.contains_key("set-cookie"));
    let double = path(&id, &format!("//evil.example/?DAYTONA_SANDBOX_AUTH_KEY={token}"));
    let answer = visit(&server, &double, &[navigates]).await;
    assert_eq!(answer.headers["location"], path(&id, "//evil.example/"));

    let wrong = path(&id, "/?DAYTONA_SANDBOX_AUTH_KEY=%3Cscript%3E");
    let page = visit(&server, &wrong, &[navigates]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(!page.headers.contains_key("set-cookie"));
    assert!(!String::from_utf8(page.body).unwrap().contains("script"));
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_ends_what_it_opened() {
    let server = Server::start().await;
    let id = server.create().await;
    let told = signed(&server, &id, "?expiresInSeconds=86400").await;
    let token = told["token"].as_str().unwrap();
    let mut client = Client::connect(server.address).await;
    let trickle = client.send(asked(&path(&id, "/trickle"), &[(TOKEN, token)])).await;
    let mut body = trickle.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");

    let expire = format!("/api/sandbox/{id}/ports/3000/signed-preview-url/{token}/expire");
    for path in [
        format!("/api/sandbox/{id}/ports/3001/signed-preview-url/{token}/expire"),
        format!("/api/sandbox/{id}/ports/3000/signed-preview-url/wrong/expire"),
    ] {
        assert_eq!(server.post(&path, "").await.refusal().0, 404, "{path}");
    }
    let stranger = request(Method::POST, &expire, Some(&server.other_organization()), "");
    assert_eq!(call(server.address, stranger).await.status, StatusCode::NOT_FOUND);
    assert_eq!(visit(&server, &path(&id, "/x"), &[(TOKEN, token)]).await.status, StatusCode::OK);

    let expired = server.post(&expire, "").await;
    assert_eq!((expired.status, &*expired.body), (StatusCode::OK, &b""[..]));
    let cookie = format!("daytona-sandbox-auth-{id}={token}");
    for shown in [(TOKEN, token), ("cookie", &cookie)] {
        let answer = visit(&server, &path(&id, "/x"), &[shown]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let broken = tokio::time::timeout(DEADLINE, body.frame()).await.expect("it goes on");
    assert!(broken.is_none_or(|frame| frame.is_err()));
    assert_eq!(server.post(&expire, "").await.refusal().0, 404);
}

#[tokio::test]
async fn a_token_for_a_while_works_no_longer() {
    let server = Server::start().await;
    let id = server.create().await;
    let told = signed(&server, &id, "?expiresInSeconds=1").await;
    let token = told["token"].as_str().unwrap();
    let waiting = async {
        loop {
            let mut client = Client::connect(server.address).await;
            let answer = client.try_send(asked(&path(&id, "/x"), &[(TOKEN, token)])).await;
            // An answer that is on its way when the time is up breaks off.
            if answer.is_ok_and(|answer| answer.status() != StatusCode::OK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("it works for ever");
}

#[tokio::test]
async fn a_public_sandbox_is_open_to_anybody_and_its_toolbox_is_not() {
    let server = Server::start().await;
    let id = public(&server).await;
    let answer = visit(&server, &path(&id, "/x"), &[(TOKEN, "wrong")]).await;
    assert_eq!(answer.body, b"hello");
    assert!(!answer.headers.contains_key("vary"));
    assert_eq!(heard(&server)[0].headers, always(&id));
    for rest in ["/x", "/proxy", "//proxy/3000/", "/x/../proxy/3000/", "/%70roxy/3000/"] {
        let answer = visit(&server, &format!("/toolbox/{id}{rest}"), &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{rest}");
    }
    // Dots do not lead from an application to the toolbox.
    let dots = path(&id, "/../../process/execute");
    assert_eq!(visit(&server, &dots, &[]).await.status, StatusCode::OK);
    assert_eq!(heard(&server).last().unwrap().target, "/../../process/execute");
}

#[tokio::test]
async fn a_sandbox_that_is_public_no_more_is_closed_at_once() {
    let server = Server::start().await;
    let id = public(&server).await;
    let mut client = Client::connect(server.address).await;
    let trickle = client.send(asked(&path(&id, "/trickle"), &[])).await;
    let mut body = trickle.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    let closed = server.post(&format!("/api/sandbox/{id}/public/false"), "").await;
    assert_eq!(closed.status, StatusCode::OK);
    assert_eq!(visit(&server, &path(&id, "/x"), &[]).await.status, StatusCode::UNAUTHORIZED);
    let broken = tokio::time::timeout(DEADLINE, body.frame()).await.expect("it goes on");
    assert!(broken.is_none_or(|frame| frame.is_err()));
}

#[tokio::test]
async fn bodies_pass_as_they_come() {
    let server = Server::start().await;
    let id = public(&server).await;
    let large = vec![b'x'; 3_000_000];
    let sent = request(Method::PUT, &path(&id, "/echo"), None, large.clone());
    assert!(call(server.address, sent).await.body == large);

    let mut client = Client::connect(server.address).await;
    let trickle = client.send(asked(&path(&id, "/trickle"), &[])).await;
    let first = trickle.into_body().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first");
    client.hang_up().await;

    let mut client = Client::connect(server.address).await;
    let answer = client.send(asked(&path(&id, "/trailers"), &[("te", "trailers")])).await;
    let whole = answer.into_body().collect().await.unwrap();
    let wanted = HeaderMap::from_iter([("x-sum".parse().unwrap(), "5".parse().unwrap())]);
    assert_eq!(whole.trailers(), Some(&wanted));
    assert_eq!(whole.to_bytes(), Bytes::from_static(b"hello"));

    let head = call(server.address, request(Method::HEAD, &path(&id, "/x"), None, "")).await;
    assert_eq!(
        (head.status, &head.headers["content-length"]),
        (StatusCode::OK, &"5".parse().unwrap())
    );
    let range = visit(&server, &path(&id, "/x"), &[("range", "bytes=0-1")]).await;
    assert_eq!(range.status, StatusCode::OK);
    assert!(heard(&server).last().unwrap().headers.contains(&("range".into(), "bytes=0-1".into())));
}

#[tokio::test]
async fn a_websocket_passes_through_a_preview() {
    let server = Server::start().await;
    let id = server.create().await;
    let own = token(&server, &id).await;
    let mut client = Client::connect(server.address).await;
    let wish = [
        (TOKEN, &*own),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "http://pit.test:3986"),
    ];
    let answer = client.send(asked(&path(&id, "/switch"), &wish)).await;
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.headers()["upgrade"], "websocket");
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    for text in ["a", "bytes \0\u{1}", "end"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text);
    }
    let headers = heard(&server).remove(0).headers;
    for (name, value) in [
        ("origin", "http://localhost:3000"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{headers:?}");
    }
    let stop = format!("/api/sandbox/{id}/stop");
    assert_eq!(server.post(&stop, "").await.status, StatusCode::OK);
    let ended = tokio::time::timeout(DEADLINE, stream.read(&mut [0])).await.expect("it stays open");
    assert!(matches!(ended, Ok(0) | Err(_)));
    client.hang_up().await;
    server.stop().await;
}

#[tokio::test]
async fn an_application_speaks_for_its_own_path_alone() {
    let server = Server::start().await;
    let id = public(&server).await;
    let answer = visit(&server, &path(&id, "/sent-on"), &[]).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], path(&id, "/login"));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, [&format!("session=1; Path={}", path(&id, "/"))]);
    assert!(!answer.headers.contains_key("service-worker-allowed"));
    // Switching without being asked is no answer.
    let switched = visit(&server, &path(&id, "/switch"), &[]).await;
    assert_eq!(switched.refusal().0, 502);
}

#[tokio::test]
async fn what_cannot_be_reached_says_what_to_do() {
    let server = Server::start().await;
    let id = public(&server).await;
    for (port, status, words) in [
        (1, 502, "nothing listens on port 1 of the sandbox"),
        (2, 504, "does not accept connections"),
        (3, 502, "stop and start the sandbox"),
        (4, 502, "the application closed the connection"),
    ] {
        let at = format!("/toolbox/{id}/proxy/{port}/");
        let (told, message) = visit(&server, &at, &[]).await.refusal();
        assert_eq!(told, status, "{port}");
        assert!(message.contains(words), "{message}");
        let page = visit(&server, &at, &[("accept", "text/html")]).await;
        assert_eq!(page.status.as_u16(), status);
        assert!(String::from_utf8(page.body).unwrap().contains(words));
        assert_eq!(page.headers["content-security-policy"], "sandbox; default-src 'none'");
    }
    for method in [Method::CONNECT, Method::TRACE] {
        let at = path(&id, "/");
        let sent = format!("{method} {at} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let told = crate::raw::ask(&server, sent.as_bytes()).await.unwrap();
        assert!((400..500).contains(&told.status), "{method} {told:?}");
    }
    let stop = format!("/api/sandbox/{id}/stop");
    assert_eq!(server.post(&stop, "").await.status, StatusCode::OK);
    let stopped = visit(&server, &path(&id, "/"), &[]).await;
    assert_eq!(stopped.refusal(), (400, format!("Sandbox {id} is stopped; start it")));
    assert_eq!(heard(&server), []);
}

#[tokio::test]
async fn a_stop_ends_the_tokens_of_the_run_and_keeps_those_for_a_while() {
    let server = Server::start().await;
    let id = server.create().await;
    let of_run = token(&server, &id).await;
    let told = signed(&server, &id, "?expiresInSeconds=1000").await;
    let for_a_while = told["token"].as_str().unwrap();
    for change in ["stop", "start"] {
        let changed = server.post(&format!("/api/sandbox/{id}/{change}"), "").await;
        assert_eq!(changed.status, StatusCode::OK);
    }
    let visited =
        async |token: &str| visit(&server, &path(&id, "/x"), &[(TOKEN, token)]).await.status;
    assert_eq!(visited(&of_run).await, StatusCode::UNAUTHORIZED);
    assert_eq!(visited(for_a_while).await, StatusCode::OK);
    assert_eq!(visited(&token(&server, &id).await).await, StatusCode::OK);
    assert_eq!(server.delete(&format!("/api/sandbox/{id}")).await.status, StatusCode::OK);
    assert_eq!(visited(for_a_while).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_so_many_visitors_at_once() {
    let server = Server::start().await;
    let id = public(&server).await;
    let mut open = Vec::new();
    for _ in 0..256 {
        let mut client = Client::connect(server.address).await;
        let answer = client.send(asked(&path(&id, "/trickle"), &[])).await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push((client, answer));
    }
    let refused = visit(&server, &path(&id, "/x"), &[]).await;
    assert_eq!(refused.refusal().0, 503);
    assert_eq!(refused.headers["retry-after"], "1");
    let (client, answer) = open.remove(0);
    drop(answer);
    client.hang_up().await;
    let waiting = async {
        while visit(&server, &path(&id, "/x"), &[]).await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("no place became free");
}

#[tokio::test]
async fn a_cookie_proves_nothing_to_the_api() {
    let server = Server::start().await;
    let id = server.create().await;
    let own = token(&server, &id).await;
    for value in [&own, &server.key] {
        let cookie = format!("daytona-sandbox-auth-{id}={value}");
        for at in ["/api/sandbox".to_owned(), format!("/toolbox/{id}/hello")] {
            let shown = [("cookie", &*cookie), (TOKEN, &**value)];
            let answer = visit(&server, &at, &shown).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{at}");
        }
    }
    assert_eq!(heard(&server), []);
}

#[tokio::test]
async fn a_visit_that_is_not_to_count_leaves_the_sandbox_as_idle_as_it_was() {
    let server = Server::start().await;
    let id = public(&server).await;
    let last = async || {
        let sandbox = server.get(&format!("/api/sandbox/{id}")).await.json();
        sandbox["lastActivityAt"].as_str().unwrap().to_owned()
    };
    let before = last().await;
    let unnoticed = [("x-daytona-skip-last-activity-update", "true")];
    assert_eq!(visit(&server, &path(&id, "/"), &unnoticed).await.status, 200);
    assert_eq!(last().await, before);
    assert_eq!(visit(&server, &path(&id, "/"), &[]).await.status, 200);
    assert_ne!(last().await, before);
}
