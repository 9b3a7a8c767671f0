//! Figures of what is rare: streams, listeners, clients that leave, sandboxes that fail.

use http::{Method, StatusCode};
use pitlane_driver::fake::Fault;
use serde_json::json;

use crate::connections::websocket;
use crate::event_channel::Channel;
use crate::http::{Client, request};
use crate::server::{Options, Server};

#[tokio::test]
async fn streams_listeners_leavers_and_failures_are_counted_while_they_last() {
    let server = Server::start_with(Options { is_measured: true, ..Options::default() }).await;
    let id = server.create().await;

    let wire = websocket(&server, &id).await;
    server.measured("pitlane_streams_open", 1).await;
    server.measured(r#"pitlane_connections_open{door="api"}"#, 1).await;
    drop(wire);
    server.measured("pitlane_streams_open", 0).await;
    server.measured(r#"pitlane_connections_open{door="api"}"#, 0).await;

    let mut channel = Channel::open(&server, "pit.test").await;
    channel.show(&json!(server.key)).await;
    server.measured("pitlane_event_sockets_open", 1).await;
    drop(channel);
    server.measured("pitlane_event_sockets_open", 0).await;

    let mut client = Client::connect(server.address).await;
    let path = format!("/toolbox/{id}/hang");
    let mut sending =
        Box::pin(client.try_send(request(Method::POST, &path, Some(&server.key), "")));
    tokio::select! {
        answer = &mut sending => panic!("{answer:?}"),
        _asked = server.seen.heard(|heard| heard.target == "/hang") => {}
    }
    server.measured("pitlane_http_requests_in_flight", 1).await;
    drop(sending);
    client.hang_up().await;
    server.measured("pitlane_http_requests_unfinished_total", 1).await;
    server.measured("pitlane_toolbox_cancelled_total", 1).await;
    server.measured("pitlane_http_requests_in_flight", 0).await;

    server.run_out_of_memory(&id, 3);
    server.run_out_of_memory(&id, 1);
    server.measured("pitlane_sandbox_memory_kills_total", 4).await;

    server.fail_next_create(Fault::Host);
    assert_eq!(server.post("/api/sandbox", "{}").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    server.measured(r#"pitlane_http_refusals_total{code="INTERNAL_SERVER_ERROR"}"#, 1).await;
    server.measured(r#"pitlane_sandboxes{state="started"}"#, 1).await;
    server.measured(r#"pitlane_sandbox_change_seconds_count{change="create"}"#, 1).await;
}
