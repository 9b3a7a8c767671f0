//! What belongs to another organization answers exactly as what does not exist, on every route and for every id.

use http::header::HeaderMap;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{Answer, call, request};
use crate::routes;
use crate::server::Server;

/// What an answer tells: without what differs from request to request, and with `name` made anonymous.
fn told(answer: &Answer, name: &str) -> (StatusCode, Vec<(String, String)>, Value) {
    let id = name.split(['/', '?']).next().unwrap();
    let anonymous = |text: &str| text.replace(id, "ID").replace(&id.replace(' ', "%20"), "ID");
    let text = String::from_utf8_lossy(&answer.body);
    let mut body: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!(anonymous(&text)));
    if let Some(object) = body.as_object_mut() {
        object.remove("timestamp");
        for value in object.values_mut() {
            if let Some(text) = value.as_str() {
                *value = json!(anonymous(text));
            }
        }
    }
    (answer.status, headers(&answer.headers), body)
}

/// Names differ in length, and messages repeat them.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    pairs.sort();
    pairs
}

/// A body that every operation can read.
const BODY: &str = r#"{"pool":1,"labels":{},"cpu":2,"name":"x","url":"ghcr.io","username":"x","permissions":[],"activityType":"x"}"#;

/// Ids of one organization: of a kind that a route can name, and one of that kind that nobody has.
struct Named {
    theirs: Vec<String>,
    nobodys: Vec<String>,
}

impl Named {
    /// What the variable segments of a route may stand for.
    fn of(path: &str, [sandbox, organization, volume, pool]: [&str; 4]) -> Self {
        let uuid = "00000000-0000-4000-8000-000000000000".to_owned();
        let (theirs, nobodys) = if path.starts_with("/api/api-keys") {
            (vec!["their key".to_owned()], vec!["no key".to_owned()])
        } else if path.starts_with("/api/organizations") {
            (vec![organization.to_owned()], vec![uuid])
        } else if path.starts_with("/api/volumes/by-name") {
            (vec!["their volume".to_owned()], vec!["nobodys volume".to_owned()])
        } else if path.starts_with("/api/volumes") {
            (vec![volume.to_owned()], vec![uuid])
        } else if path.starts_with("/api/warm-pools") {
            (vec![pool.to_owned()], vec![uuid])
        } else if path.starts_with("/api/docker-registry") {
            // An organization has none yet: their sandbox's id is as good as any.
            (vec![sandbox.to_owned()], vec![uuid])
        } else if path.starts_with("/api/snapshots") {
            // An organization has none of its own yet: their sandbox's id is as good as any.
            (vec![sandbox.to_owned()], vec![uuid])
        } else if path.starts_with("/toolbox") {
            let paths = ["", "/", "/process/execute", "/files?path=%2F", "/proxy/3000/", "/x"];
            let of = |id: &str| paths.iter().map(|path| format!("{id}{path}")).collect();
            (of(sandbox), of(&uuid))
        } else {
            let theirs = vec![sandbox.to_owned(), sandbox.to_uppercase(), "theirs".to_owned()];
            (theirs, vec![uuid.clone(), uuid, "nobody".to_owned()])
        };
        Self { theirs, nobodys }
    }
}

