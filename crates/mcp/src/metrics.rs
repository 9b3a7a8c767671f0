//! Figures of this rim, for whoever watches it; calls of tools are counted by the tools.
//!
//! Every figure has its row in [`METRICS`] and with it in the documentation. Labels come from lists in the code.

use ::metrics::{counter, describe_counter, describe_gauge, gauge};
pub use pitlane_tools::{Metric, MetricKind};

const TASKS: &str = "pitlane_mcp_tasks_total";
const SESSIONS: &str = "pitlane_mcp_sessions";
const REFUSED: &str = "pitlane_mcp_refusals_total";
const READS: &str = "pitlane_mcp_resource_reads_total";

/// All of them.
pub const METRICS: [Metric; 4] = [
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
        help: "Requests turned away; the reason is key, host, origin, body or many (of one key at the same time)",
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
            MetricKind::Histogram => ::metrics::describe_histogram!(metric.name, metric.help),
        }
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
