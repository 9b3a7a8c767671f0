//! Figures of this rim, for whoever watches it.
//!
//! Every figure has its row in [`METRICS`] and with it in the documentation. Labels come from lists in the code: tools
//! that do not exist are counted under one name.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

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

const CALLS: &str = "pitlane_mcp_tool_calls_total";
const SECONDS: &str = "pitlane_mcp_tool_call_seconds";
const IN_FLIGHT: &str = "pitlane_mcp_tool_calls_in_flight";
const TASKS: &str = "pitlane_mcp_tasks_total";
const SESSIONS: &str = "pitlane_mcp_sessions";
const REFUSED: &str = "pitlane_mcp_refusals_total";
const BACKEND: &str = "pitlane_mcp_backend_failures_total";
const READS: &str = "pitlane_mcp_resource_reads_total";

/// All of them.
pub const METRICS: [Metric; 8] = [
    Metric {
        name: CALLS,
        kind: MetricKind::Counter,
        labels: &["tool", "outcome"],
        help: "Tool calls that have ended; the outcome is done, failed, invalid, asked or cancelled",
    },
    Metric {
        name: SECONDS,
        kind: MetricKind::Histogram,
        labels: &["tool"],
        help: "Time of a tool call, from its arrival to its end",
    },
    Metric { name: IN_FLIGHT, kind: MetricKind::Gauge, labels: &[], help: "Tool calls under way" },
    Metric {
        name: TASKS,
        kind: MetricKind::Counter,
        labels: &[],
        help: "Tool calls that took long and became tasks",
    },
    Metric {
        name: SESSIONS,
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Sessions of clients that speak a revision before 2026-07-28 over HTTP",
    },
    Metric {
        name: REFUSED,
        kind: MetricKind::Counter,
        labels: &["reason"],
        help: "Requests turned away; the reason is key, host, origin or body",
    },
    Metric {
        name: BACKEND,
        kind: MetricKind::Counter,
        labels: &["during"],
        help: "Times the API that runs the sandboxes could not be asked, while a key was checked or a resource read",
    },
    Metric {
        name: READS,
        kind: MetricKind::Counter,
        labels: &["outcome"],
        help: "Resources that were asked for; the outcome is done or failed",
    },
];

/// Tells the process' recorder what the figures say. Once, after it was installed.
pub fn describe_metrics() {
    pitlane_tools::describe_metrics();
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The tool did what it does; a program's exit code is not looked at.
    Done,
    /// The tool failed.
    Failed,
    /// The arguments made no sense.
    Invalid,
    /// Something was missing, and the client was asked for it.
    Asked,
    /// The client wanted it no more.
    Cancelled,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Asked => "asked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A tool call while it is under way; dropped before it was told how it ended, it was cancelled.
#[derive(Debug)]
pub(crate) struct Underway {
    tool: &'static str,
    began: std::time::Instant,
    outcome: Outcome,
}

impl Underway {
    pub(crate) fn begin(tool: &'static str) -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self { tool, began: std::time::Instant::now(), outcome: Outcome::Cancelled }
    }

    /// Ends as `outcome`.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
        counter!(CALLS, "tool" => self.tool, "outcome" => self.outcome.label()).increment(1);
        let took: Duration = self.began.elapsed();
        histogram!(SECONDS, "tool" => self.tool).record(took.as_secs_f64());
        tracing::debug!(
            tool = self.tool,
            outcome = self.outcome.label(),
            took_ms = took.as_millis(),
            "tool call"
        );
    }
}

pub(crate) fn became_a_task() {
    counter!(TASKS).increment(1);
}

pub(crate) fn sessions(count: usize) {
    gauge!(SESSIONS).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

pub(crate) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn backend_failed(during: &'static str) {
    counter!(BACKEND, "during" => during).increment(1);
}

pub(crate) fn resource_read(is_done: bool) {
    counter!(READS, "outcome" => if is_done { "done" } else { "failed" }).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

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
