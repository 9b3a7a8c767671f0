//! Figures for whoever watches the server, in Prometheus' text form.
//!
//! Every figure has its row in [`METRICS`] and with it in the documentation. Labels have few values, and none that a
//! client or a sandbox can make up: no ids, no names, no paths.

mod changes;
mod endpoint;

use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};

pub use self::endpoint::{InstallMetricsError, Metrics};

/// What a figure does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until the server starts again.
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

const fn counter_of(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge_of(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram_of(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

const REQUESTS: &str = "pitlane_http_requests_total";
const HEAD_SECONDS: &str = "pitlane_http_request_seconds";
const IN_FLIGHT: &str = "pitlane_http_requests_in_flight";
const UNFINISHED: &str = "pitlane_http_requests_unfinished_total";
const RECEIVED: &str = "pitlane_http_received_bytes_total";
const SENT: &str = "pitlane_http_sent_bytes_total";
const REFUSALS: &str = "pitlane_http_refusals_total";
const RATE_LIMITED: &str = "pitlane_rate_limited_total";
const CONNECTIONS: &str = "pitlane_connections_open";
const CONNECTIONS_TOTAL: &str = "pitlane_connections_total";
const STREAMS: &str = "pitlane_streams_open";
const SOCKETS: &str = "pitlane_event_sockets_open";
const EVENTS_MISSED: &str = "pitlane_events_missed_total";
const FIRST_BYTE: &str = "pitlane_toolbox_first_byte_seconds";
const CONNECT: &str = "pitlane_toolbox_connect_seconds";
const CANCELLED: &str = "pitlane_toolbox_cancelled_total";
const SANDBOXES: &str = "pitlane_sandboxes";
const POOL_READY: &str = "pitlane_pool_ready";
const POOL_WANTED: &str = "pitlane_pool_wanted";
const POOL_HITS: &str = "pitlane_pool_hits_total";
const POOL_MISSES: &str = "pitlane_pool_misses_total";
const CHANGE_SECONDS: &str = "pitlane_sandbox_change_seconds";
const CHANGE_FAILURES: &str = "pitlane_sandbox_failures_total";
const MEMORY_KILLS: &str = "pitlane_sandbox_memory_kills_total";
const PART_UP: &str = "pitlane_part_up";
const BUILD: &str = "pitlane_build_info";

/// Every figure there is.
pub const METRICS: [Metric; 34] = [
    counter_of(
        REQUESTS,
        &["method", "route", "status"],
        "Requests that were answered. The route is a template such as /api/sandbox/{idOrName}",
    ),
    histogram_of(
        HEAD_SECONDS,
        &["method", "route"],
        "Time until an answer began, from the end of the request's head on",
    ),
    gauge_of(IN_FLIGHT, &[], "Requests whose answers are not complete"),
    counter_of(
        UNFINISHED,
        &[],
        "Requests whose client went away, or whose answer broke off, before the answer was complete",
    ),
    counter_of(
        RECEIVED,
        &["interface"],
        "Bytes of requests' bodies; the interface is control, toolbox or events",
    ),
    counter_of(SENT, &["interface"], "Bytes of answers' bodies, those of WebSockets not included"),
    counter_of(
        REFUSALS,
        &["code"],
        "Requests that this server itself refused or failed, by the code in the answer; a daemon's refusals are not \
         among them",
    ),
    counter_of(
        RATE_LIMITED,
        &["class"],
        "Requests refused for their number; the class is create, control or toolbox",
    ),
    gauge_of(
        CONNECTIONS,
        &["door"],
        "Open connections, WebSockets among them; the door is api or metrics",
    ),
    counter_of(CONNECTIONS_TOTAL, &["door"], "Connections that were accepted"),
    gauge_of(STREAMS, &[], "WebSockets between clients and sandboxes"),
    gauge_of(SOCKETS, &[], "Clients with a valid key on the event channel"),
    counter_of(EVENTS_MISSED, &[], "Events that came faster than the channel could tell them"),
    histogram_of(
        FIRST_BYTE,
        &[],
        "Time until a daemon's answer began, from the request's arrival on. A command's answer begins when it has ended",
    ),
    histogram_of(CONNECT, &[], "Time to reach a sandbox's daemon"),
    counter_of(CANCELLED, &[], "Requests ended in sandboxes because their client had gone"),
    gauge_of(SANDBOXES, &["state"], "Sandboxes there are, by state"),
    gauge_of(
        POOL_READY,
        &["pool"],
        "Sandboxes that wait for whoever creates one; the pool is general, or own for all that callers made",
    ),
    gauge_of(POOL_WANTED, &["pool"], "Sandboxes that are to wait"),
    counter_of(POOL_HITS, &["pool"], "Sandboxes created from one that waited"),
    counter_of(
        POOL_MISSES,
        &["pool"],
        "Sandboxes made from nothing because none waited in a pool that is for them",
    ),
    histogram_of(
        CHANGE_SECONDS,
        &["change"],
        "Time from a change's acceptance to its end; the change is queue (for a build), build, pull, create, snapshot, start, stop, archive, restore, resize or destroy",
    ),
    counter_of(
        CHANGE_FAILURES,
        &["change"],
        "Sandboxes that ended in error; the change is what they were in, or none",
    ),
    counter_of(
        MEMORY_KILLS,
        &[],
        "Processes in sandboxes that the kernel killed because their sandbox's memory was used up",
    ),
    gauge_of(
        PART_UP,
        &["part"],
        "1 for each part of the server that works, 0 for one that does not: what /api/health/ready says",
    ),
    gauge_of(BUILD, &["version"], "Always 1; which version runs"),
    counter_of("process_cpu_seconds_total", &[], "Processor time of the server"),
    gauge_of("process_resident_memory_bytes", &[], "Memory of the server"),
    gauge_of("process_virtual_memory_bytes", &[], "Addresses that the server has reserved"),
    gauge_of("process_virtual_memory_max_bytes", &[], "Limit of addresses, if there is one"),
    gauge_of("process_open_fds", &[], "Files, sockets and the like that the server has open"),
    gauge_of("process_max_fds", &[], "Limit of open files"),
    gauge_of("process_threads", &[], "Threads of the server"),
    gauge_of("process_start_time_seconds", &[], "When the server started, in seconds since 1970"),
];

/// A request's end, as figures tell it.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a Method,
    pub(crate) route: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) until_head: Duration,
}

/// The methods that figures tell apart: a client can invent others.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// A status with a name is told; a daemon can invent others.
fn status_label(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(_) => status.as_str().to_owned(),
        None => format!("{}xx", status.as_u16() / 100),
    }
}

