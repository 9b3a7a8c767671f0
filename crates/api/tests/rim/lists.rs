//! Lists of sandboxes over HTTP.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{Answer, call, request};
use crate::server::Server;

fn names(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// Asks as a client of this version.
async fn get_as(server: &Server, version: &str, path: &str) -> Answer {
    let mut sent = request(Method::GET, path, Some(&server.key), "");
    sent.headers_mut().insert("x-daytona-sdk-version", version.parse().unwrap());
    call(server.address, sent).await
}

#[tokio::test]
async fn a_cursor_that_was_changed_or_taken_elsewhere_is_refused() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post("/api/sandbox", &json!({ "name": name }).to_string()).await;
    }
    let first = server.get("/api/sandbox?sort=name&order=asc&limit=1").await.json();
    assert_eq!(names(&first["items"]), ["a"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest =
        server.get(&format!("/api/sandbox?cursor={cursor}&order=asc&sort=name")).await.json();
    assert_eq!((names(&rest["items"]), &rest["nextCursor"]), (vec!["b", "c"], &Value::Null));

    let flipped = cursor.replace("na_", "nd_");
    assert_ne!(flipped, cursor);
    for query in [
        format!("cursor={}&sort=name&order=asc", &cursor[..cursor.len() - 1]),
        format!("cursor={cursor}0&sort=name&order=asc"),
        format!("cursor={flipped}&sort=name&order=desc"),
        format!("cursor={cursor}"),
        format!("cursor={cursor}&sort=name&order=asc&name=a"),
        "cursor=%00".to_owned(),
        "cursor=_".to_owned(),
    ] {
        let (status, message) = server.get(&format!("/api/sandbox?{query}")).await.refusal();
        assert_eq!((status, message.contains("begin without a cursor")), (400, true), "{query}");
    }
    let stranger = server.other_organization();
    let path = format!("/api/sandbox?cursor={cursor}&sort=name&order=asc");
    let theirs = request(Method::GET, &path, Some(&stranger), "");
    assert_eq!(call(server.address, theirs).await.refusal().0, 400);
}

#[tokio::test]
async fn clients_before_cursors_get_everything_in_a_bare_list() {
    let server = Server::start().await;
    for number in 0..250 {
        server.post("/api/sandbox", &json!({ "name": format!("n{number}") }).to_string()).await;
    }
    let path = "/api/sandbox?limit=10&sort=createdAt&order=asc";
    let bare = get_as(&server, "0.170.0", path).await.json();
    let wanted: Vec<String> = (0..250).map(|number| format!("n{number}")).collect();
    assert_eq!(names(&bare), wanted);
    assert!(bare[0]["env"].is_object());
    assert_eq!(
        get_as(&server, "0.170.0", "/api/sandbox?states=snapshotting").await.json(),
        json!([])
    );
    let newer = get_as(&server, "0.226.1", path).await.json();
    assert_eq!(names(&newer["items"]).len(), 10);
    assert_eq!(get_as(&server, "0.170.0", "/api/sandbox?limit=x").await.refusal().0, 400);
}

#[tokio::test]
async fn pages_are_numbered_and_beyond_the_last_there_is_nothing() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post("/api/sandbox", &json!({ "name": name }).to_string()).await;
    }
    for (page, wanted) in [(1, &["a", "b"][..]), (2, &["c"]), (3, &[]), (u32::MAX, &[])] {
        let path = format!("/api/sandbox/paginated?sort=name&order=asc&limit=2&page={page}");
        let answer = server.get(&path).await.json();
        assert_eq!(names(&answer["items"]), wanted, "{page}");
        let numbers = (&answer["total"], &answer["page"], &answer["totalPages"]);
        assert_eq!(numbers, (&json!(3), &json!(page), &json!(2)));
    }
    for query in ["page=0", "page=-1", "page=x", "page=4294967296", "limit=0"] {
        let answer = server.get(&format!("/api/sandbox/paginated?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn labels_are_found_whatever_is_in_them() {
    let server = Server::start().await;
    let labels = json!({"": "", "a b": "{\"c\": [1]}", "é%_'\"": "\u{1f980}"});
    let body = json!({"name": "labelled", "labels": labels}).to_string();
    assert_eq!(server.post("/api/sandbox", &body).await.status, StatusCode::OK);
    server.post("/api/sandbox", "{}").await;
    for (name, value) in labels.as_object().unwrap() {
        let wanted = json!({ name.as_str(): value }).to_string();
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("labels", &wanted).finish();
        let listed = server.get(&format!("/api/sandbox?{query}")).await.json();
        assert_eq!(names(&listed["items"]), ["labelled"], "{wanted}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for wrong in ["[]", "1", "{\"a\":null}", "{\"a\":1}", "{", &deep] {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("labels", wrong).finish();
        let answer = server.get(&format!("/api/sandbox?{query}")).await;
        assert_eq!(answer.refusal().0, 400, "{wrong:.40}");
    }
}

#[tokio::test]
async fn an_address_with_a_slash_at_its_end_is_the_same() {
    let server = Server::start().await;
    let made = server.post("/api/sandbox/", r#"{ "name": "a" }"#).await;
    assert_eq!(made.status, StatusCode::OK);
    let listed = server.get("/api/sandbox/?sort=name").await.json();
    assert_eq!(names(&listed["items"]), ["a"]);
    assert_eq!(server.get("/api/sandbox/a/").await.json()["name"], "a");
    assert_eq!(server.get("/api/sandbox//").await.refusal().0, 404);
}
