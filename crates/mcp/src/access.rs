//! What callers may use: the tools that work with their key.
//!
//! A key that was not seen for a while is shown to the backend before anything is done for it, so that nobody without
//! one can open sessions or have anything kept. After that the backend decides about each operation, as it does for every
//! client: what is kept here is connections, never rights.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use pitlane_tools::Tools;

use crate::caller::Caller;
use crate::places::{MOST_OF_ONE, Place, Places};

/// The most callers that are remembered.
const MAX_REMEMBERED: usize = 1024;
/// For how long a key that the backend knew is not shown to it again.
const MEMORY: Duration = Duration::from_secs(60);

/// Why a key opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// None was sent.
    #[error("send an API key, as X-API-Key: KEY or Authorization: Bearer KEY")]
    NoKey,
    /// The backend does not know it.
    #[error("the API key is unknown, expired or revoked: {0}")]
    Unknown(String),
    /// The backend could not be asked.
    #[error("the API that runs the sandboxes cannot be asked: {0}")]
    Backend(String),
}

/// Tools on their way.
pub type Opening = Pin<Box<dyn Future<Output = Result<Tools, AccessError>> + Send>>;

/// Makes the tools that work with a key, after the backend has said that it knows it.
pub type OpenWith = Arc<dyn Fn(String) -> Opening + Send + Sync>;

/// A caller, and the tools that work for them.
#[derive(Clone)]
pub struct Access {
    pub(crate) caller: Caller,
    pub(crate) tools: Tools,
}

/// Who may use what.
pub struct Keys {
    open: OpenWith,
    /// For callers without a key, if the operator wants that.
    shared: Option<Access>,
    known: Mutex<HashMap<Caller, (Tools, Instant)>>,
    places: Places,
}

/// A caller has too many requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests of this key are under way: at most {MOST_OF_ONE}")]
pub(crate) struct TooMany;

impl Access {
    /// Tools for whoever has this key.
    #[must_use]
    pub fn new(key: &str, tools: Tools) -> Self {
        Self { caller: Caller::with(key), tools }
    }

    /// The tools.
    #[must_use]
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }
}

impl Keys {
    /// Opens with what callers bring; those that bring nothing get what is `shared`.
    #[must_use]
    pub fn new(open: OpenWith, shared: Option<Access>) -> Self {
        Self { open, shared, known: Mutex::default(), places: Places::default() }
    }

    /// What a request may use: `X-API-Key`, else `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`AccessError`]: says what to send instead.
    pub async fn access(&self, headers: &HeaderMap) -> Result<Access, AccessError> {
        let Some(key) = key(headers) else {
            return self.shared.clone().ok_or(AccessError::NoKey);
        };
        let caller = Caller::with(key);
        if let Some(tools) = self.remembered(caller) {
            return Ok(Access { caller, tools });
        }
        let tools = (self.open)(key.to_owned()).await?;
        Ok(Access { caller, tools: self.remember(caller, tools) })
    }

    /// A place for a request of a caller; nobody needs one who has no key of their own.
    pub(crate) fn place(&self, caller: Caller) -> Result<Option<Place>, TooMany> {
        if self.shared.as_ref().is_some_and(|shared| shared.caller == caller) {
            return Ok(None);
        }
        self.places.take(caller).map(Some).ok_or(TooMany)
    }

    fn remembered(&self, caller: Caller) -> Option<Tools> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (tools, since) = known.get(&caller)?;
        (since.elapsed() < MEMORY).then(|| tools.clone())
    }

    /// Tools that were there before go on: they hold connections, and what was kept of outputs.
    fn remember(&self, caller: Caller, tools: Tools) -> Tools {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(&caller) {
            let oldest = known.iter().min_by_key(|(_, (_, since))| *since).map(|(who, _)| *who);
            oldest.and_then(|oldest| known.remove(&oldest));
        }
        let entry = known.entry(caller).or_insert((tools, Instant::now()));
        entry.1 = Instant::now();
        entry.0.clone()
    }
}

/// The key that a request brings.
fn key(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = || {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    own.or_else(bearer).filter(|key| !key.is_empty())
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(…)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn tools(key: &str) -> Tools {
        let key = pitlane_client::Key::new(key).unwrap();
        let endpoint = pitlane_client::Endpoint::new("http://127.0.0.1:9/api", key).unwrap();
        Tools::new(pitlane_client::Client::new(endpoint), pitlane_tools::Settings::default())
    }

    /// Keys of a backend that knows those that begin with `dtn_`, and how often it was asked.
    fn keys(shared: Option<Access>) -> (Keys, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let open: OpenWith = Arc::new(move |key| {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let is_known = key.starts_with("dtn_");
                is_known.then(|| tools(&key)).ok_or_else(|| AccessError::Unknown("no".to_owned()))
            })
        });
        (Keys::new(open, shared), asked)
    }

    #[tokio::test]
    async fn a_key_is_shown_to_the_backend_once_and_one_that_it_does_not_know_every_time() {
        let (keys, asked) = keys(None);
        let [known, unknown] = ["dtn_a", "a"].map(|key| headers(&[("x-api-key", key)]));
        for _ in 0..3 {
            assert_eq!(keys.access(&known).await.unwrap().caller, Caller::with("dtn_a"));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            let refusal = keys.access(&unknown).await.unwrap_err();
            assert_eq!(refusal, AccessError::Unknown("no".to_owned()));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        assert_eq!(keys.access(&HeaderMap::new()).await.unwrap_err(), AccessError::NoKey);
    }

    #[tokio::test]
    async fn what_is_shared_is_for_callers_without_a_key_alone() {
        let (keys, _) = keys(Some(Access::new("own", tools("dtn_own"))));
        let shared = keys.access(&HeaderMap::new()).await.unwrap();
        assert_eq!(shared.caller, Caller::with("own"));
        assert!(keys.access(&headers(&[("x-api-key", "own")])).await.is_err());
    }

    #[tokio::test]
    async fn no_more_callers_are_remembered_than_there_is_room_for() {
        let (keys, _) = keys(None);
        for number in 0..=MAX_REMEMBERED {
            let caller = Caller::with(&number.to_string());
            keys.remember(caller, tools("dtn_a"));
        }
        assert_eq!(keys.known.lock().unwrap().len(), MAX_REMEMBERED);
        assert!(keys.remembered(Caller::with("0")).is_none());
    }

    #[test]
    fn a_key_comes_in_either_header() {
        assert_eq!(key(&headers(&[("x-api-key", " dtn_a ")])), Some("dtn_a"));
        assert_eq!(key(&headers(&[("authorization", "bearer dtn_b")])), Some("dtn_b"));
        let both = headers(&[("authorization", "Bearer dtn_b"), ("x-api-key", "dtn_a")]);
        assert_eq!(key(&both), Some("dtn_a"));
        for without in [&[][..], &[("x-api-key", "")], &[("authorization", "Basic dXNlcg==")]] {
            assert_eq!(key(&headers(without)), None);
        }
    }
}