#[tokio::test]
async fn nobody_can_tell_what_is_anothers_from_what_is_not() {
    let server = Server::start().await;
    let sandbox = server.post("/api/sandbox", r#"{"name":"theirs"}"#).await.json();
    let id = sandbox["id"].as_str().unwrap();
    let organization = sandbox["organizationId"].as_str().unwrap();
    let volume = server.post("/api/volumes", r#"{"name":"their volume"}"#).await.json();
    let volume = volume["id"].as_str().unwrap();
    let pool = server.post("/api/warm-pools", r#"{"snapshot":"default","pool":2}"#).await.json();
    let pool = pool["id"].as_str().unwrap();
    server.key_for("their key", &["write:sandboxes"]).await;
    // All that a key can do, but not the operator's part, to whom organizations are known.
    let stranger = server.stranger().await;
    for route in routes::all().into_iter().filter(routes::Route::is_variable) {
        let any = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let named = Named::of(&route.path, [id, organization, volume, pool]);
        for method in any {
            for (theirs, nobodys) in named.theirs.iter().zip(&named.nobodys) {
                let mut answers = Vec::new();
                for name in [theirs, nobodys] {
                    let second = if route.path.contains("/public/") { "true" } else { "3000" };
                    let path = route.filled(&[&name.replace(' ', "%20"), second]);
                    let sent = request(method.clone(), &path, Some(&stranger), BODY);
                    let answer = call(server.address, sent).await;
                    // Nothing else is wrong with it: that there is none is the reason.
                    let wanted = if route.methods.contains(&method) || route.methods.is_empty() {
                        let is_operators =
                            route.path.contains("/organizations/") && method == Method::DELETE;
                        if is_operators { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND }
                    } else {
                        // For another method the path may be that of another route, or of nothing.
                        answer.status
                    };
                    assert_eq!(answer.status, wanted, "{method} {path}: {answer:?}");
                    assert!(!answer.status.is_success(), "{method} {path}: {answer:?}");
                    answers.push(told(&answer, name));
                }
                assert_eq!(answers[0], answers[1], "{method} {} {theirs}", route.path);
            }
        }
    }
    // Nothing of it had an effect.
    assert_eq!(server.get(&format!("/api/sandbox/{id}")).await.json()["state"], "started");
    assert_eq!(server.get("/api/api-keys/their%20key").await.status, StatusCode::OK);
    assert_eq!(server.seen.all(), Vec::new());
}

#[tokio::test]
async fn lists_show_what_is_ones_own() {
    let server = Server::start().await;
    let id = server.create().await;
    let stranger = server.stranger().await;
    let get = async |path: &str| {
        call(server.address, request(Method::GET, path, Some(&stranger), "")).await.json()
    };
    assert_eq!(get("/api/sandbox").await, json!({"items": [], "nextCursor": null}));
    assert_eq!(get(&format!("/api/sandbox?id={id}")).await["items"], json!([]));
    assert_eq!(get("/api/sandbox/paginated").await["total"], 0);
    let keys = get("/api/api-keys").await;
    let names = keys.as_array().unwrap().iter().map(|key| key["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["administrator", "stranger"]);
    assert_eq!(get("/api/organizations").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_names_live_side_by_side() {
    let server = Server::start().await;
    let stranger = server.stranger().await;
    let body = r#"{"name":"same"}"#;
    let mine = server.post("/api/sandbox", body).await.json()["id"].clone();
    let theirs = request(Method::POST, "/api/sandbox", Some(&stranger), body);
    let theirs = call(server.address, theirs).await.json()["id"].clone();
    assert_ne!(mine, theirs);
    let found = request(Method::GET, "/api/sandbox/same", Some(&stranger), "");
    assert_eq!(call(server.address, found).await.json()["id"], theirs);
    let gone = request(Method::DELETE, "/api/sandbox/same", Some(&stranger), "");
    assert_eq!(call(server.address, gone).await.status, StatusCode::OK);
    assert_eq!(server.get("/api/sandbox/same").await.json()["id"], mine);
}

#[tokio::test]
async fn an_operator_makes_an_organization_and_its_first_key() {
    let server = Server::start().await;
    let body = r#"{"name":"second","defaultRegionId":"eu"}"#;
    let made = server.post("/api/organizations", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    let organization = made["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["name"], &made["suspended"]), (&json!("second"), &json!(false)));
    assert_eq!(server.post("/api/organizations", body).await.refusal().0, 409);
    assert_eq!(server.post("/api/organizations", r#"{"name":""}"#).await.refusal().0, 400);

    let acting = |method: Method, path: &str, key: &str, organization: &str, body: &str| {
        let mut sent = request(method, path, Some(key), body.to_owned());
        sent.headers_mut().insert("x-daytona-organization-id", organization.parse().unwrap());
        sent
    };
    let body = r#"{"name":"first","permissions":["write:sandboxes","manage:keys"]}"#;
    let sent = acting(Method::POST, "/api/api-keys", &server.key, &organization, body);
    let key = call(server.address, sent).await.json()["value"].as_str().unwrap().to_owned();
    let current = request(Method::GET, "/api/api-keys/current", Some(&key), "");
    assert_eq!(call(server.address, current).await.json()["organizationId"], organization);
    let sent = acting(Method::GET, "/api/api-keys", &server.key, &organization, "");
    assert_eq!(call(server.address, sent).await.json().as_array().unwrap().len(), 1);

    // Others' word for an organization means nothing; an operator's must be right.
    let mine = server.get("/api/api-keys/current").await.json()["organizationId"].clone();
    let sent = acting(Method::GET, "/api/api-keys", &key, mine.as_str().unwrap(), "");
    assert_eq!(call(server.address, sent).await.json().as_array().unwrap().len(), 1);
    for wrong in ["x", "", "00000000-0000-4000-8000-000000000000"] {
        let sent = acting(Method::GET, "/api/api-keys", &server.key, wrong, "");
        assert_eq!(call(server.address, sent).await.refusal().0, 404, "{wrong}");
    }

    let path = format!("/api/organizations/{organization}");
    assert_eq!(server.get(&path).await.json(), made);
    let sandbox = request(Method::POST, "/api/sandbox", Some(&key), r#"{"autoDeleteInterval":0}"#);
    let sandbox = call(server.address, sandbox).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.delete(&path).await.refusal().0, 409);
    let stop = request(Method::POST, &format!("/api/sandbox/{sandbox}/stop"), Some(&key), "");
    assert_eq!(call(server.address, stop).await.status, StatusCode::OK);
    let deleting = async {
        while server.delete(&path).await.status != StatusCode::NO_CONTENT {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::http::DEADLINE, deleting).await.unwrap();
    let current = request(Method::GET, "/api/api-keys/current", Some(&key), "");
    assert_eq!(call(server.address, current).await.refusal().0, 401);
    assert_eq!(server.get(&path).await.refusal().0, 404);
    let own = format!("/api/organizations/{}", mine.as_str().unwrap());
    assert_eq!(server.delete(&own).await.refusal().0, 403);
}
