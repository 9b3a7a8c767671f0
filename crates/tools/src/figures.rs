//! Figures of the tools, for whoever watches them; those of a rim are the rim's own.
//!
//! Every figure has its row in [`METRICS`] and with it in `docs/metrics.md`. Labels come from lists in the code.

use std::time::Instant;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, the same for ever.
    pub name: &'static str,
    /// Whether it counts how many of a thing took how long; else it only grows.
    pub is_histogram: bool,
    /// By what it is divided.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const CALLS: &str = "pitlane_tool_calls_total";
const SECONDS: &str = "pitlane_tool_call_seconds";
const BACKEND: &str = "pitlane_tool_backend_failures_total";
const LEFT_OUT: &str = "pitlane_tool_left_out_bytes_total";

/// All of them.
pub const METRICS: [Metric; 4] = [
    Metric {
        name: CALLS,
        is_histogram: false,
        labels: &["tool", "outcome"],
        help: "Operations that have ended, over all rims; the outcome is ok, nonzero (a program's exit code), failed or \
               cancelled",
    },
    Metric { name: SECONDS, is_histogram: true, labels: &["tool"], help: "Time of an operation" },
    Metric {
        name: BACKEND,
        is_histogram: false,
        labels: &["kind"],
        help: "Requests of operations that the API did not fulfil; the kind is unreachable, broken, late, forbidden, \
               rate_limited, server or unreadable",
    },
    Metric {
        name: LEFT_OUT,
        is_histogram: false,
        labels: &[],
        help: "Bytes of commands' output that were left out of answers",
    },
];

/// Tells the process' recorder what the figures say. Once, after it was installed.
pub fn describe_metrics() {
    for metric in METRICS {
        if metric.is_histogram {
            describe_histogram!(metric.name, Unit::Seconds, metric.help);
        } else {
            describe_counter!(metric.name, metric.help);
        }
    }
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
        counter!(CALLS, "tool" => self.tool, "outcome" => self.outcome).increment(1);
        histogram!(SECONDS, "tool" => self.tool).record(self.began.elapsed().as_secs_f64());
    }
}

pub(crate) fn backend_failed(kind: &'static str) {
    counter!(BACKEND, "kind" => kind).increment(1);
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
            backend_failed("late");
            left_out(7);
        });
        let told = recorder.handle().render();
        for outcome in ["ok", "nonzero", "failed", "cancelled"] {
            let line = format!("{CALLS}{{tool=\"execute_shell\",outcome=\"{outcome}\"}} 1\n");
            assert!(told.contains(&line), "{line} of {told}");
        }
        for line in [
            format!("{SECONDS}_count{{tool=\"execute_shell\"}} 4\n"),
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
            let kind = if metric.is_histogram { "histogram" } else { "counter" };
            format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help)
        };
        let table: String = METRICS.iter().map(row).collect();
        assert!(text.contains(&table), "docs/metrics.md lacks these rows:\n{table}");
    }
}
