//! The control plane, as clients see it.

use http::{Method, StatusCode};
use pitlane_driver::fake::Fault;
use serde_json::{Value, json};

use crate::http::{call, raw, request};
use crate::server::Server;

/// Replaces what differs from run to run by its kind, and fails on what is of no such kind.
fn settled(mut value: Value) -> Value {
    for (name, kind) in [
        ("createdAt", "date"),
        ("updatedAt", "date"),
        ("lastActivityAt", "date"),
        ("autoStopAt", "date"),
        ("timestamp", "date"),
        ("lastUsedAt", "date"),
        ("id", "id"),
        ("organizationId", "id"),
        ("userId", "id"),
    ] {
        if let Some(text) = value.get(name).and_then(Value::as_str) {
            let is_of_kind = match kind {
                "date" => text.len() == 24 && text.ends_with('Z'),
                _ => text.len() == 36 && text.split('-').count() == 5,
            };
            assert!(is_of_kind, "{name}: {text}");
            value[name] = json!(kind);
        }
    }
    value
}

#[tokio::test]
async fn a_created_sandbox_has_every_field_that_clients_require() {
    let server = Server::start().await;
    let body = r#"{"env":{},"labels":{"code-toolbox-language":"cobol"},"volumes":[]}"#;
    let answer = server.post("/api/sandbox", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let id = answer.json()["id"].clone();
    let wanted = json!({
        "id": "id", "organizationId": "id", "name": id, "user": "daytona", "env": {},
        "labels": {"code-toolbox-language": "cobol"}, "public": false, "networkBlockAll": false,
        "kvm": false, "target": answer.json()["target"], "cpu": 1, "gpu": 0, "memory": 1, "disk": 3,
        "state": "started", "desiredState": "started", "autoStopInterval": 15,
        "autoArchiveInterval": 10080, "autoDeleteInterval": -1, "volumes": [],
        "createdAt": "date", "updatedAt": "date", "lastActivityAt": "date", "autoStopAt": "date",
        "snapshot": answer.json()["snapshot"], "sandboxClass": "container",
        "daemonVersion": answer.json()["daemonVersion"],
        "toolboxProxyUrl": "http://pit.test:3986/toolbox",
    });
    assert_eq!(settled(answer.json()), wanted);
    assert!(answer.json()["target"].is_string());
    assert!(answer.json()["snapshot"].is_string());
    assert!(answer.json()["daemonVersion"].is_string());
}

#[tokio::test]
async fn what_was_asked_for_is_kept_and_found_by_id_and_by_name() {
    let server = Server::start().await;
    let body = json!({
        "name": "first sandbox", "env": {"A": "1"}, "labels": {"a": "b", "é": ""}, "public": true,
        "networkBlockAll": true, "kvm": true, "spot": true, "target": "eu", "cpu": 2, "memory": 4,
        "disk": 8, "autoStopInterval": 0, "autoArchiveInterval": 60, "autoDeleteInterval": 7,
        "autoPauseInterval": 0, "ttlMinutes": 90, "queueTimeout": 5, "gpu": 0, "secrets": [],
        "networkAllowList": "", "somethingNew": {"deep": [1]},
    });
    let made = server.post("/api/sandbox", &body.to_string()).await.json();
    for field in [
        "name",
        "env",
        "labels",
        "public",
        "networkBlockAll",
        "target",
        "cpu",
        "memory",
        "disk",
        "autoStopInterval",
        "autoArchiveInterval",
        "autoDeleteInterval",
    ] {
        assert_eq!(made[field], body[field], "{field}");
    }
    assert!(made["autoDestroyAt"].as_str().unwrap() > made["createdAt"].as_str().unwrap());
    let id = made["id"].as_str().unwrap();
    for path in [id, &id.to_uppercase(), "first%20sandbox"] {
        assert_eq!(server.get(&format!("/api/sandbox/{path}")).await.json()["id"], id, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_meant_is_refused_and_nothing_is_made() {
    let server = Server::start().await;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_label = format!("{{\"labels\":{deep}}}");
    let long_name = format!("{{\"name\":\"{}\"}}", "n".repeat(256));
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"\"",
        "1",
        "{\"cpu\":1.0}",
        "{\"cpu\":-1}",
        "{\"cpu\":\"1\"}",
        "{\"cpu\":99999999999}",
        "{\"cpu\":0}",
        "{\"cpu\":5}",
        "{\"memory\":9}",
        "{\"disk\":11}",
        "{\"env\":[]}",
        "{\"env\":{\"A\":1}}",
        "{\"env\":{\"A B\":\"\"}}",
        "{\"env\":{\"\":\"\"}}",
        "{\"env\":{\"A\":\"\\u0000\"}}",
        "{\"labels\":{\"a\":\"\\u0000\"}}",
        "{\"name\":\"a/b\"}",
        "{\"name\":\"\\u0000\"}",
        "{\"name\":1}",
        "{\"name\":\"a\\nb\"}",
        "{\"user\":\"a\\u0000\"}",
        "{\"target\":\"\\u001b\"}",
        "{\"autoStopInterval\":-1}",
        "{\"autoStopInterval\":1.5}",
        "{\"ttlMinutes\":-1}",
        "{\"autoArchiveInterval\":9999999999}",
        "{\"buildInfo\":{\"dockerfileContent\":\"FROM x\"}}",
        "{\"volumes\":[{\"volumeId\":\"v\",\"mountPath\":\"v\"}]}",
        "{\"secrets\":[{\"A\":\"b\"}]}",
        "{\"gpu\":1}",
        "{\"gpuType\":[\"H100\"]}",
        "{\"networkAllowList\":\"10.0.0.0/8\"}",
        "{\"domainAllowList\":\"x\"}",
        "{\"outboundProxyUrl\":\"http://x\"}",
        "{\"otelEndpointOverride\":\"http://x\"}",
        "{\"linkedSandbox\":\"x\"}",
        "{\"autoPauseInterval\":5}",
        "{\"snapshot\":\"nowhere\"}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        &deep,
        &deep_label,
        &long_name,
    ] {
        let answer = server.post("/api/sandbox", body).await;
        assert_eq!(answer.refusal().0, 400, "{body:.100}: {answer:?}");
    }
    for bytes in [&b"{\"name\":\"\xff\"}"[..], b"\xef\xbb\xbf{}", b"\0", b"{}\0"] {
        let sent = request(Method::POST, "/api/sandbox", Some(&server.key), bytes.to_vec());
        assert_eq!(call(server.address, sent).await.refusal().0, 400, "{bytes:?}");
    }
    let huge = format!("{{\"name\":\"{}\"}}", "n".repeat(2 << 20));
    assert_eq!(server.post("/api/sandbox", &huge).await.refusal().0, 413);
    assert_eq!(server.get("/api/sandbox").await.json()["items"], json!([]));
}

#[tokio::test]
async fn errors_say_what_the_reference_says() {
    let server = Server::start().await;
    let answer = server.get("/api/sandbox/x?verbose=true").await;
    let wanted = json!({
        "statusCode": 404, "message": "Sandbox with ID or name x not found", "error": "Not Found",
        "code": "NOT_FOUND", "source": "DAYTONA_API", "path": "/api/sandbox/x", "method": "GET",
        "timestamp": "date",
    });
    assert_eq!(settled(answer.json()), wanted);
    let unknown = server.post("/api/sandbox", r#"{"snapshot":"X"}"#).await.refusal();
    let text = "Snapshot X not found. Did you add it through the Daytona Dashboard?";
    assert_eq!(unknown, (400, text.to_owned()));
    server.post("/api/sandbox", r#"{"name":"n"}"#).await;
    let taken = server.post("/api/sandbox", r#"{"name":"n"}"#).await.refusal();
    assert_eq!(taken, (409, "Sandbox with name n already exists".to_owned()));
    let snapshot = server.get("/api/config").await.json()["defaultSnapshot"].clone();
    let both = json!({"snapshot": snapshot, "cpu": 1}).to_string();
    assert_eq!(server.post("/api/sandbox", &both).await.refusal().0, 400);
}

#[tokio::test]
async fn a_failure_inside_is_told_by_its_number_alone() {
    let server = Server::start().await;
    server.fail_next_create(Fault::Host);
    let answer = server.post("/api/sandbox", "{}").await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let wanted = format!("the sandbox could not be created (request {id})");
    assert_eq!(answer.refusal(), (500, wanted));
}

#[tokio::test]
async fn a_failure_that_the_caller_can_mend_says_how() {
    let server = Server::start().await;
    for (fault, wanted) in [
        (Fault::Full, (503, "this machine has no room for another sandbox")),
        (Fault::NoUser, (400, "the image has no user \"daytona\"")),
    ] {
        server.fail_next_create(fault);
        let (status, message) = server.post("/api/sandbox", "{}").await.refusal();
        assert_eq!((status, &*message), wanted);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_sandbox_stops_starts_and_goes() {
    let server = Server::start().await;
    let id = server.create().await;
    let path = format!("/api/sandbox/{id}");
    let state = |answer: crate::http::Answer| answer.json()["state"].as_str().unwrap().to_owned();
    assert_eq!(state(server.post(&format!("{path}/start"), "").await), "started");
    assert_eq!(state(server.post(&format!("{path}/stop?force=true"), "").await), "stopped");
    assert_eq!(server.post(&format!("{path}/stop?force=false"), "").await.refusal().0, 400);
    assert_eq!(state(server.post(&format!("{path}/start"), "").await), "started");
    let gone = state(server.delete(&path).await);
    assert!(["destroying", "destroyed"].contains(&&*gone), "{gone}");
    server.eventually(&path, |answer| answer.status == StatusCode::NOT_FOUND).await;
    let again = server.delete(&path).await;
    assert_eq!(again.refusal().0, 404);
}

#[tokio::test]
async fn what_belongs_to_another_organization_is_not_there() {
    let server = Server::start().await;
    let id = server.create().await;
    let stranger = server.other_organization();
    for (method, path) in [
        (Method::GET, format!("/api/sandbox/{id}")),
        (Method::DELETE, format!("/api/sandbox/{id}")),
        (Method::POST, format!("/api/sandbox/{id}/stop")),
        (Method::POST, format!("/api/sandbox/{id}/start")),
        (Method::GET, format!("/api/sandbox/{id}/toolbox-proxy-url")),
    ] {
        let answer = call(server.address, request(method, &path, Some(&stranger), "")).await;
        let missing = format!("Sandbox with ID or name {id} not found");
        assert_eq!(answer.refusal(), (404, missing), "{path}");
    }
    let listed = call(server.address, request(Method::GET, "/api/sandbox", Some(&stranger), ""));
    assert_eq!(listed.await.json(), json!({"items": [], "nextCursor": null}));
}

#[tokio::test]
async fn a_list_is_walked_by_its_cursor_and_by_pages() {
    let server = Server::start().await;
    for n in 0..5 {
        server.post("/api/sandbox", &format!(r#"{{"name":"n{n}","labels":{{"k":"v"}}}}"#)).await;
    }
    server.post("/api/sandbox", r#"{"name":"other"}"#).await;
    let filter = "labels=%7B%22k%22%3A%20%22v%22%7D&sort=name&order=asc&limit=2";
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/api/sandbox?{filter}{cursor}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4"]);
    let page = server.get(&format!("/api/sandbox/paginated?{filter}&page=2")).await.json();
    assert_eq!(
        (&page["total"], &page["page"], &page["totalPages"]),
        (&json!(5), &json!(2), &json!(3))
    );
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["items"][0]["env"].is_object());
    for (query, count) in [
        ("states=stopped", 0),
        ("states=archived", 0),
        ("states=started&states=stopped", 6),
        ("minCpu=2", 0),
        ("name=n", 5),
        ("isRecoverable=true", 0),
        ("createdAtAfter=2020-01-01T00:00:00Z", 6),
        ("createdAtBefore=2020-01-01T00:00:00Z", 0),
        ("limit=100000", 6),
    ] {
        let items = server.get(&format!("/api/sandbox?{query}")).await.json()["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), count, "{query}");
    }
    for query in ["cursor=x", "limit=0", "limit=x", "sort=x", "order=x", "labels=x", "minCpu=x"] {
        // Also where the answer would be certain without it.
        for certain in ["", "&states=none-such", "&isRecoverable=true"] {
            let answer = server.get(&format!("/api/sandbox?{query}{certain}")).await;
            assert_eq!(answer.refusal().0, 400, "{query}{certain}");
        }
    }
}

#[tokio::test]
async fn snapshots_are_listed_and_found_by_id_and_by_name() {
    let server = Server::start().await;
    let list = server.get("/api/snapshots").await.json();
    let first = list["items"][0].clone();
    assert_eq!(
        (&list["total"], &list["page"], &list["totalPages"]),
        (&json!(1), &json!(1), &json!(1))
    );
    for which in ["id", "name"] {
        let path = format!("/api/snapshots/{}", first[which].as_str().unwrap());
        assert_eq!(server.get(&path).await.json()["id"], first["id"]);
    }
    let wanted = json!({
        "id": "id", "general": true, "name": first["name"], "imageName": first["imageName"],
        "state": "active", "size": first["size"], "entrypoint": null, "cpu": 1, "gpu": 0, "mem": 1,
        "disk": 3, "errorReason": null, "createdAt": "date", "updatedAt": "date",
        "lastUsedAt": null, "sourceSandboxId": null, "sandboxClass": "container",
    });
    assert_eq!(settled(first), wanted);
    assert_eq!(server.get("/api/snapshots/nowhere").await.refusal().0, 404);
    assert_eq!(server.get("/api/snapshots?sourceSandboxId=x").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_key_is_told_once_works_and_works_no_more() {
    let server = Server::start().await;
    let body =
        r#"{"name":"ci","permissions":["write:sandboxes"],"expiresAt":"2099-01-01T00:00:00Z"}"#;
    let made = server.post("/api/api-keys", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let value = made.json()["value"].as_str().unwrap().to_owned();
    let current = request(Method::GET, "/api/api-keys/current", Some(&value), "");
    let current = call(server.address, current).await.json();
    let wanted = json!({
        "name": "ci", "value": current["value"], "createdAt": "date", "lastUsedAt": "date",
        "permissions": ["write:sandboxes"], "expiresAt": "2099-01-01T00:00:00.000Z",
        "userId": "id", "organizationId": "id",
    });
    assert_eq!(settled(current), wanted);
    let listed = server.get("/api/api-keys").await;
    assert!(!String::from_utf8(listed.body).unwrap().contains(&value));
    let forbidden = request(Method::POST, "/api/api-keys", Some(&value), body);
    assert_eq!(call(server.address, forbidden).await.refusal().0, 403);
    let delete = || request(Method::DELETE, "/api/api-keys/ci", Some(&server.key), "");
    assert_eq!(call(server.address, delete()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(server.address, delete()).await.refusal().0, 404);
    let revoked = request(Method::GET, "/api/sandbox", Some(&value), "");
    assert_eq!(call(server.address, revoked).await.refusal().0, 401);
    for body in [
        "{}",
        r#"{"name":"","permissions":[]}"#,
        r#"{"name":"x","permissions":["fly"]}"#,
        r#"{"name":"x","permissions":[],"expiresAt":"soon"}"#,
    ] {
        assert_eq!(server.post("/api/api-keys", body).await.refusal().0, 400, "{body}");
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_needs_no_key() {
    let server = Server::start().await;
    for path in ["/api/health", "/api/health/ready"] {
        let answer = call(server.address, request(Method::GET, path, None, "")).await;
        assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::OK, &json!("ok")));
    }
    let configuration = call(server.address, request(Method::GET, "/api/config", None, "")).await;
    let configuration = configuration.json();
    let wanted = json!({
        "version": "0.0.0-test",
        "oidc": {"issuer": "", "clientId": "", "audience": "", "provider": ""},
        "linkedAccountsEnabled": false, "announcements": {},
        "proxyTemplateUrl": "http://pit.test:3986/toolbox/{{sandboxId}}/proxy/{{PORT}}",
        "proxyToolboxUrl": "http://pit.test:3986/toolbox",
        "defaultSnapshot": configuration["defaultSnapshot"],
        "dashboardUrl": "http://pit.test:3986", "maxAutoArchiveInterval": 43200,
        "maintananceMode": false, "environment": "self-hosted",
    });
    assert_eq!(configuration, wanted);
}

#[tokio::test]
async fn a_strange_request_gets_an_answer_and_no_crash() {
    let server = Server::start().await;
    for (head, wanted) in [
        ("GET /api/sandbox/%00 HTTP/1.1\r\nhost: h\r\n", "404"),
        ("GET /api/sandbox/%ff%fe HTTP/1.1\r\nhost: h\r\n", "400"),
        ("GET /api/sandbox/%zz HTTP/1.1\r\nhost: h\r\n", "404"),
        ("GET /api/sandbox?limit=%00 HTTP/1.1\r\nhost: h\r\n", "400"),
        ("GET /api/sandbox/x HTTP/1.1\r\nhost: a b\r\n", "400"),
        ("GET /api/sandbox HTTP/1.1\r\n", "400"),
        ("BREW /api/sandbox HTTP/1.1\r\nhost: h\r\n", "405"),
        ("GET http://elsewhere/api/sandbox HTTP/1.1\r\nhost: h\r\n", "200"),
        ("GET /api//sandbox HTTP/1.1\r\nhost: h\r\n", "404"),
        ("GET /api/sandbox/../config HTTP/1.1\r\nhost: h\r\n", "404"),
        ("OPTIONS * HTTP/1.1\r\nhost: h\r\n", "404"),
    ] {
        let text =
            format!("{head}authorization: Bearer {}\r\nconnection: close\r\n\r\n", server.key);
        let answer = raw(server.address, text.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {wanted} ")), "{head}: {answer}");
    }
    assert_eq!(server.get("/api/sandbox").await.status, StatusCode::OK);
}
