//! `/system/metrics`, `/port`, `/init` and what else the daemon says of its sandbox.

use http::StatusCode;
use serde_json::{Value, json};

use crate::daemon::{Daemon, refusal};

fn number(metrics: &Value, field: &str) -> u64 {
    metrics[field].as_u64().expect(field)
}

#[tokio::test]
async fn without_limits_metrics_are_those_of_the_machine() {
    let daemon = Daemon::start();
    let (status, metrics) = daemon.call("GET", "/system/metrics").await;
    assert_eq!(status, StatusCode::OK, "{metrics}");
    let cpus = std::thread::available_parallelism().expect("a number").get();
    assert_eq!(number(&metrics, "cpuCount"), u64::try_from(cpus).expect("a number"));
    let [total, used, free] =
        ["diskTotal", "diskUsed", "diskFree"].map(|field| number(&metrics, field));
    assert!(total >= used && total >= free && total > 0, "{metrics}");
    let [total, used] = ["memTotal", "memUsed"].map(|field| number(&metrics, field));
    assert!(total > used && used > 0, "{metrics}");
    let percent = metrics["cpuUsedPct"].as_f64().expect("a number");
    assert!((0.0..=100.0).contains(&percent), "{metrics}");
    let fields = metrics.as_object().expect("an object");
    assert_eq!(fields.len(), 10, "{metrics}");
    assert!(fields["timestamp"].as_str().expect("a text").ends_with('Z'), "{metrics}");
    assert!(number(&metrics, "timestampUnix") > 1_700_000_000, "{metrics}");
}

#[tokio::test]
async fn processor_time_of_commands_is_counted_also_after_their_end() {
    let daemon = Daemon::start();
    let (_, before) = daemon.call("GET", "/system/metrics").await;
    daemon.execute("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done").await;
    let (_, after) = daemon.call("GET", "/system/metrics").await;
    assert!(after["cpuUsedPct"].as_f64().expect("a number") > 1.0, "{before} {after}");
}

#[tokio::test]
async fn ports_are_those_on_which_something_listens() {
    let daemon = Daemon::start();
    // One of several that may be taken by others on this machine.
    let listener =
        (4000..9000).find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    let listener = listener.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (status, answer) = daemon.call("GET", "/port").await;
    assert_eq!(status, StatusCode::OK);
    let ports: Vec<u64> =
        answer["ports"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    assert!(ports.contains(&port.into()) && ports.is_sorted(), "{answer}");
    assert!(ports.iter().all(|port| (3000..=9999).contains(port)), "{answer}");
    let target = format!("/port/{port}/in-use");
    assert_eq!(daemon.call("GET", &target).await, (StatusCode::OK, json!({"isInUse": true})));
    drop(listener);
    assert_eq!(daemon.call("GET", &target).await, (StatusCode::OK, json!({"isInUse": false})));
}

#[tokio::test]
async fn only_numbers_of_the_range_are_ports() {
    let daemon = Daemon::start();
    for port in ["2999", "10000", "65536", "-1", "x", "", "3000/x"] {
        let (status, answer) = daemon.call("GET", &format!("/port/{port}/in-use")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(refusal(answer)["message"], "port must be a number from 3000 to 9999");
    }
    let (status, _) = daemon.call("POST", "/port/3000/in-use").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_credential_is_taken_and_forgotten() {
    let daemon = Daemon::start();
    let wanted = json!({"message": "the daemon needs no credential"});
    for body in [json!({"token": "secret"}), json!({}), json!({"token": null, "more": 1})] {
        assert_eq!(daemon.post("/init", &body).await, (StatusCode::OK, wanted.clone()));
    }
    let (status, _) = daemon.post("/init", &json!([])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = daemon.post("/init", &json!({"token": 7})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn old_clients_find_the_home_of_the_user() {
    let daemon = Daemon::start();
    let (_, home) = daemon.call("GET", "/user-home-dir").await;
    assert_eq!(daemon.call("GET", "/project-dir").await, (StatusCode::OK, home));
    let version = json!({"version": env!("CARGO_PKG_VERSION")});
    assert_eq!(daemon.call("GET", "/version").await, (StatusCode::OK, version));
}
