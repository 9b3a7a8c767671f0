//! Which headers pass between a client and a daemon.

use axum::extract::Request;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, ETAG, EXPECT, HOST,
    HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, PROXY_AUTHENTICATE, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};

use pitlane_control::Presence;

use crate::refusal::Refusal;

/// How the daemon knows a request by name, to end it when its client has gone.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-pitlane-request");

/// Headers of this name's beginning are between server and daemon.
const OWN_PREFIX: &str = "x-pitlane-";

/// What proves who the caller is, or may: an address that a browser comes from can have a token in it. None of it may
/// reach a process inside a sandbox.
const CREDENTIALS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-daytona-preview-token",
    "x-daytona-organization-id",
    "referer",
];

/// With the value `true`: the request does not count as a use of the sandbox.
const SKIP_ACTIVITY: &str = "x-daytona-skip-last-activity-update";

/// Headers that speak about one connection and not about the message. Content-Length is among them because hyper
/// writes its own.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a daemon may say of its answer.
const ANSWERS: [HeaderName; 14] = [
    ACCEPT_RANGES,
    ALLOW,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    DATE,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_PROTOCOL,
];

/// Whether a request is to count as a use of the sandbox.
pub(crate) fn presence(headers: &HeaderMap) -> Presence {
    let is_true = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"true");
    match headers.get(SKIP_ACTIVITY).is_some_and(is_true) {
        true => Presence::Unnoticed,
        false => Presence::Noticed,
    }
}

/// Takes the wish for a WebSocket out of a request. Other protocols are not offered to a daemon: an HTTP/2 tunnel
/// would go past everything here.
pub(super) fn take_upgrade(request: &mut Request) -> Option<HeaderValue> {
    wants_websocket(request.headers()).then(|| HeaderValue::from_static("websocket"))
}

/// Whether a request asks to be switched to a WebSocket.
pub(super) fn wants_websocket(headers: &HeaderMap) -> bool {
    let is_wished = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(UPGRADE);
    is_wished && protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Says the wish again on the next hop.
pub(super) fn put_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Names the request for the daemon.
pub(super) fn put_request_id(headers: &mut HeaderMap, id: &str) -> Result<(), Refusal> {
    let value = HeaderValue::from_str(id).map_err(|error| {
        Refusal::failed(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "the request could not be named",
            error,
        )
    })?;
    headers.insert(REQUEST_ID, value);
    Ok(())
}

/// Leaves of a client's headers what a daemon may see.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in CREDENTIALS {
        headers.remove(name);
    }
    headers.remove(EXPECT);
    remove_own(headers);
    headers.insert(HOST, HeaderValue::from_static("daemon"));
}

/// Leaves of a daemon's headers what may reach a client: what describes the body, and no more. The answer shares its
/// origin with the API: it may not set cookies there, open it to other sites, send browsers elsewhere, nor be taken for a
/// page of ours.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    // Of a message that says both, the length is not the one that counts.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_named_by_connection(headers);
    let others: Vec<HeaderName> =
        headers.keys().filter(|name| !ANSWERS.contains(name)).cloned().collect();
    for name in others {
        headers.remove(name);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The headers that a message itself calls those of one connection. The length is not for it to say.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| name != CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
}

fn remove_own(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn nothing_that_proves_who_the_caller_is_reaches_a_daemon() {
        let mut sent = headers(&[
            ("authorization", "Bearer s"),
            ("proxy-authorization", "s"),
            ("cookie", "daytona-sandbox-auth-x=s"),
            ("x-api-key", "s"),
            ("x-daytona-preview-token", "s"),
            ("x-daytona-organization-id", "o"),
            ("referer", "http://h/toolbox/x/files/download?DAYTONA_SANDBOX_AUTH_KEY=s"),
            ("x-pitlane-request", "forged"),
            ("x-pitlane-anything", "forged"),
            ("accept", "text/plain"),
            ("x-daytona-sdk-version", "0.226.1"),
        ]);
        clean_request(&mut sent);
        let wanted = headers(&[
            ("accept", "text/plain"),
            ("x-daytona-sdk-version", "0.226.1"),
            ("host", "daemon"),
        ]);
        assert_eq!(sent, wanted);
    }

    #[test]
    fn what_speaks_about_one_connection_stays_on_it() {
        let mut sent = headers(&[
            ("connection", "keep-alive, X-Gone"),
            ("connection", "Upgrade"),
            ("x-gone", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("range", "bytes=0-"),
        ]);
        clean_request(&mut sent);
        assert_eq!(sent, headers(&[("range", "bytes=0-"), ("host", "daemon")]));
    }

    #[test]
    fn an_answer_speaks_of_itself_and_not_of_where_it_comes_from() {
        let mut answer = headers(&[
            ("content-type", "text/html"),
            ("content-length", "5"),
            ("content-disposition", "attachment"),
            ("set-cookie", "a=b"),
            ("x-pitlane-x", "1"),
            ("connection", "close, content-length, content-disposition"),
            ("access-control-allow-origin", "*"),
            ("clear-site-data", "*"),
            ("location", "http://elsewhere.example"),
            ("refresh", "0; url=http://elsewhere.example"),
            ("service-worker-allowed", "/"),
            ("strict-transport-security", "max-age=1"),
            ("www-authenticate", "Basic"),
        ]);
        clean_answer(&mut answer);
        let wanted = headers(&[
            ("content-type", "text/html"),
            ("content-length", "5"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox"),
        ]);
        assert_eq!(answer, wanted);
    }

    #[test]
    fn only_a_websocket_is_passed_on_as_an_upgrade() {
        for (connection, upgrade, wanted) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "WebSocket", true),
            ("Upgrade, HTTP2-Settings", "h2c", false),
            ("keep-alive", "websocket", false),
            ("Upgrade", "websocket, h2c", false),
        ] {
            let mut request = Request::new(axum::body::Body::empty());
            *request.headers_mut() = headers(&[("connection", connection), ("upgrade", upgrade)]);
            assert_eq!(take_upgrade(&mut request).is_some(), wanted, "{connection} {upgrade}");
        }
    }
}
