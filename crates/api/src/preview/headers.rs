//! Which headers pass between a visitor and an application, and which of them are said differently.

use http::Method;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, COOKIE, EXPECT, HOST,
    HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERER, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::request::Parts;

use super::cookies;
use super::place::Place;

/// What proves who the visitor is, to us. None of it may reach a program inside a sandbox.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "x-api-key"];

/// Beginnings of names that are between clients and us, or that we say ourselves.
const OWN_PREFIXES: [&str; 3] = ["x-daytona-", "x-pitlane-", "x-forwarded-"];

/// Headers that speak about one connection and not about the message.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What a program would say about all of this origin, which is not its own.
const ABOUT_THE_ORIGIN: [&str; 12] = [
    "accept-ch",
    "alt-svc",
    "clear-site-data",
    "critical-ch",
    "expect-ct",
    "nel",
    "origin-agent-cluster",
    "public-key-pins",
    "report-to",
    "service-worker-allowed",
    "set-login",
    "strict-transport-security",
];

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a person is to look at the answer.
pub(super) fn is_page(request: &Parts) -> bool {
    let headers = &request.headers;
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    is_read
        && match headers.get(SEC_FETCH_MODE) {
            Some(mode) => mode == "navigate",
            None => text(headers, &ACCEPT).is_some_and(|accept| accept.contains("text/html")),
        }
}

/// Whether cookies say that the visitor wants this. Pages of other origins can have a browser send them too.
pub(super) fn may_use_cookies(request: &Parts, place: &Place) -> bool {
    let headers = &request.headers;
    if headers.contains_key(ORIGIN) {
        return text(headers, &ORIGIN).is_some_and(|origin| place.is_origin(origin));
    }
    match text(headers, &SEC_FETCH_SITE) {
        Some("cross-site" | "same-site") => is_page(request),
        _ => true,
    }
}

/// Whether a request wishes for a WebSocket. No other protocol is offered to an application: within HTTP/2 everything
/// here would be gone past.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    let is_wished = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    is_wished
        && headers
            .get(UPGRADE)
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Says the wish on the next hop, or that it is granted.
pub(super) fn put_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Makes of a visitor's headers what the application may see.
pub(super) fn inside(headers: &mut HeaderMap, place: &Place) {
    let takes_trailers =
        text(headers, &TE).is_some_and(|te| te.to_ascii_lowercase().contains("trailers"));
    remove_hop_by_hop(headers);
    // hyper writes its own, and trailers that were not announced are dropped.
    for name in [CONTENT_LENGTH, TRAILER, EXPECT] {
        headers.remove(name);
    }
    for name in ["forwarded", "x-real-ip"] {
        headers.remove(name);
    }
    for name in CREDENTIALS {
        headers.remove(name);
    }
    remove(headers, |name| OWN_PREFIXES.iter().any(|own| name.starts_with(own)));
    let sent: Vec<String> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| cookies::inside(value.to_str().ok()?))
        .collect();
    put(headers, COOKIE, (!sent.is_empty()).then(|| sent.join("; ")));
    if headers.contains_key(REFERER) {
        let referer = text(headers, &REFERER).and_then(|referer| place.referer_inside(referer));
        put(headers, REFERER, referer);
    }
    if text(headers, &ORIGIN).is_some_and(|origin| place.is_origin(origin)) {
        put(headers, ORIGIN, Some(format!("http://{}", place.host_inside())));
    }
    put(headers, HOST, Some(place.host_inside()));
    for (name, value) in [
        ("x-forwarded-host", place.authority()),
        ("x-forwarded-proto", place.scheme()),
        ("x-forwarded-prefix", place.prefix()),
    ] {
        put(headers, HeaderName::from_static(name), Some(value.to_owned()));
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Makes of an application's headers what a visitor may see.
pub(super) fn outside(headers: &mut HeaderMap, place: &Place, is_public: bool) {
    // Of a message that says both, the length is not the one that counts.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let length = headers.remove(CONTENT_LENGTH);
    remove_hop_by_hop(headers);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length);
    }
    for name in ABOUT_THE_ORIGIN {
        headers.remove(name);
    }
    remove(headers, |name| name.starts_with("x-pitlane-"));
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(value) = text(headers, &name).and_then(|value| place.outside(value)) {
            put(headers, name, Some(value));
        }
    }
    let cookies: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        // What is no text in the first place is no cookie to any browser.
        .filter_map(|value| cookies::outside(place, value.to_str().ok()?)?.parse().ok())
        .collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    if !is_public {
        keep_private(headers);
    }
}

/// Leaves of trailers what may reach a visitor.
pub(super) fn clean_trailers(trailers: &mut HeaderMap) {
    remove(trailers, |name| {
        HOP_BY_HOP.contains(&name)
            || ABOUT_THE_ORIGIN.contains(&name)
            || ["set-cookie", "location", "content-length", "host", "trailer"].contains(&name)
            || name.starts_with("x-pitlane-")
    });
}

/// What was shown to one visitor is for no cache that others are served from.
fn keep_private(headers: &mut HeaderMap) {
    for name in ["surrogate-control", "cdn-cache-control"] {
        headers.remove(name);
    }
    let said: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|directive| {
            let name = directive.split('=').next().unwrap_or_default().trim();
            !["", "public", "private", "s-maxage", "proxy-revalidate"]
                .iter()
                .any(|shared| name.eq_ignore_ascii_case(shared))
        })
        .map(str::to_owned)
        .collect();
    let directives: Vec<&str> =
        std::iter::once("private").chain(said.iter().map(String::as_str)).collect();
    put(headers, CACHE_CONTROL, Some(directives.join(", ")));
    headers
        .append(VARY, HeaderValue::from_static("cookie, authorization, x-daytona-preview-token"));
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| is_removed(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Says something once, or not at all if there is nothing to say or no header can say it.
fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    headers.remove(&name);
    if let Some(value) = value.and_then(|value| value.parse().ok()) {
        headers.insert(name, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
