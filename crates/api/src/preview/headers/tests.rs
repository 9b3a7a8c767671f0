use super::super::target::Target;
use super::*;
use crate::address::Origin;

const PREFIX: &str = "/toolbox/abababab-abab-4bab-abab-abababababab/proxy/3000";

fn place() -> Place {
    let target = Target::of(&format!("{PREFIX}/").parse().unwrap()).unwrap().unwrap();
    Place::of(&Origin("http://pit.test:1".to_owned()), &target)
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// What the application is told in any case.
const ALWAYS: [(&str, &str); 4] = [
    ("host", "localhost:3000"),
    ("x-forwarded-host", "pit.test:1"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-prefix", PREFIX),
];

fn seen_inside(sent: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut sent = headers(sent);
    inside(&mut sent, &place());
    sent
}

#[test]
fn nothing_that_proves_who_the_visitor_is_reaches_an_application() {
    let seen = seen_inside(&[
        ("authorization", "Bearer s"),
        ("proxy-authorization", "s"),
        ("x-api-key", "s"),
        ("x-daytona-preview-token", "s"),
        ("x-daytona-organization-id", "o"),
        ("cookie", "a=b; daytona-sandbox-auth-x=s"),
        ("cookie", "Daytona-Sandbox-Auth-y=s"),
        ("referer", "http://pit.test:1/toolbox/other/proxy/1/?DAYTONA_SANDBOX_AUTH_KEY=s"),
        ("x-pitlane-request", "forged"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("accept", "text/plain"),
    ]);
    let mut wanted = headers(&ALWAYS);
    wanted.extend(headers(&[("cookie", "a=b"), ("accept", "text/plain")]));
    assert_eq!(seen, wanted);
}

#[test]
fn what_speaks_about_one_connection_stays_on_it() {
    let seen = seen_inside(&[
        ("connection", "keep-alive, X-Gone, host"),
        ("x-gone", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("trailer", "x-daytona-preview-token"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("range", "bytes=0-"),
        ("te", "gzip, trailers"),
        ("accept-encoding", "gzip"),
        ("origin", "http://PIT.test:1"),
    ]);
    let mut wanted = headers(&ALWAYS);
    wanted.extend(headers(&[
        ("range", "bytes=0-"),
        ("te", "trailers"),
        ("connection", "te"),
        ("accept-encoding", "gzip"),
        ("origin", "http://localhost:3000"),
    ]));
    assert_eq!(seen, wanted);
}

#[test]
fn an_application_speaks_for_itself_and_not_for_the_origin() {
    let mut answer = headers(&[
        ("content-type", "text/html"),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("connection", "close, content-length"),
        ("location", "/login"),
        ("set-cookie", "a=b; Path=/"),
        ("set-cookie", "daytona-sandbox-auth-x=s"),
        ("clear-site-data", "*"),
        ("strict-transport-security", "max-age=1"),
        ("service-worker-allowed", "/"),
        ("alt-svc", "h3=\":443\""),
        ("x-pitlane-x", "1"),
        ("access-control-allow-origin", "*"),
        ("www-authenticate", "Basic"),
    ]);
    outside(&mut answer, &place(), true);
    let mut wanted = headers(&[
        ("content-type", "text/html"),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("access-control-allow-origin", "*"),
        ("www-authenticate", "Basic"),
    ]);
    wanted.insert(LOCATION, format!("{PREFIX}/login").parse().unwrap());
    wanted.insert(SET_COOKIE, format!("a=b; Path={PREFIX}/").parse().unwrap());
    assert_eq!(answer, wanted);
}

#[test]
fn what_was_shown_to_one_visitor_is_for_no_shared_cache() {
    for (said, wanted) in [
        ("public, max-age=60, s-maxage=600", "private, max-age=60"),
        ("no-store", "private, no-store"),
        ("", "private"),
    ] {
        let mut answer = headers(&[("cache-control", said), ("cdn-cache-control", "public")]);
        outside(&mut answer, &place(), false);
        assert_eq!(answer[CACHE_CONTROL], wanted);
        assert_eq!(answer[VARY], "cookie, authorization, x-daytona-preview-token");
        assert!(!answer.contains_key("cdn-cache-control"));
    }
}

#[test]
fn cookies_count_only_where_no_page_of_another_origin_asks() {
    for (sent, wanted) in [
        (&[][..], true),
        (&[("origin", "http://pit.test:1")], true),
        (&[("origin", "http://pit.test:2")], false),
        (&[("origin", "null")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors")], true),
        (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], true),
        (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true),
        (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")], false),
    ] {
        let mut request = http::Request::new(());
        *request.headers_mut() = headers(sent);
        let (parts, ()) = request.into_parts();
        assert_eq!(may_use_cookies(&parts, &place()), wanted, "{sent:?}");
    }
}

#[test]
fn a_person_looks_at_what_a_browser_navigates_to() {
    for (method, sent, wanted) in [
        (Method::GET, &[("sec-fetch-mode", "navigate")][..], true),
        (Method::GET, &[("accept", "text/html,*/*;q=0.8")], true),
        (Method::GET, &[("sec-fetch-mode", "cors"), ("accept", "text/html")], false),
        (Method::GET, &[("accept", "*/*")], false),
        (Method::POST, &[("sec-fetch-mode", "navigate")], false),
    ] {
        let mut request = http::Request::new(());
        *request.method_mut() = method;
        *request.headers_mut() = headers(sent);
        let (parts, ()) = request.into_parts();
        assert_eq!(is_page(&parts), wanted, "{sent:?}");
    }
}
