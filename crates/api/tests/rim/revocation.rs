//! A key that works no more, on every door and in the middle of things.

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Client, DEADLINE, call, request};
use crate::routes;
use crate::server::Server;

/// How a key comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Revoked,
    Expired,
}

impl End {
    const BOTH: [Self; 2] = [Self::Revoked, Self::Expired];

    /// A key that will end so.
    async fn key(self, server: &Server) -> String {
        let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(2);
        let expires_at = (self == Self::Expired).then(|| soon.to_string());
        let body = json!({
            "name": "ending", "permissions": ["write:sandboxes"], "expiresAt": expires_at,
        });
        let made = server.post("/api/api-keys", &body.to_string()).await;
        made.json()["value"].as_str().expect("a key").to_owned()
    }

    /// Ends it, or lets its time pass.
    async fn come(self, server: &Server) {
        if self == Self::Revoked {
            let answer = server.delete("/api/api-keys/ending").await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
    }
}

#[tokio::test]
async fn an_ended_key_is_refused_on_every_route() {
    let server = Server::start().await;
    let id = server.create().await;
    let key = server.key_for("ending", &["write:sandboxes", "manage:keys"]).await;
    End::Revoked.come(&server).await;
    let public = ["/api/health", "/api/health/ready", "/api/config"];
    for route in routes::all().into_iter().filter(|route| !public.contains(&&*route.path)) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let path = route.filled(&[&id]);
            let answer = call(server.address, request(method.clone(), &path, Some(&key), "{}"));
            let wanted = (401, "the API key is not valid".to_owned());
            assert_eq!(answer.await.refusal(), wanted, "{method} {path}");
        }
    }
    assert_eq!(server.seen.all(), Vec::new());
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_ends_with_its_key() {
    for end in End::BOTH {
        let server = Server::start().await;
        let id = server.create().await;
        let key = end.key(&server).await;
        let sent = request(Method::POST, &format!("/toolbox/{id}/hang"), Some(&key), "code");
        let (answer, _) = tokio::join!(call(server.address, sent), async {
            server.seen.heard(|heard| heard.target == "/hang").await;
            end.come(&server).await;
        });
        assert_eq!(answer.refusal(), (401, "the API key is not valid any more".to_owned()));
        // The command ends with it, as if its client had gone.
        server.seen.heard(|heard| heard.target.starts_with("/pitlane/cancel/")).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_on_its_way_breaks_off_and_does_not_look_complete() {
    for end in End::BOTH {
        let server = Server::start().await;
        let id = server.create().await;
        let key = end.key(&server).await;
        let mut client = Client::connect(server.address).await;
        let sent = request(Method::GET, &format!("/toolbox/{id}/trickle"), Some(&key), "");
        let mut body = client.send(sent).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        end.come(&server).await;
        let next = timeout(DEADLINE, body.frame()).await.unwrap();
        assert!(matches!(next, Some(Err(_))), "{end:?}: {next:?}");
        server.seen.heard(|heard| heard.target.starts_with("/pitlane/cancel/")).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_websocket_is_closed_with_its_key_and_others_are_not() {
    for end in End::BOTH {
        let server = Server::start().await;
        let id = server.create().await;
        let key = end.key(&server).await;
        let mut streams = Vec::new();
        for key in [&key, &server.key] {
            let mut client = Client::connect(server.address).await;
            let path = format!("/toolbox/{id}/switch");
            let mut sent = request(Method::GET, &path, Some(key), "");
            for (name, value) in [("connection", "Upgrade"), ("upgrade", "websocket")] {
                sent.headers_mut().insert(name, value.parse().unwrap());
            }
            let answer = client.send(sent).await;
            assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
            let stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
            streams.push((stream, client));
        }
        end.come(&server).await;
        let mut rest = Vec::new();
        // Whether it is reset or just ends: nothing more comes.
        let _ended = timeout(DEADLINE, streams[0].0.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"");
        streams[1].0.write_all(b"still").await.unwrap();
        let mut back = [0; 5];
        streams[1].0.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"still");
    }
}

/// What a browser opens with a token in the address, since it can set no header.
const OF_BROWSERS: [&str; 3] = [
    "/process/pty/p/connect",
    "/process/session/s/command/c/logs?follow=true",
    "/process/interpreter/execute",
];

/// Opens a WebSocket with a token in its address and offers it as a subprotocol, too.
async fn open_with(
    server: &Server,
    id: &str,
    path: &str,
    token: &str,
) -> (Client, Response<Incoming>) {
    let and = if path.contains('?') { '&' } else { '?' };
    let path = format!("/toolbox/{id}{path}{and}DAYTONA_SANDBOX_AUTH_KEY={token}");
    let mut client = Client::connect(server.address).await;
    let mut sent = request(Method::GET, &path, None, "");
    let from = format!("http://h{path}");
    for (name, value) in
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("referer", &from), ("cookie", &from)]
    {
        sent.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = client.send(sent).await;
    (client, answer)
}

#[tokio::test]
async fn a_browsers_sockets_end_with_their_token_which_goes_no_further_than_the_rim() {
    let server = Server::start().await;
    let id = server.create().await;
    // Tokens are the sandbox's: whoever asked for one may be gone.
    let key = End::Revoked.key(&server).await;
    let ports = format!("/api/sandbox/{id}/ports/1");
    let asked = request(Method::GET, &format!("{ports}/signed-preview-url"), Some(&key), "");
    let token = call(server.address, asked).await.json()["token"].as_str().unwrap().to_owned();
    let mut streams = Vec::new();
    for path in OF_BROWSERS {
        let (client, answer) = open_with(&server, &id, path, &token).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS, "{path}");
        let stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        streams.push((stream, client));
    }
    for heard in server.seen.all() {
        assert!(!format!("{heard:?}").contains(&token), "{heard:?}");
    }
    End::Revoked.come(&server).await;
    for (stream, _client) in &mut streams {
        stream.write_all(b"still").await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"still");
    }
    let expire = format!("{ports}/signed-preview-url/{token}/expire");
    assert_eq!(server.post(&expire, "").await.status, StatusCode::OK);
    for (stream, _client) in &mut streams {
        let mut rest = Vec::new();
        // Whether it is reset or just ends: nothing more comes.
        let _ended = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"");
    }
    let (_client, answer) = open_with(&server, &id, OF_BROWSERS[0], &token).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

/// Reads what a connection says up to the end of a head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_body_that_is_held_back_until_its_key_has_ended_changes_nothing() {
    let server = Server::start().await;
    let id = server.create().await;
    let sandboxes = server.get("/api/sandbox").await.json();
    let key = server.key_for("ending", &["write:sandboxes", "manage:keys"]).await;
    let key_of_its_own = json!({"name": "kept", "permissions": ["manage:keys"]}).to_string();
    let activity = format!("/api/sandbox/{id}/last-activity");
    let asked = [("/api/api-keys", &*key_of_its_own), ("/api/sandbox", "{}"), (&activity, "{}")];
    let mut held = Vec::new();
    for (path, body) in asked {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let length = body.len();
        let sent = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(sent.as_bytes()).await.unwrap();
        // Who asks is known by the time that the body is asked for.
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 100"), "{path}");
        held.push((stream, path, body));
    }
    End::Revoked.come(&server).await;
    for (mut stream, path, body) in held {
        // It may be refused before the body is there.
        stream.write_all(body.as_bytes()).await.ok();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 401"), "{path}");
    }
    assert_eq!(server.get("/api/sandbox").await.json(), sandboxes);
    let keys = server.get("/api/api-keys").await.json();
    assert!(!keys.to_string().contains("kept"), "{keys}");
}