pub(crate) fn request_began() {
    gauge!(IN_FLIGHT).increment(1.0);
}

pub(crate) fn request_answered(answered: &Answered<'_>) {
    let Answered { method, route, status, until_head } = answered;
    let method = method_label(method);
    let route = (*route).to_owned();
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status_label(*status))
        .increment(1);
    histogram!(HEAD_SECONDS, "method" => method, "route" => route).record(until_head.as_secs_f64());
}

/// Counts bytes of bodies: what came in, what went out.
pub(crate) fn request_ended(interface: &'static str, received: u64, sent: u64, is_complete: bool) {
    gauge!(IN_FLIGHT).decrement(1.0);
    counter!(RECEIVED, "interface" => interface).increment(received);
    counter!(SENT, "interface" => interface).increment(sent);
    if !is_complete {
        counter!(UNFINISHED).increment(1);
    }
}

pub(crate) fn refused(code: String) {
    counter!(REFUSALS, "code" => code).increment(1);
}

pub(crate) fn rate_limited(class: &'static str) {
    counter!(RATE_LIMITED, "class" => class).increment(1);
}

pub(crate) fn connection_opened(door: &'static str) {
    gauge!(CONNECTIONS, "door" => door).increment(1.0);
    counter!(CONNECTIONS_TOTAL, "door" => door).increment(1);
}

pub(crate) fn connection_closed(door: &'static str) {
    gauge!(CONNECTIONS, "door" => door).decrement(1.0);
}

/// Counts a WebSocket to a sandbox for as long as it is kept.
#[derive(Debug)]
pub(crate) struct OpenStream(());

impl OpenStream {
    pub(crate) fn new() -> Self {
        gauge!(STREAMS).increment(1.0);
        Self(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(STREAMS).decrement(1.0);
    }
}

pub(crate) fn event_socket_opened() {
    gauge!(SOCKETS).increment(1.0);
}

pub(crate) fn event_socket_closed() {
    gauge!(SOCKETS).decrement(1.0);
}

pub(crate) fn events_missed(count: u64) {
    counter!(EVENTS_MISSED).increment(count);
}

pub(crate) fn daemon_reached(took: Duration) {
    histogram!(CONNECT).record(took.as_secs_f64());
}

pub(crate) fn daemon_answered(took: Duration) {
    histogram!(FIRST_BYTE).record(took.as_secs_f64());
}

pub(crate) fn request_cancelled() {
    counter!(CANCELLED).increment(1);
}

pub(crate) fn part_is_up(part: &'static str, is_up: bool) {
    gauge!(PART_UP, "part" => part).set(if is_up { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_be_invented_by_a_client_or_a_daemon() {
        let invented: Method = "BREW".parse().unwrap();
        assert_eq!(method_label(&invented), "other");
        let statuses = [200, 418, 599, 999].map(|code| StatusCode::from_u16(code).unwrap());
        assert_eq!(statuses.map(status_label), ["200", "418", "5xx", "9xx"]);
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

    #[test]
    fn every_figure_is_named_once_and_says_what_it_counts() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, help, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
            assert_eq!(
                name.ends_with("seconds"),
                kind == MetricKind::Histogram || name == "process_start_time_seconds",
                "{name}"
            );
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
        }
    }
}
