//! How many requests a key and an organization may make, where the operator limits them.
//!
//! Three classes are counted apart: creating sandboxes, the rest of the control plane, toolboxes. Only requests with a
//! valid key are counted, and those for files whose address was signed: whoever has neither is refused anyway, and cannot
//! make anything here grow.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts as _, Request, State as FromState};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use pitlane_model::{KeyId, OrganizationId};

use crate::authentication::KeyHolder;
use crate::refusal::Refusal;
use crate::request::AskedBy;
use crate::state::State;
use crate::{health, metrics, toolbox};

/// After how many requests what is known about keys that were long quiet is forgotten.
const REQUESTS_PER_SWEEP: u32 = 1024;

/// So many requests in so long a time; all of them at once if the time before was quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    count: NonZeroU32,
    period: Duration,
}

/// A text that is no limit of requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not of the form NUMBER/second, NUMBER/minute or NUMBER/hour")]
pub struct ParseRateLimitError;

impl FromStr for RateLimit {
    type Err = ParseRateLimitError;

    fn from_str(text: &str) -> Result<Self, ParseRateLimitError> {
        let (count, period) = text.split_once('/').ok_or(ParseRateLimitError)?;
        let seconds = match period.trim() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            _ => return Err(ParseRateLimitError),
        };
        let count = count.trim().parse().map_err(|_no_number| ParseRateLimitError)?;
        Ok(Self { count, period: Duration::from_secs(seconds) })
    }
}

impl RateLimit {
    fn quota(self) -> Option<Quota> {
        // At most a thousand million a second: one a nanosecond is as good as no limit.
        Quota::with_period(self.period / self.count.get())
            .map(|quota| quota.allow_burst(self.count))
    }
}

/// What one class of requests is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// For each key.
    pub per_key: Option<RateLimit>,
    /// For all keys of an organization together.
    pub per_organization: Option<RateLimit>,
}

/// What requests are limited to. Nothing, unless the operator says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// `POST /sandbox`.
    pub create: Allowance,
    /// Every other request of the control plane.
    pub control: Allowance,
    /// Requests to sandboxes.
    pub toolbox: Allowance,
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Create,
    Control,
    Toolbox,
}

impl Class {
    /// The class of a request; `None` for what is never limited.
    fn of(method: &Method, path: &str) -> Option<Self> {
        if path.starts_with(toolbox::PREFIX) {
            Some(Self::Toolbox)
        } else if path.starts_with(health::PATH) || path == "/api/config" {
            None
        } else if method == Method::POST && path == "/api/sandbox" {
            Some(Self::Create)
        } else {
            Some(Self::Control)
        }
    }

    /// Its name in metrics.
    const fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Control => "control",
            Self::Toolbox => "toolbox",
        }
    }

    /// The headers that tell a client where it stands, in the reference's words where it has any.
    const fn headers(self) -> [HeaderName; 3] {
        const fn three(
            limit: &'static str,
            rest: &'static str,
            reset: &'static str,
        ) -> [HeaderName; 3] {
            [
                HeaderName::from_static(limit),
                HeaderName::from_static(rest),
                HeaderName::from_static(reset),
            ]
        }
        match self {
            Self::Create => three(
                "x-ratelimit-limit-sandbox-create",
                "x-ratelimit-remaining-sandbox-create",
                "x-ratelimit-reset-sandbox-create",
            ),
            Self::Control => three(
                "x-ratelimit-limit-authenticated",
                "x-ratelimit-remaining-authenticated",
                "x-ratelimit-reset-authenticated",
            ),
            Self::Toolbox => three(
                "x-ratelimit-limit-toolbox",
                "x-ratelimit-remaining-toolbox",
                "x-ratelimit-reset-toolbox",
            ),
        }
    }
}

/// Where a client stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    limit: u32,
    remaining: u32,
    /// When all of the limit can be used again.
    reset: Duration,
    /// When the next request will be let through, if this one was not.
    wait: Option<Duration>,
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Counts the requests of whoever `K` stands for.
struct Counter<K: Hash + Eq + Clone>(Limiter<K>);

impl<K: Hash + Eq + Clone> Counter<K> {
    fn new(limit: Option<RateLimit>) -> Option<Self> {
        let quota = limit?.quota()?;
        Some(Self(RateLimiter::hashmap(quota).with_middleware()))
    }

    fn count(&self, who: &K) -> Standing {
        match self.0.check_key(who) {
            Ok(state) => {
                let quota = state.quota();
                let limit = quota.burst_size().get();
                let remaining = state.remaining_burst_capacity();
                let used = limit.saturating_sub(remaining);
                let reset = quota.replenish_interval().saturating_mul(used);
                Standing { limit, remaining, reset, wait: None }
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                let quota = refused.quota();
                let limit = quota.burst_size().get();
                let reset = quota.replenish_interval().saturating_mul(limit);
                Standing { limit, remaining: 0, reset, wait: Some(wait) }
            }
        }
    }
}

/// The counters of one class.
struct Counters {
    keys: Option<Counter<KeyId>>,
    organizations: Option<Counter<OrganizationId>>,
    requests: AtomicU32,
}

impl Counters {
    fn new(allowance: Allowance) -> Self {
        Self {
            keys: Counter::new(allowance.per_key),
            organizations: Counter::new(allowance.per_organization),
            requests: AtomicU32::new(0),
        }
    }

    /// Counts a request that was made without a key.
    fn count_without_key(&self, organization: OrganizationId) -> Option<Standing> {
        if self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(REQUESTS_PER_SWEEP) {
            self.sweep();
        }
        self.organizations.as_ref().map(|counter| counter.count(&organization))
    }

