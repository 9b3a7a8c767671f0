//! Where figures are read: a door of their own, without keys.

use std::time::Duration;

use axum::Router;
use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use pitlane_control::Control;
use pitlane_model::SandboxState;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    BUILD, METRICS, MetricKind, POOL_HITS, POOL_MISSES, POOL_READY, POOL_WANTED, SANDBOXES, changes,
};
use crate::server::Door;

/// Figures are few and asked for rarely: more readers than this wait.
const MAX_CONNECTIONS: usize = 16;

/// How often what was measured is summed up, whether anyone reads it or not: until then every single time is kept.
const UPKEEP: Duration = Duration::from_secs(5);

/// Times from half a millisecond to ten minutes.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
    120.0, 600.0,
];

/// Why nothing is measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure")]
pub struct InstallMetricsError(#[from] BuildError);

/// The figures of this process.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

/// What reading figures takes.
#[derive(Debug, Clone)]
struct Reader {
    handle: PrometheusHandle,
    /// Absent in a process without sandboxes of its own.
    control: Option<Control>,
}

impl Metrics {
    /// Begins to measure. Once in a process; without it nothing is measured and nothing is spent on it.
    ///
    /// # Errors
    ///
    /// [`InstallMetricsError`]: something else in this process measures already.
    pub fn install(version: &'static str) -> Result<Self, InstallMetricsError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        for metric in METRICS {
            match metric.kind {
                MetricKind::Counter => describe_counter!(metric.name, metric.help),
                MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
                MetricKind::Histogram => {
                    describe_histogram!(metric.name, Unit::Seconds, metric.help);
                }
            }
        }
        gauge!(BUILD, "version" => version).set(1.0);
        Ok(Self { handle })
    }

    /// Answers `GET /metrics` to whoever can reach `listener`, until `stop` is cancelled.
    pub async fn serve(self, listener: TcpListener, control: Control, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        tasks.spawn(changes::follow(control.events()));
        self.answer(listener, Some(control), stop).await;
    }

    /// Like [`Metrics::serve`], in a process that has no sandboxes.
    pub async fn serve_process(self, listener: TcpListener, stop: CancellationToken) {
        self.answer(listener, None, stop).await;
    }

    async fn answer(
        self,
        listener: TcpListener,
        control: Option<Control>,
        stop: CancellationToken,
    ) {
        let door = Door::open(listener, "metrics", MAX_CONNECTIONS, stop.clone());
        let reader = Reader { handle: self.handle.clone(), control };
        door.answer_by(Router::new().route("/metrics", get(read)).with_state(reader));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(UPKEEP) => self.handle.run_upkeep(),
            }
        }
    }
}

/// Pools are counted where they are; here they are read.
fn tell_pools(control: &Control) {
    for (pool, figures) in ["general", "own"].into_iter().zip(control.warm_pools().figures()) {
        gauge!(POOL_READY, "pool" => pool).set(number(figures.ready));
        gauge!(POOL_WANTED, "pool" => pool).set(number(figures.wanted));
        counter!(POOL_HITS, "pool" => pool).absolute(figures.hits);
        counter!(POOL_MISSES, "pool" => pool).absolute(figures.misses);
    }
}

/// There are never so many sandboxes that it matters.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

async fn read(FromState(reader): FromState<Reader>) -> Response {
    if let Some(control) = &reader.control {
        let census = control.sandboxes().census();
        for state in SandboxState::ALL {
            let count = census.get(&state).copied().unwrap_or(0);
            gauge!(SANDBOXES, "state" => state.as_str()).set(f64::from(count));
        }
        tell_pools(control);
    }
    Collector::default().collect();
    let text = reader.handle.render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
