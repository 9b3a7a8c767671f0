//! The figures of a server, read as a monitoring system does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its helpers with it")]

mod program;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use program::Server;
use serde_json::Value;

/// An answer over a connection of its own, head and body.
fn get(url: &str, more: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn metrics_url(server: &Server) -> String {
    let line: Value = serde_json::from_str(server.ready_line()).unwrap();
    line["metrics"].as_str().unwrap().to_owned()
}

/// The names of figures that are there.
fn names(metrics: &str) -> BTreeSet<&str> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap()).collect()
}

/// The names in the documentation's table.
fn documented(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    names.filter(|name| name.starts_with("pitlane_") || name.starts_with("process_")).collect()
}

#[test]
fn every_figure_that_a_server_shows_is_documented_and_the_other_way_round() {
    let server =
        Server::fake_with(&["--metrics", "127.0.0.1:0", "--limit-control-per-key", "4/hour"]);
    let made = server.run(&["--json", "sandbox", "create"], "");
    let id: Value = serde_json::from_str(&made.1).unwrap();
    let id = id["id"].as_str().unwrap().to_owned();
    for arguments in [
        &["sandbox", "exec", &*id, "--", "echo"][..],
        &["sandbox", "stop", &*id],
        &["sandbox", "start", &*id],
        &["sandbox", "info", "nobody"],
        &["sandbox", "delete", &*id],
        &["sandbox", "list"],
        &["sandbox", "list"],
        &["sandbox", "list"],
    ] {
        drop(server.run(arguments, ""));
    }
    let line: Value = serde_json::from_str(server.ready_line()).unwrap();
    get(&format!("{}/health/ready", line["url"].as_str().unwrap()), "");
    let answer = get(&metrics_url(&server), "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let shown = names(&answer);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let documented = documented(&text);
    assert_eq!(shown.difference(&documented).collect::<Vec<_>>(), [&""; 0]);
    // These take a listener, a WebSocket, a failure or a client that leaves, which others test.
    let rare = BTreeSet::from([
        "pitlane_event_sockets_open",
        "pitlane_http_requests_unfinished_total",
        "pitlane_events_missed_total",
        "pitlane_streams_open",
        "pitlane_toolbox_cancelled_total",
        "pitlane_sandbox_failures_total",
        "pitlane_sandbox_memory_kills_total",
        "process_virtual_memory_max_bytes",
    ]);
    // Tools are called in the tests of MCP, which look at their figures.
    let of_tools =
        |name: &&str| name.starts_with("pitlane_mcp_") || name.starts_with("pitlane_tool_");
    let missing = documented.difference(&shown).copied();
    let missing: BTreeSet<&str> = missing.filter(|name| !of_tools(name)).collect();
    assert_eq!(missing.difference(&rare).collect::<Vec<_>>(), [&""; 0], "{answer}");
}

#[test]
fn figures_count_what_was_done_and_name_nobody() {
    let server = Server::fake_with(&["--metrics", "127.0.0.1:0"]);
    let made = server.run(&["--json", "sandbox", "create", "--name", "verysecretname"], "");
    assert_eq!(made.0, 0, "{}", made.2);
    assert_eq!(server.run(&["sandbox", "exec", "verysecretname", "--", "exit", "3"], "").0, 3);
    let answer = get(&metrics_url(&server), "");
    for line in [
        r#"pitlane_http_requests_total{method="POST",route="/api/sandbox",status="200"} 1"#,
        r#"pitlane_http_requests_total{method="POST",route="/toolbox/{id}/process/execute/stream",status="200"} 1"#,
        r#"pitlane_sandboxes{state="started"} 1"#,
        r#"pitlane_sandboxes{state="error"} 0"#,
        r#"pitlane_sandbox_change_seconds_count{change="create"} 1"#,
        "pitlane_toolbox_first_byte_seconds_count 1",
        &format!(r#"pitlane_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")),
    ] {
        assert!(answer.lines().any(|found| found == line), "{line} is not in\n{answer}");
    }
    assert!(!answer.contains("verysecretname"));
    let id: Value = serde_json::from_str(&made.1).unwrap();
    assert!(!answer.contains(id["id"].as_str().unwrap()));
}

#[test]
fn figures_have_a_door_of_their_own() {
    let server = Server::fake_with(&["--metrics", "127.0.0.1:0"]);
    let url = metrics_url(&server);
    let line: Value = serde_json::from_str(server.ready_line()).unwrap();
    let api = line["url"].as_str().unwrap();
    let elsewhere = url.replace("/metrics", "/api/health");
    assert!(get(&elsewhere, "").starts_with("HTTP/1.1 404"));
    assert!(!get(&api.replace("/api", "/metrics"), "").contains("pitlane_"));
}
