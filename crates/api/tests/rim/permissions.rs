//! What each permission opens, on every route that the router has.

use http::{Method, StatusCode};
use pitlane_model::Permission;

use crate::http::{call, request};
use crate::routes::{self, Route};
use crate::server::Server;

/// Routes that ask nobody who is calling.
const PUBLIC: [&str; 3] = ["/api/health", "/api/health/ready", "/api/config"];

/// Routes of which nothing is there but the answer that nothing is.
const MISSING: [&str; 3] = [
    "/api/sandbox/for-runner",
    "/api/organizations/invitations",
    "/api/docker-registry/registry-push-access",
];

/// Every operation with a handler that asks for permissions, by method and path.
fn operations() -> Vec<(Method, Route)> {
    let asked = routes::all()
        .into_iter()
        .filter(|route| !PUBLIC.contains(&&*route.path) && !MISSING.contains(&&*route.path));
    asked
        .flat_map(|route| {
            let any = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
            let methods =
                if route.methods.is_empty() { any.to_vec() } else { route.methods.clone() };
            methods.into_iter().map(move |method| (method, route.clone()))
        })
        .collect()
}

/// The permissions of which one is enough; `None` if every key will do.
fn wanted(method: &Method, path: &str) -> Option<Vec<Permission>> {
    use Permission as P;
    let sandboxes = vec![P::WriteSandboxes, P::DeleteSandboxes];
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match (method.as_str(), &segments[..]) {
        ("GET", ["api", "api-keys", "current"]) => return None,
        (_, ["api", "api-keys", ..]) => vec![P::ManageKeys],
        ("GET", ["api", "organizations", ..]) => P::ALL.to_vec(),
        (_, ["api", "organizations", ..]) => vec![P::ManageOrganizations],
        ("GET", ["api", "docker-registry", ..]) => vec![P::WriteRegistries, P::DeleteRegistries],
        ("DELETE", ["api", "docker-registry", _]) => vec![P::DeleteRegistries],
        (_, ["api", "docker-registry", ..]) => vec![P::WriteRegistries],
        ("GET", ["api", "snapshots", ..]) => {
            vec![P::WriteSandboxes, P::DeleteSandboxes, P::WriteSnapshots, P::DeleteSnapshots]
        }
        ("GET", ["api", "object-storage", ..]) => vec![P::WriteSandboxes, P::WriteSnapshots],
        ("DELETE", ["api", "snapshots", _]) => vec![P::DeleteSnapshots],
        (_, ["api", "snapshots", ..]) => vec![P::WriteSnapshots],
        ("GET", ["api", "volumes", ..]) => {
            let own = [P::ReadVolumes, P::WriteVolumes, P::DeleteVolumes];
            own.into_iter().chain(sandboxes).collect()
        }
        ("DELETE", ["api", "volumes", _]) => vec![P::DeleteVolumes],
        (_, ["api", "volumes", ..]) => vec![P::WriteVolumes],
        ("GET", ["api", "warm-pools"]) => sandboxes,
        (_, ["api", "warm-pools", ..]) => vec![P::WriteSandboxes],
        // What opens a sandbox is more than looking at it.
        ("GET", ["api", "sandbox", _, "signing-key"] | ["api", "sandbox", _, "ports", ..]) => {
            vec![P::WriteSandboxes]
        }
        ("GET", ["api", "sandbox", ..]) => sandboxes,
        ("DELETE", ["api", "sandbox", _]) => vec![P::DeleteSandboxes],
        (_, ["api", "sandbox", ..] | ["toolbox", ..]) => vec![P::WriteSandboxes],
        other => panic!("no permission is thought of for {other:?}"),
    })
}

#[tokio::test]
async fn every_route_lets_in_who_has_a_permission_for_it_and_nobody_else() {
    let server = Server::start().await;
    let mut keys = vec![(None, server.key_for("none", &[]).await)];
    for permission in Permission::ALL {
        let key = server.key_for(permission.as_str(), &[permission.as_str()]).await;
        keys.push((Some(permission), key));
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (method, route) in operations() {
        let enough = wanted(&method, &route.path);
        for (permission, key) in &keys {
            let path = route.filled(&[unknown]);
            let sent = request(method.clone(), &path, Some(key), "{}");
            let answer = call(server.address, sent).await;
            let is_let_in = match (&enough, permission) {
                (None, _) => true,
                (Some(enough), Some(permission)) => enough.contains(permission),
                (Some(_), None) => false,
            };
            let what = format!("{method} {} with {permission:?}", route.path);
            if is_let_in {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}: {answer:?}");
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
            } else {
                let (status, message) = answer.refusal();
                let first = enough.as_ref().map_or("", |enough| enough[0].as_str());
                let named = format!("the key lacks the permission {first}");
                assert_eq!((status, message.starts_with(&named)), (403, true), "{what}: {message}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_without_permissions_sees_itself_and_what_everybody_sees() {
    let server = Server::start().await;
    let key = server.key_for("none", &[]).await;
    for path in ["/api/api-keys/current", "/api/config", "/api/health", "/api/health/ready"] {
        let answer = call(server.address, request(Method::GET, path, Some(&key), "")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let current = request(Method::GET, "/api/api-keys/current", Some(&key), "");
    assert_eq!(call(server.address, current).await.json()["name"], "none");
    // What is not there is told to every key, and what does not go.
    for (method, path, wanted) in [
        (Method::GET, "/api/nowhere", 404),
        (Method::GET, "/api/users/me", 501),
        (Method::PUT, "/api/sandbox", 405),
    ] {
        let answer = call(server.address, request(method, path, Some(&key), "")).await;
        assert_eq!(answer.refusal().0, wanted, "{path}");
    }
}
