//! `/object-storage`: how clients upload build contexts. The uploads themselves are another rim's.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderValue};
use pitlane_wire::control as wire;

use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::Json;
use crate::refusal::Refusal;
use crate::state::State;

/// How a client says which one it is.
const SOURCE: &str = "x-daytona-source";

/// `GET /object-storage/push-access`.
pub(crate) async fn push_access(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let storage = &state.settings().storage;
    let storage_url = match (&storage.url, storage.https_port) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Some(port)) => over_https(&origin, port),
        (None, None) => root(&origin),
    };
    // It would fail a moment later, in a library that does not say why.
    if !storage_url.starts_with("https://") && refuses_http(&headers) {
        return Err(Refusal::bad_request(
            "this SDK uploads files over https only, and this server's object storage is at an http address: \
             its operator can serve it over https, see docs/object-storage.md",
        ));
    }
    let key = state.control().upload_keys().issue(caller.principal());
    let access = wire::StorageAccess {
        access_key: key.access_key,
        secret: key.secret,
        session_token: key.session_token,
        storage_url,
        organization_id: caller.organization().to_string(),
        bucket: storage.bucket.to_owned(),
        region: storage.region.to_owned(),
    };
    let mut response = Json(access).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The root of the host: clients sign the path that they send, so no proxy may take anything from it.
fn root(origin: &Origin) -> String {
    let url = &origin.0;
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find('/').map_or(url.len(), |path| host + path);
    url[..end].to_owned()
}

/// The same host, at another port.
fn over_https(origin: &Origin, port: u16) -> String {
    let root = root(origin);
    let host = root.split_once("://").map_or(&*root, |(_, host)| host);
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let host =
        host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
    format!("https://{host}:{port}")
}

/// Whether a client's library for uploads takes no `http` address, whatever it is told.
fn refuses_http(headers: &HeaderMap) -> bool {
    headers.get(SOURCE).is_some_and(|source| source.as_bytes().starts_with(b"sdk-python"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_storage_is_at_the_root_of_the_host() {
        for (origin, wanted) in [
            ("http://127.0.0.1:3986", "http://127.0.0.1:3986"),
            ("https://pit.example/pit/lane", "https://pit.example"),
            ("https://[::1]:8443/pit", "https://[::1]:8443"),
        ] {
            assert_eq!(root(&Origin(origin.to_owned())), wanted);
        }
        for (origin, wanted) in [
            ("http://127.0.0.1:3986", "https://127.0.0.1:9"),
            ("http://localhost", "https://localhost:9"),
            ("http://[::1]:3986", "https://[::1]:9"),
            ("https://pit.example/pit/lane", "https://pit.example:9"),
            ("http://[::1]", "https://[::1]:9"),
        ] {
            assert_eq!(over_https(&Origin(origin.to_owned()), 9), wanted);
        }
    }
}
