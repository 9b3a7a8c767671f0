//! Limits of requests, where the operator sets them.

use http::{Method, StatusCode};
use pitlane_api::{Allowance, RateLimits};

use crate::http::{Answer, call, request};
use crate::server::{Options, Server};

async fn limited(rate_limits: RateLimits) -> Server {
    Server::start_with(Options { rate_limits, ..Options::default() }).await
}

fn allowance(per_key: Option<&str>, per_organization: Option<&str>) -> Allowance {
    let limit = |text: Option<&str>| text.map(|text| text.parse().unwrap());
    Allowance { per_key: limit(per_key), per_organization: limit(per_organization) }
}

/// The headers about limits, sorted, with what a clock decides left out.
fn standing(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ratelimit"))
        .filter(|(name, _)| !name.as_str().contains("-reset-"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    headers
}

fn told(class: &str, limit: &str, remaining: &str) -> Vec<(String, String)> {
    let header =
        |what: &str, value: &str| (format!("x-ratelimit-{what}-{class}"), value.to_owned());
    vec![header("limit", limit), header("remaining", remaining)]
}

#[tokio::test]
async fn without_limits_nothing_is_said_about_them() {
    let server = Server::start().await;
    for _ in 0..20 {
        let answer = server.get("/api/sandbox").await;
        assert_eq!((answer.status, standing(&answer)), (StatusCode::OK, vec![]));
    }
}

#[tokio::test]
async fn creating_is_limited_apart_from_the_rest_and_says_when_to_come_again() {
    let server =
        limited(RateLimits { create: allowance(Some("2/hour"), None), ..RateLimits::default() })
            .await;
    for remaining in ["1", "0"] {
        let answer = server.post("/api/sandbox", "{}").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(standing(&answer), told("sandbox-create", "2", remaining));
    }
    let refused = server.post("/api/sandbox", "{}").await;
    let (status, message) = refused.refusal();
    assert_eq!(status, 429);
    assert_eq!(refused.json()["code"], "TOO_MANY_REQUESTS");
    assert_eq!(standing(&refused), told("sandbox-create", "2", "0"));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{wait}");
    assert_eq!(message, format!("too many requests; try again in {wait} s"));
    let listed = server.get("/api/sandbox").await;
    assert_eq!(listed.status, StatusCode::OK);
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    // What another organization may is not this one's business.
    let sent = request(Method::POST, "/api/sandbox", Some(&server.other_organization()), "{}");
    assert_eq!(call(server.address, sent).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_organization_has_one_limit_for_all_of_its_keys() {
    let server =
        limited(RateLimits { control: allowance(None, Some("4/hour")), ..RateLimits::default() })
            .await;
    let made =
        server.post("/api/api-keys", r#"{"name":"k","permissions":["write:sandboxes"]}"#).await;
    assert_eq!(standing(&made), told("authenticated", "4", "3"));
    let second = made.json()["value"].as_str().unwrap().to_owned();
    let ask = async |key: &str| {
        call(server.address, request(Method::GET, "/api/sandbox", Some(key), "")).await.status
    };
    let statuses =
        [ask(&server.key).await, ask(&second).await, ask(&second).await, ask(&server.key).await];
    let ok = StatusCode::OK;
    assert_eq!(statuses, [ok, ok, ok, StatusCode::TOO_MANY_REQUESTS]);
    // Health and configuration are everyone's, and strangers use up nobody's limit.
    for path in ["/api/health", "/api/health/ready", "/api/config"] {
        assert_eq!(server.get(path).await.status, ok, "{path}");
    }
    for key in [None, Some("dtn_wrong")] {
        let answer = call(server.address, request(Method::GET, "/api/sandbox", key, "")).await;
        assert_eq!((answer.status, standing(&answer)), (StatusCode::UNAUTHORIZED, vec![]));
    }
}

#[tokio::test]
async fn a_toolbox_request_too_many_does_not_reach_the_daemon() {
    let server = limited(RateLimits {
        toolbox: allowance(Some("3/hour"), Some("100/hour")),
        ..RateLimits::default()
    })
    .await;
    let id = server.create().await;
    let path = format!("/toolbox/{id}/hello");
    for remaining in ["2", "1", "0"] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(standing(&answer), told("toolbox", "3", remaining));
    }
    assert_eq!(server.get(&path).await.refusal().0, 429);
    assert_eq!(server.seen.all().len(), 3);
}
