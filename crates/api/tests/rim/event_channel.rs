//! The event channel, frame by frame, as the official clients' library speaks it.

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::http::{DEADLINE, call, request};
use crate::server::Server;

/// A client's end of the channel.
pub(crate) struct Channel(WebSocketStream<TcpStream>);

impl Channel {
    /// Opens the channel as clients do: no key in the request, only in the first packet.
    pub(crate) async fn open(server: &Server, host: &str) -> Self {
        let path = "/api/socket.io/?source=sdk-python&sdkVersion=0.226.1&transport=websocket&EIO=4";
        let request = Request::get(format!("ws://{}{path}", server.address))
            .header("host", host)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let mut channel = Self(stream);
        let opening = channel.text().await.expect("an opening packet");
        let settings: Value = serde_json::from_str(opening.strip_prefix('0').unwrap()).unwrap();
        assert_eq!((&settings["upgrades"], &settings["pingInterval"]), (&json!([]), &json!(25000)));
        channel
    }

    async fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text; `None` at the end.
    async fn text(&mut self) -> Option<String> {
        loop {
            match tokio::time::timeout(DEADLINE, self.0.next()).await.expect("nothing came")? {
                // A client that does not answer pings is taken for dead.
                Ok(Message::Text(text)) if text == "2" => self.say("3".to_owned()).await,
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Shows a key and returns the answer.
    pub(crate) async fn show(&mut self, token: &Value) -> String {
        self.say(format!("40{}", json!({"token": token}))).await;
        self.text().await.expect("an answer")
    }

    /// The next event: its name and what it says.
    async fn event(&mut self) -> (String, Value) {
        let text = self.text().await.expect("an event");
        let event: (String, Value) =
            serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
        event
    }
}

#[tokio::test]
async fn a_client_hears_of_its_volumes_and_not_of_anothers() {
    let server = Server::start().await;
    let mut channel = Channel::open(&server, "pit.test:1").await;
    assert!(channel.show(&json!(server.key)).await.starts_with("40{\"sid\":"));
    let stranger = server.stranger().await;
    let theirs = request(Method::POST, "/api/volumes", Some(&stranger), r#"{"name":"theirs"}"#);
    assert_eq!(call(server.address, theirs).await.status, StatusCode::OK);
    let made = server.post("/api/volumes", r#"{"name":"data"}"#).await.json();
    let (name, created) = channel.event().await;
    assert_eq!((&*name, &created["id"]), ("volume.created", &made["id"]));
    let path = format!("/api/volumes/{}", made["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).await.status, StatusCode::OK);
    for (old, new) in [
        ("pending_create", "ready"),
        ("ready", "pending_delete"),
        ("pending_delete", "deleting"),
        ("deleting", "deleted"),
    ] {
        let (name, said) = channel.event().await;
        assert_eq!((&*name, &said["volume"]["name"]), ("volume.state.updated", &json!("data")));
        assert_eq!((&said["oldState"], &said["newState"]), (&json!(old), &json!(new)));
    }
}

#[tokio::test]
async fn a_client_hears_of_the_whole_life_of_its_sandboxes() {
    let server = Server::start().await;
    let mut channel = Channel::open(&server, "pit.test:1").await;
    let accepted = channel.show(&json!(server.key)).await;
    assert!(accepted.starts_with("40{\"sid\":"), "{accepted}");

    let id = server.create().await;
    let (name, created) = channel.event().await;
    assert_eq!((&*name, &created["id"]), ("sandbox.created", &json!(id)));
    assert_eq!(created["toolboxProxyUrl"], "http://pit.test:1/toolbox");
    let mut states = Vec::new();
    server.post(&format!("/api/sandbox/{id}/stop"), "").await;
    let path = format!("/api/sandbox/{id}");
    server.delete(&path).await;
    while states.last().is_none_or(|(_, new)| new != "destroyed") {
        let (name, said) = channel.event().await;
        assert_eq!((&*name, &said["sandbox"]["id"]), ("sandbox.state.updated", &json!(id)));
        assert_eq!(said["sandbox"]["state"], said["newState"]);
        states.push((said["oldState"].clone(), said["newState"].clone()));
    }
    let wanted = [
        ("creating", "started"),
        ("started", "stopping"),
        ("stopping", "stopped"),
        ("stopped", "destroying"),
        ("destroying", "destroyed"),
    ];
    assert_eq!(states, wanted.map(|(old, new)| (json!(old), json!(new))));
}

#[tokio::test]
async fn memory_that_runs_out_is_told_to_its_own_organization_and_ends_the_wait_for_a_line() {
    let server = Server::start().await;
    let stranger = server.other_organization();
    let mut theirs = Channel::open(&server, "h").await;
    theirs.show(&json!(stranger)).await;
    let id = server.create().await;
    let mut channel = Channel::open(&server, "pit.test:1").await;
    channel.show(&json!(server.key)).await;
    let path = format!("/api/sandbox/{id}/log");
    let last = server.get(&path).await.json()["items"][0]["number"].as_u64().unwrap();
    let path = format!("{path}?after={last}&wait=60");
    let (line, ()) = tokio::join!(server.get(&path), async {
        server.run_out_of_memory(&id, 2);
        let (name, said) = channel.event().await;
        let told = (&said["killed"], &said["sandbox"]["id"], &said["sandbox"]["state"]);
        assert_eq!(
            (&*name, told),
            ("sandbox.memory.exhausted", (&json!(2), &json!(id), &json!("started")))
        );
    });
    let line = &line.json()["items"][0];
    let told = (&line["state"], &line["by"], &line["reason"]);
    let reason = json!("its memory of 1 GiB was used up: 2 processes were killed");
    assert_eq!(told, (&json!("started"), &json!("sandbox"), &reason));

    // The stranger hears of the own sandbox first.
    let own = request(Method::POST, "/api/sandbox", Some(&stranger), "{}");
    let own = call(server.address, own).await.json()["id"].clone();
    assert_eq!(theirs.event().await.1["id"], own);
}

#[tokio::test]
async fn a_client_without_a_valid_key_is_turned_away() {
    let server = Server::start().await;
    for token in [json!("dtn_wrong"), json!(""), json!(null), json!({"$gt": ""}), json!(1)] {
        let answer = Channel::open(&server, "h").await.show(&token).await;
        assert_eq!(answer, "44{\"message\":\"unauthorized\"}", "{token}");
    }
    let mut silent = Channel::open(&server, "h").await;
    silent.say("40".to_owned()).await;
    assert_eq!(silent.text().await.as_deref(), Some("44{\"message\":\"unauthorized\"}"));
}

#[tokio::test]
async fn nobody_hears_of_another_organizations_sandboxes() {
    let server = Server::start().await;
    let stranger = server.other_organization();
    let mut theirs = Channel::open(&server, "h").await;
    theirs.show(&json!(stranger)).await;
    server.create().await;
    let own = request(Method::POST, "/api/sandbox", Some(&stranger), "{}");
    let own = call(server.address, own).await.json()["id"].clone();
    let (_, first) = theirs.event().await;
    assert_eq!(first["id"], own);
}

#[tokio::test]
async fn a_revoked_key_hears_no_more_and_an_expired_one_neither() {
    let server = Server::start().await;
    let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(2);
    for (name, expires_at) in [("revoked", Value::Null), ("expired", json!(soon.to_string()))] {
        let body =
            json!({"name": name, "permissions": ["write:sandboxes"], "expiresAt": expires_at});
        let key = server.post("/api/api-keys", &body.to_string()).await.json()["value"].clone();
        let mut channel = Channel::open(&server, "h").await;
        let accepted = channel.show(&key).await;
        assert!(accepted.starts_with("40"), "{accepted}");
        if name == "revoked" {
            let answer = server.delete("/api/api-keys/revoked").await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
        // Without anything happening that it could be told of.
        let last = channel.text().await;
        assert!(matches!(last.as_deref(), None | Some("1" | "41")), "{name}: {last:?}");
        let answer = Channel::open(&server, "h").await.show(&key).await;
        assert_eq!(answer, "44{\"message\":\"unauthorized\"}", "{name}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_for_sandboxes_is_turned_away() {
    let server = Server::start().await;
    let body = r#"{"name":"keys","permissions":["manage:keys","write:snapshots"]}"#;
    let key = server.post("/api/api-keys", body).await.json()["value"].clone();
    let answer = Channel::open(&server, "h").await.show(&key).await;
    assert_eq!(answer, "44{\"message\":\"unauthorized\"}");
}

#[tokio::test]
async fn what_is_no_websocket_is_refused() {
    let server = Server::start().await;
    let polling = "/api/socket.io/?transport=polling&EIO=4";
    let answer = call(server.address, request(Method::GET, polling, None, "")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_server_that_stops_closes_the_channel() {
    let server = Server::start().await;
    let mut channel = Channel::open(&server, "h").await;
    channel.show(&json!(server.key)).await;
    let stopping = server.stop();
    let (last, ()) = tokio::join!(channel.text(), stopping);
    assert!(matches!(last.as_deref(), None | Some("1" | "41")), "{last:?}");
}
