//! Figures of the tools, for whoever watches them; those of a rim are the rim's own.
//!
//! Calls are counted here alone, whatever rim they came over. Every figure has its row in [`METRICS`] and with it in
//! `docs/metrics.md`. Labels come from lists in the code.

use std::time::Instant;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use pitlane_client::RequestError;

use crate::Operation;

/// What a figure does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until the process starts again.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts how many of a thing took how long.
    Histogram,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, the same for ever.
    pub name: &'static str,
    /// What it does over time.
    pub kind: MetricKind,
    /// By what it is divided.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const CALLS: &str = "pitlane_tool_calls_total";
const SECONDS: &str = "pitlane_tool_call_seconds";
const IN_FLIGHT: &str = "pitlane_tool_calls_in_flight";
const BACKEND: &str = "pitlane_tool_backend_failures_total";
const LEFT_OUT: &str = "pitlane_tool_left_out_bytes_total";

/// All of them.
pub const METRICS: [Metric; 5] = [
    Metric {
        name: CALLS,
        kind: MetricKind::Counter,
        labels: &["tool", "outcome"],
        help: "Tool calls that have ended; the outcome is ok, nonzero (a program's exit code), failed, cancelled, invalid \
               (its arguments) or asked (an argument was missing, and the client was asked for it)",
    },
    Metric {
        name: SECONDS,
        kind: MetricKind::Histogram,
        labels: &["tool"],
        help: "Time of a tool call that was made, whatever its outcome",
    },
    Metric { name: IN_FLIGHT, kind: MetricKind::Gauge, labels: &[], help: "Tool calls under way" },
    Metric {
        name: BACKEND,
        kind: MetricKind::Counter,
        labels: &["kind"],
        help: "Requests that the API did not fulfil, for tools, resources and the checks of keys; the kind is unreachable, \
               broken, late, forbidden, rate_limited, server or unreadable",
    },
    Metric {
        name: LEFT_OUT,
        kind: MetricKind::Counter,
        labels: &[],
        help: "Bytes of commands' output that were left out of answers",
    },
];

/// Tells the process' recorder what the figures say. Once, after it was installed.
pub fn describe_metrics() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
}

/// Why a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmade {
    /// Its arguments make no sense.
    Invalid,
    /// Something is missing, and the client was asked for it.
    Asked,
    /// The client wanted it no more.
    Cancelled,
}

/// Counts a call that was not made. Those that were made count themselves.
pub fn count_unmade(operation: &Operation, why: Unmade) {
    let outcome = match why {
        Unmade::Invalid => "invalid",
        Unmade::Asked => "asked",
        Unmade::Cancelled => "cancelled",
    };
    counter!(CALLS, "tool" => operation.name, "outcome" => outcome).increment(1);
}

/// Counts a request that the API did not fulfil; one that it refused for what was asked is none of those.
pub fn count_backend_failure(error: &RequestError) {
    let kind = match error {
        RequestError::Unreachable { .. } => "unreachable",
        RequestError::Broken { .. } => "broken",
        RequestError::Late { .. } => "late",
        RequestError::Refused { status: 401 | 403, .. } => "forbidden",
        RequestError::Refused { status: 429, .. } => "rate_limited",
        RequestError::Refused { status: 500.., .. } => "server",
        RequestError::Refused { .. } => return,
        RequestError::Unreadable { .. } | RequestError::Unencrypted { .. } => "unreadable",
    };
    counter!(BACKEND, "kind" => kind).increment(1);
}

/// One operation, counted when it ends in whatever way.
#[derive(Debug)]
pub(crate) struct Counted {
    tool: &'static str,
    began: Instant,
    outcome: &'static str,
}

impl Counted {
    pub(crate) fn begin(tool: &'static str) -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self { tool, began: Instant::now(), outcome: "cancelled" }
    }

    pub(crate) fn end(mut self, answer: &crate::Answer) {
        let code = answer.structured.get("exit_code").and_then(serde_json::Value::as_i64);
        self.outcome = match (answer.failed, code) {
            (true, _) => "failed",
            (false, Some(code)) if code != 0 => "nonzero",
            (false, _) => "ok",
        };
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (tool, outcome, took) = (self.tool, self.outcome, self.began.elapsed());
        gauge!(IN_FLIGHT).decrement(1.0);
        counter!(CALLS, "tool" => tool, "outcome" => outcome).increment(1);
        histogram!(SECONDS, "tool" => tool).record(took.as_secs_f64());
        tracing::debug!(tool, outcome, took_ms = took.as_millis(), "tool call");
    }
}

pub(crate) fn left_out(bytes: u64) {
    counter!(LEFT_OUT).increment(bytes);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use serde_json::json;

    use super::*;
    use crate::Answer;

    #[test]
    fn an_operation_is_counted_by_how_it_ended() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let ended = |code: i64| Answer::new(json!({ "exit_code": code }), "");
            Counted::begin("execute_shell").end(&ended(0));
            Counted::begin("execute_shell").end(&ended(1));
            Counted::begin("execute_shell").end(&Answer { failed: true, ..ended(1) });
            drop(Counted::begin("execute_shell"));
            let shell = crate::operations().iter().find(|one| one.name == "execute_shell").unwrap();
            count_unmade(shell, Unmade::Invalid);
            count_unmade(shell, Unmade::Asked);
            count_backend_failure(&RequestError::Late { url: String::from("u"), seconds: 1 });
            left_out(7);
        });
        let told = recorder.handle().render();
        for outcome in ["ok", "nonzero", "failed", "cancelled", "invalid", "asked"] {
            let line = format!("{CALLS}{{tool=\"execute_shell\",outcome=\"{outcome}\"}} 1\n");
            assert!(told.contains(&line), "{line} of {told}");
        }
        for line in [
            format!("{SECONDS}_count{{tool=\"execute_shell\"}} 4\n"),
            format!("{IN_FLIGHT} 0\n"),
            format!("{BACKEND}{{kind=\"late\"}} 1\n"),
            format!("{LEFT_OUT} 7\n"),
        ] {
            assert!(told.contains(&line), "{line} of {told}");
        }
    }

    #[test]
    fn the_documentation_has_a_row_for_every_figure() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        let row = |metric: &Metric| {
            let labels: Vec<String> =
                metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help)
        };
        let table: String = METRICS.iter().map(row).collect();
        assert!(text.contains(&table), "docs/metrics.md lacks these rows:\n{table}");
    }
}
