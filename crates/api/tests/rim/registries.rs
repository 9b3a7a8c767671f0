//! `/docker-registry`.

use http::Method;
use pitlane_model::RegistryLogin;
use serde_json::{Value, json};

use crate::http::{call, request};
use crate::server::Server;

const PASSWORD: &str = "a-password-like-no-other";

fn body(name: &str) -> Value {
    json!({"name": name, "url": "https://guarded.example", "username": "robot", "password": PASSWORD,
        "project": "team"})
}

async fn patch(server: &Server, id: &str, body: &Value) -> crate::http::Answer {
    let path = format!("/api/docker-registry/{id}");
    call(server.address, request(Method::PATCH, &path, Some(&server.key), body.to_string())).await
}

#[tokio::test]
async fn registries_come_and_go_and_never_tell_their_passwords() {
    let server = Server::start().await;
    let made = server.post("/api/docker-registry", &body("ours").to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut told = vec![made.text()];
    let made = made.json();
    let id = made["id"].as_str().unwrap();
    let shown = json!({
        "id": id, "name": "ours", "url": "https://guarded.example", "username": "robot",
        "project": "team", "registryType": "organization",
        "createdAt": made["createdAt"], "updatedAt": made["updatedAt"],
    });
    assert_eq!(made, shown);
    let path = format!("/api/docker-registry/{id}");
    assert_eq!(server.get(&path).await.json(), shown);
    assert_eq!(server.get("/api/docker-registry").await.json(), json!([shown]));

    let change =
        json!({"name": "theirs", "url": "guarded.example", "username": "robot", "password": ""});
    let changed = patch(&server, id, &change).await;
    told.push(changed.text());
    assert_eq!(changed.json()["name"], "theirs");
    assert_eq!(changed.json()["project"], "team");
    let elsewhere = json!({"name": "theirs", "url": "other.example", "username": "robot"});
    let refused = patch(&server, id, &elsewhere).await;
    told.push(refused.text());
    assert_eq!(refused.refusal().0, 400);
    let taken = server.post("/api/docker-registry", &body("theirs").to_string()).await;
    told.push(taken.text());
    assert_eq!(taken.refusal(), (409, "Registry with name theirs already exists".to_owned()));
    told.push(server.get("/api/docker-registry").await.text());
    assert!(told.iter().all(|text| !text.contains(PASSWORD)), "{told:?}");

    assert_eq!(server.delete(&path).await.status, 204);
    assert_eq!(server.get(&path).await.refusal().0, 404);
    assert_eq!(server.delete(&path).await.refusal().0, 404);
    assert_eq!(server.get("/api/docker-registry").await.json(), json!([]));
}

#[tokio::test]
async fn what_is_no_registry_is_refused() {
    let server = Server::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("url", json!("https://10.0.0.1")),
        ("url", json!("https://169.254.169.254/latest")),
        ("url", json!("http://guarded.example")),
        ("url", json!("file:///etc/passwd")),
        ("username", json!("a:b")),
        ("password", json!("")),
        ("password", json!("a\r\nb")),
        ("project", json!("UPPER")),
        ("name", Value::Null),
    ] {
        let mut wrong = body("ours");
        wrong[field] = value;
        let refused = server.post("/api/docker-registry", &wrong.to_string()).await;
        assert_eq!(refused.refusal().0, 400, "{wrong}");
        assert!(!refused.text().contains(PASSWORD), "{refused:?}");
    }
    // There is nothing to push to, and no registry is called that.
    let push = server.get("/api/docker-registry/registry-push-access").await;
    assert_eq!(push.refusal().0, 501);
}

#[tokio::test]
async fn an_image_that_came_for_a_password_is_no_other_organizations() {
    let server = Server::start().await;
    let [registry, user] = ["guarded.example", "robot"].map(str::to_owned);
    let password = PASSWORD.to_owned();
    let project = String::new();
    server.guard_registry(RegistryLogin { registry, project, user, password });
    assert_eq!(server.post("/api/docker-registry", &body("ours").to_string()).await.status, 201);
    let wish = json!({"name": "s", "imageName": "guarded.example/team/app:1"}).to_string();
    let state = async |key: &str| {
        let made = request(Method::POST, "/api/snapshots", Some(key), wish.clone());
        assert_eq!(call(server.address, made).await.status, 200);
        loop {
            let asked = request(Method::GET, "/api/snapshots/s", Some(key), "");
            let snapshot = call(server.address, asked).await.json();
            let state = snapshot["state"].as_str().unwrap().to_owned();
            if matches!(&*state, "active" | "error") {
                return state;
            }
        }
    };
    assert_eq!(state(&server.key).await, "active");
    assert_eq!(state(&server.stranger().await).await, "error");
}