    /// Counts a request: the tighter of the standings of its key and its organization; `None` without limits.
    fn count(&self, key: KeyId, organization: OrganizationId) -> Option<Standing> {
        if self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(REQUESTS_PER_SWEEP) {
            self.sweep();
        }
        let of_key = self.keys.as_ref().map(|counter| counter.count(&key));
        if of_key.is_some_and(|standing| standing.wait.is_some()) {
            return of_key;
        }
        let of_all = self.organizations.as_ref().map(|counter| counter.count(&organization));
        match (of_key, of_all) {
            (Some(own), Some(all)) if all.wait.is_none() && own.remaining <= all.remaining => {
                Some(own)
            }
            (own, all) => all.or(own),
        }
    }

    fn sweep(&self) {
        if let Some(Counter(limiter)) = &self.keys {
            limiter.retain_recent();
        }
        if let Some(Counter(limiter)) = &self.organizations {
            limiter.retain_recent();
        }
    }
}

/// The counters of all classes; nothing if nothing is limited.
pub(crate) struct Gate {
    create: Counters,
    control: Counters,
    toolbox: Counters,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(limits: RateLimits) -> Option<Self> {
        (limits != RateLimits::default()).then(|| Self {
            create: Counters::new(limits.create),
            control: Counters::new(limits.control),
            toolbox: Counters::new(limits.toolbox),
        })
    }

    fn count(&self, class: Class, caller: &KeyHolder) -> Option<Standing> {
        let counters = match class {
            Class::Create => &self.create,
            Class::Control => &self.control,
            Class::Toolbox => &self.toolbox,
        };
        counters.count(caller.principal().key, caller.organization())
    }
}

/// Counts a request to a sandbox that something other than a key let in.
///
/// Answers the refusal if the organization has made too many.
pub(crate) fn refuse_without_key(state: &State, organization: OrganizationId) -> Option<Response> {
    let standing = state.gate()?.toolbox.count_without_key(organization)?;
    Some(refused(Class::Toolbox, standing.wait?, organization))
}

/// The layer that refuses what is too much.
pub(crate) async fn limit(
    FromState(state): FromState<State>,
    request: Request,
    next: Next,
) -> Response {
    let Some(gate) = state.gate() else { return next.run(request).await };
    let Some(class) = Class::of(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let caller = KeyHolder::from_request_parts(&mut parts, &state).await;
    let request = Request::from_parts(parts, body);
    let Ok(caller) = caller else {
        // Whoever shows no key is answered by the route, which knows what else may open it.
        return next.run(request).await;
    };
    let Some(standing) = gate.count(class, &caller) else { return next.run(request).await };
    let mut response = match standing.wait {
        None => next.run(request).await,
        Some(wait) => refused(class, wait, caller.organization()),
    };
    tell(class, standing, response.headers_mut());
    response
}

fn refused(class: Class, wait: Duration, organization: OrganizationId) -> Response {
    metrics::rate_limited(class.label());
    let message = format!("too many requests; try again in {} s", whole_seconds(wait));
    let mut response = Refusal::new(StatusCode::TOO_MANY_REQUESTS, message).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds(wait));
    response.extensions_mut().insert(AskedBy(organization));
    response
}

fn tell(class: Class, standing: Standing, headers: &mut HeaderMap) {
    let Standing { limit, remaining, reset, .. } = standing;
    let values = [HeaderValue::from(limit), HeaderValue::from(remaining), seconds(reset)];
    headers.extend(class.headers().into_iter().zip(values));
}

fn seconds(time: Duration) -> HeaderValue {
    HeaderValue::from(whole_seconds(time))
}

/// Rounded up, so that who waits as long as told has waited long enough.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(text: &str) -> RateLimit {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_is_a_number_and_a_time() {
        let minute = RateLimit { count: NonZeroU32::MIN, period: Duration::from_secs(60) };
        assert_eq!("1/minute".parse(), Ok(minute));
        assert_eq!(" 1 / minute ".trim().parse(), Ok(minute));
        for text in
            ["", "1", "/minute", "0/minute", "-1/minute", "1/day", "1/minutes", "5000000000/hour"]
        {
            assert_eq!(text.parse::<RateLimit>(), Err(ParseRateLimitError), "{text}");
        }
    }

    #[test]
    fn requests_have_the_class_of_what_they_ask() {
        for (method, path, class) in [
            (Method::POST, "/api/sandbox", Some(Class::Create)),
            (Method::GET, "/api/sandbox", Some(Class::Control)),
            (Method::POST, "/api/sandbox/x/start", Some(Class::Control)),
            (Method::POST, "/toolbox/x/process/execute", Some(Class::Toolbox)),
            (Method::GET, "/api/health/ready", None),
            (Method::GET, "/api/config", None),
        ] {
            assert_eq!(Class::of(&method, path), class, "{method} {path}");
        }
    }

    #[test]
    fn a_key_runs_out_without_taking_from_others_until_the_organization_does() {
        let allowance = Allowance {
            per_key: Some(limit_of("2/hour")),
            per_organization: Some(limit_of("3/hour")),
        };
        let counters = Counters::new(allowance);
        let (first, second) = (KeyId::from_random([1; 16]), KeyId::from_random([2; 16]));
        let organization = OrganizationId::from_random([3; 16]);
        let asked = [first, first, first, second, second].map(|key| {
            let standing = counters.count(key, organization).unwrap();
            (standing.limit, standing.remaining, standing.wait.is_some())
        });
        let wanted = [(2, 1, false), (2, 0, false), (2, 0, true), (3, 0, false), (3, 0, true)];
        assert_eq!(asked, wanted);
        let another = OrganizationId::from_random([4; 16]);
        assert!(counters.count(KeyId::from_random([5; 16]), another).unwrap().wait.is_none());
    }

    #[test]
    fn the_wait_that_is_told_is_long_enough() {
        for (wait, told) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), told);
        }
    }
}
