//! What the reference has and this server does not: such requests are told so by name.

mod missing;

use axum::extract::Request;
use http::StatusCode;

use crate::authentication::KeyHolder;
use crate::refusal::Refusal;

use self::missing::MISSING;

/// An operation of the reference without a route here.
#[derive(Debug)]
struct Missing {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    why: &'static str,
}

/// Answers what no route took: 501 for an operation of the reference, else 404. Strangers get 401 first, so that
/// nobody learns from outside what a server can do.
pub(crate) async fn unrouted(_: KeyHolder, request: Request) -> Refusal {
    let path = request.uri().path();
    match find(request.method().as_str(), path) {
        Some(missing) => Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("{} is not available in Pitlane: {}", missing.id, missing.why),
        ),
        None => Refusal::not_found(format!("Cannot {} {path}", request.method())),
    }
}

/// The same for a path that has routes for other methods.
pub(crate) async fn method_not_allowed(caller: KeyHolder, request: Request) -> Refusal {
    let method = request.method().clone();
    if find(method.as_str(), request.uri().path()).is_some() {
        return unrouted(caller, request).await;
    }
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not allowed here"))
}

fn find(method: &str, path: &str) -> Option<&'static Missing> {
    let path = path.strip_prefix("/api")?;
    MISSING.iter().find(|missing| missing.method == method && matches(missing.path, path))
}

/// Whether a path is one of a template's, whose variable segments are in braces.
pub(crate) fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    template.split('/').all(|wanted| match segments.next() {
        Some(segment) => segment == wanted || (wanted.starts_with('{') && !segment.is_empty()),
        None => false,
    }) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_segment_takes_any_text_but_none() {
        let template = "/sandbox/{sandboxIdOrName}/fork";
        assert!(matches(template, "/sandbox/x%2Fy/fork"));
        for other in ["/sandbox//fork", "/sandbox/x", "/sandbox/x/fork/", "/sandbox/x/forks", ""] {
            assert!(!matches(template, other), "{other}");
        }
    }

    #[test]
    fn an_operation_is_found_by_method_and_path() {
        let fork = find("POST", "/api/sandbox/x/fork").map(|missing| missing.id);
        assert_eq!(fork, Some("forkSandbox"));
        assert_eq!(find("GET", "/api/sandbox/x/fork").map(|missing| missing.id), None);
        assert_eq!(find("POST", "/sandbox/x/fork").map(|missing| missing.id), None);
    }
}
