//! Health and readiness: that the process answers is one thing, that it can do its work is another.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use pitlane_control::{Chain, Control};
use pitlane_wire::control as wire;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::body::Json;
use crate::metrics;
use crate::refusal::Refusal;
use crate::state::State;

/// What paths about health begin with.
pub(crate) const PATH: &str = "/api/health";

/// How long a part may take to say how it is.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long an answer is good: asking writes to the disk, and anyone may ask.
const FRESH: Duration = Duration::from_secs(1);

/// The part that is down while the server starts.
const START: &str = "start";

/// What is asked about one part of the server: `Err` says in a sentence what is wrong.
pub type Question =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// A part of the server without which it cannot do its work.
#[derive(Clone)]
pub struct Probe {
    /// Its name: one word, the same for ever.
    pub name: &'static str,
    /// How to find out whether it works. Dropped if it takes longer than five seconds.
    pub ask: Arc<Question>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How every part is: `None` for well.
type Condition = BTreeMap<&'static str, Option<String>>;

fn is_down(condition: &Condition, part: &str) -> bool {
    condition.get(part).is_some_and(Option::is_some)
}

/// The last answer, which callers share who come at the same time.
#[derive(Debug)]
pub(crate) struct Readiness {
    probes: Vec<Probe>,
    /// Held while the parts are asked: whoever comes meanwhile wants the same answer.
    last: Mutex<Option<(Instant, Condition)>>,
}

impl Readiness {
    pub(crate) fn new(control: Control, probes: Vec<Probe>) -> Self {
        let database = Probe {
            name: "database",
            ask: Arc::new(move || {
                let control = control.clone();
                Box::pin(async move {
                    control.check().await.map_err(|error| {
                        tracing::debug!(error = %Chain(&error), "the database does not work");
                        error.to_string()
                    })
                })
            }),
        };
        let probes = std::iter::once(database).chain(probes).collect();
        Self { probes, last: Mutex::new(None) }
    }

    async fn condition(&self) -> Condition {
        let mut last = self.last.lock().await;
        if let Some((at, condition)) = &*last
            && at.elapsed() < FRESH
        {
            return condition.clone();
        }
        let mut condition = Condition::new();
        for probe in &self.probes {
            let trouble = match tokio::time::timeout(DEADLINE, (probe.ask)()).await {
                Ok(told) => told.err(),
                Err(_) => Some("does not answer in time".to_owned()),
            };
            metrics::part_is_up(probe.name, trouble.is_none());
            let was_down = last.as_ref().is_some_and(|(_, last)| is_down(last, probe.name));
            // Who watches asks all the time: only what changes is news.
            match &trouble {
                Some(why) if !was_down => tracing::warn!(part = probe.name, why, "does not work"),
                None if was_down => tracing::info!(part = probe.name, "works again"),
                Some(_) | None => {}
            }
            condition.insert(probe.name, trouble);
        }
        *last = Some((Instant::now(), condition.clone()));
        condition
    }
}

/// `GET /health`: the process answers.
pub(crate) async fn live() -> Json<wire::Health> {
    Json(wire::Health { status: "ok".to_owned() })
}

/// `GET /health/ready`: every part works; 503 with what does not, and why.
pub(crate) async fn ready(FromState(state): FromState<State>) -> Response {
    answer(state.readiness().condition().await)
}

/// `GET /health/ready` while the server starts.
pub(crate) async fn starting() -> Response {
    let why = "takes over the sandboxes of the last run and prepares the image".to_owned();
    answer(Condition::from([(START, Some(why))]))
}

/// Anything else while the server starts.
pub(crate) async fn not_started() -> Response {
    let message = "the server is starting; try again in a moment";
    let mut response = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn answer(condition: Condition) -> Response {
    let (mut info, mut error) = (BTreeMap::new(), BTreeMap::new());
    for (name, trouble) in condition {
        let is_up = trouble.is_none();
        let status = if is_up { "up" } else { "down" }.to_owned();
        let part = wire::HealthDetail { status, message: trouble };
        let parts = if is_up { &mut info } else { &mut error };
        parts.insert(name.to_owned(), part);
    }
    let (word, status) = if error.is_empty() {
        ("ok", StatusCode::OK)
    } else {
        ("error", StatusCode::SERVICE_UNAVAILABLE)
    };
    let details = info.clone().into_iter().chain(error.clone()).collect();
    let body = wire::Readiness { status: word.to_owned(), info, error, details };
    (status, Json(body)).into_response()
}
