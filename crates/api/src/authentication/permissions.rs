//! Which permission each operation needs; the one place that decides it.
//!
//! A route that asks who is calling and has no row here lets nobody in.

use http::Method;
use pitlane_control::Principal;
use pitlane_model::Permission;

use crate::refusal::Refusal;
use crate::toolbox;

/// One of these is enough.
type AnyOf = &'static [Permission];

/// Every key may, also one without permissions.
const ANYBODY: AnyOf = &[];
/// Every key that may do anything at all.
const ANY_PERMISSION: AnyOf = &Permission::ALL;
/// Looking at sandboxes shows their variables, so the key must be for sandboxes.
const READ_SANDBOXES: AnyOf = &[Permission::WriteSandboxes, Permission::DeleteSandboxes];
/// Also all that leads into a sandbox: its toolbox, addresses and tokens of previews, signing keys.
const WRITE_SANDBOXES: AnyOf = &[Permission::WriteSandboxes];
const DELETE_SANDBOXES: AnyOf = &[Permission::DeleteSandboxes];
/// Who makes sandboxes has to know from what.
const READ_SNAPSHOTS: AnyOf = &[
    Permission::WriteSandboxes,
    Permission::DeleteSandboxes,
    Permission::WriteSnapshots,
    Permission::DeleteSnapshots,
];
/// Whoever may have an image built may bring the files for it.
const UPLOAD: AnyOf = &[Permission::WriteSandboxes, Permission::WriteSnapshots];
const WRITE_SNAPSHOTS: AnyOf = &[Permission::WriteSnapshots];
const DELETE_SNAPSHOTS: AnyOf = &[Permission::DeleteSnapshots];
const READ_REGISTRIES: AnyOf = &[Permission::WriteRegistries, Permission::DeleteRegistries];
const WRITE_REGISTRIES: AnyOf = &[Permission::WriteRegistries];
const DELETE_REGISTRIES: AnyOf = &[Permission::DeleteRegistries];
/// Who makes sandboxes has to know what to mount in them; who looks at them sees what is.
const READ_VOLUMES: AnyOf = &[
    Permission::ReadVolumes,
    Permission::WriteVolumes,
    Permission::DeleteVolumes,
    Permission::WriteSandboxes,
    Permission::DeleteSandboxes,
];
const WRITE_VOLUMES: AnyOf = &[Permission::WriteVolumes];
const DELETE_VOLUMES: AnyOf = &[Permission::DeleteVolumes];
const MANAGE_KEYS: AnyOf = &[Permission::ManageKeys];
const MANAGE_ORGANIZATIONS: AnyOf = &[Permission::ManageOrganizations];

/// Who may listen to events, which show sandboxes.
pub(crate) const EVENTS: AnyOf = READ_SANDBOXES;

