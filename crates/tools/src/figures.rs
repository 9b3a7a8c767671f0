//! Figures of the tools, for whoever watches them; those of a rim are the rim's own.
//!
//! Every figure has its row in [`METRICS`] and with it in `docs/metrics.md`. Labels come from lists in the code.

use std::time::Instant;

use metrics::{counter, histogram};

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
