//! Crowds: a thousand requests on one sandbox, a thousand sandboxes at once. Everyone is answered, nothing piles up.

use futures_util::future::join_all;
use http::{Method, StatusCode};

use crate::http::{Client, request};
use crate::server::{Options, Server};

const CROWD: usize = 1000;

/// What memory may grow by once everything has been used once: allocators keep some, in steps.
const SLACK_MIB: u64 = 48;

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

async fn server() -> Server {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    Server::start_with(Options { max_connections: 2 * CROWD, ..Options::default() }).await
}

/// Has every client send a request at once, and answers what they got.
async fn at_once(
    server: &Server,
    clients: &mut [Client],
    method: &Method,
    path: impl Fn(usize) -> String,
    body: &'static str,
) -> Vec<(StatusCode, Vec<u8>)> {
    let sending = clients.iter_mut().enumerate().map(|(number, client)| {
        let sent = request(method.clone(), &path(number), Some(&server.key), body);
        async move {
            let answer = client.send(sent).await;
            let status = answer.status();
            let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
            (status, body.to_bytes().to_vec())
        }
    });
    join_all(sending).await
}

async fn crowd(server: &Server) -> Vec<Client> {
    join_all((0..CROWD).map(|_| Client::connect(server.address))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_on_one_sandbox_are_all_answered_and_memory_stays() {
    let server = server().await;
    let id = server.create().await;
    let mut clients = crowd(&server).await;
    let path = format!("/toolbox/{id}/count");
    let mut first = None;
    for round in 0..8 {
        let answers =
            at_once(&server, &mut clients, &Method::POST, |_| path.clone(), "hello").await;
        let wrong = answers.iter().filter(|answer| **answer != (StatusCode::OK, b"5".to_vec()));
        assert_eq!(wrong.count(), 0, "round {round}");
        server.seen.forget();
        if round == 1 {
            first = Some(memory_mib());
        }
    }
    let (first, last) = (first.unwrap(), memory_mib());
    assert!(last <= first + SLACK_MIB, "{first} MiB became {last} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sandboxes_work_at_once() {
    let server = server().await;
    let mut clients = crowd(&server).await;
    let create = |_| "/api/sandbox".to_owned();
    let created = at_once(&server, &mut clients, &Method::POST, create, "{}").await;
    let ids: Vec<String> = created
        .into_iter()
        .map(|(status, body)| {
            assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
            let sandbox: serde_json::Value = serde_json::from_slice(&body).unwrap();
            sandbox["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let path = |number: usize| format!("/toolbox/{}/count", ids[number]);
    for _ in 0..2 {
        let answers = at_once(&server, &mut clients, &Method::POST, path, "hello").await;
        assert!(answers.iter().all(|answer| *answer == (StatusCode::OK, b"5".to_vec())));
    }
    let path = |number: usize| format!("/api/sandbox/{}", ids[number]);
    let deleted = at_once(&server, &mut clients, &Method::DELETE, path, "").await;
    assert!(deleted.iter().all(|(status, _)| *status == StatusCode::OK));
    server
        .eventually("/api/sandbox", |answer| answer.json()["items"] == serde_json::json!([]))
        .await;
    drop(clients);
    server.stop().await;
}