/// Operations of the control plane by method and path behind `/api`. A variable segment is `{}`.
const TABLE: &[(&str, &str, AnyOf)] = &[
    ("GET", "/api-keys/current", ANYBODY),
    ("GET", "/api-keys", MANAGE_KEYS),
    ("POST", "/api-keys", MANAGE_KEYS),
    ("GET", "/api-keys/{}", MANAGE_KEYS),
    ("DELETE", "/api-keys/{}", MANAGE_KEYS),
    ("DELETE", "/api-keys/{}/{}", MANAGE_KEYS),
    ("GET", "/object-storage/push-access", UPLOAD),
    ("GET", "/organizations", ANY_PERMISSION),
    ("POST", "/organizations", MANAGE_ORGANIZATIONS),
    ("GET", "/organizations/{}", ANY_PERMISSION),
    ("DELETE", "/organizations/{}", MANAGE_ORGANIZATIONS),
    ("GET", "/docker-registry", READ_REGISTRIES),
    ("POST", "/docker-registry", WRITE_REGISTRIES),
    ("GET", "/docker-registry/{}", READ_REGISTRIES),
    ("PATCH", "/docker-registry/{}", WRITE_REGISTRIES),
    ("DELETE", "/docker-registry/{}", DELETE_REGISTRIES),
    ("GET", "/snapshots", READ_SNAPSHOTS),
    ("POST", "/snapshots", WRITE_SNAPSHOTS),
    ("GET", "/snapshots/{}", READ_SNAPSHOTS),
    ("DELETE", "/snapshots/{}", DELETE_SNAPSHOTS),
    ("GET", "/snapshots/{}/build-logs", READ_SNAPSHOTS),
    ("GET", "/snapshots/{}/build-logs-url", READ_SNAPSHOTS),
    ("POST", "/snapshots/{}/activate", WRITE_SNAPSHOTS),
    ("POST", "/snapshots/{}/deactivate", WRITE_SNAPSHOTS),
    ("GET", "/volumes", READ_VOLUMES),
    ("POST", "/volumes", WRITE_VOLUMES),
    ("GET", "/volumes/{}", READ_VOLUMES),
    ("DELETE", "/volumes/{}", DELETE_VOLUMES),
    ("GET", "/volumes/by-name/{}", READ_VOLUMES),
    ("GET", "/sandbox", READ_SANDBOXES),
    ("POST", "/sandbox", WRITE_SANDBOXES),
    ("GET", "/sandbox/paginated", READ_SANDBOXES),
    ("GET", "/sandbox/{}", READ_SANDBOXES),
    ("DELETE", "/sandbox/{}", DELETE_SANDBOXES),
    ("GET", "/sandbox/{}/toolbox-proxy-url", READ_SANDBOXES),
    ("GET", "/sandbox/{}/log", READ_SANDBOXES),
    ("GET", "/sandbox/{}/build-logs", READ_SANDBOXES),
    ("GET", "/sandbox/{}/build-logs-url", READ_SANDBOXES),
    ("POST", "/sandbox/{}/start", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/stop", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/archive", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/backup", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/recover", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/resize", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/snapshot", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/autostop/{}", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/autopause/{}", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/autoarchive/{}", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/autodelete/{}", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/ttl/{}", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/public/{}", WRITE_SANDBOXES),
    ("PUT", "/sandbox/{}/labels", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/network-settings", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/last-activity", WRITE_SANDBOXES),
    ("GET", "/sandbox/{}/signing-key", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/signing-key/rotate", WRITE_SANDBOXES),
    ("GET", "/sandbox/{}/ports/{}/preview-url", WRITE_SANDBOXES),
    ("GET", "/sandbox/{}/ports/{}/signed-preview-url", WRITE_SANDBOXES),
    ("POST", "/sandbox/{}/ports/{}/signed-preview-url/{}/expire", WRITE_SANDBOXES),
    ("GET", "/warm-pools", READ_SANDBOXES),
    ("POST", "/warm-pools", WRITE_SANDBOXES),
    ("PATCH", "/warm-pools/{}", WRITE_SANDBOXES),
    ("DELETE", "/warm-pools/{}", WRITE_SANDBOXES),
];

/// Checks that a key may do what a route is for.
///
/// # Errors
///
/// 403 names the permissions of which one would do. It says nothing of what the path names.
pub(super) fn check(principal: &Principal, method: &Method, route: &str) -> Result<(), Refusal> {
    let Some(needed) = needed(method, route) else {
        tracing::error!(%method, route, "no permission is named for this route");
        return Err(Refusal::forbidden("no key may do this"));
    };
    if needed.is_empty() || needed.iter().any(|permission| principal.may(*permission)) {
        return Ok(());
    }
    let words: Vec<&str> = needed.iter().map(|permission| permission.as_str()).collect();
    Err(Refusal::forbidden(format!("the key lacks the permission {}", words.join(" or "))))
}

fn needed(method: &Method, route: &str) -> Option<AnyOf> {
    if route.starts_with(toolbox::PREFIX) {
        return Some(WRITE_SANDBOXES);
    }
    let path = route.strip_prefix("/api")?;
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let row = TABLE.iter().find(|(verb, template, _)| *verb == method && is_same(template, path));
    row.map(|(_, _, needed)| *needed)
}

/// Whether two templates say the same, whatever their variables are called.
fn is_same(template: &str, route: &str) -> bool {
    let mut segments = route.split('/');
    template.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|found| found == wanted || wanted == "{}" && found.starts_with('{'))
    }) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_whatever_its_variables_are_called() {
        for (method, route, wanted) in [
            (Method::GET, "/api/sandbox/{idOrName}", Some(READ_SANDBOXES)),
            (Method::HEAD, "/api/sandbox/{x}", Some(READ_SANDBOXES)),
            (Method::DELETE, "/api/sandbox/{x}", Some(DELETE_SANDBOXES)),
            (Method::GET, "/api/sandbox/paginated", Some(READ_SANDBOXES)),
            (Method::POST, "/api/sandbox/{x}/autostop/{y}", Some(WRITE_SANDBOXES)),
            (Method::GET, "/api/api-keys/current", Some(ANYBODY)),
            (Method::GET, "/api/api-keys/{name}", Some(MANAGE_KEYS)),
            (Method::PATCH, "/toolbox/{*rest}", Some(WRITE_SANDBOXES)),
            (Method::PUT, "/api/sandbox", None),
            (Method::GET, "/api/sandbox/{x}/nothing", None),
            (Method::GET, "", None),
        ] {
            assert_eq!(needed(&method, route), wanted, "{method} {route}");
        }
    }

    #[test]
    fn no_operation_has_two_rows() {
        for (place, (method, path, _)) in TABLE.iter().enumerate() {
            let first = TABLE.iter().position(|(verb, other, _)| (verb, other) == (method, path));
            assert_eq!(first, Some(place), "{method} {path}");
        }
    }
}
