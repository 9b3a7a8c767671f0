//! The client against servers that misbehave in every way a server can.
#![expect(clippy::unwrap_used, reason = "a test may")]

use pitlane_client::{
    Client, Endpoint, ExecuteRequest, Frame, Key, RequestError, StreamRequest, WriteError,
};
use pitlane_wire::control::Sandbox;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server that answers every request with the next of `answers`, byte by byte as given, and tells what it was sent.
struct Server {
    tasks: JoinSet<Vec<String>>,
    client: Client,
}

impl Server {
    async fn answering(answers: &'static [&'static [u8]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(read_request(&mut stream).await);
                // A client that refuses what it reads hangs up.
                drop(stream.write_all(answer).await);
            }
            requests
        });
        let client = Client::new(Endpoint::new(&url, Key::new("dtn_key").unwrap()).unwrap());
        Self { tasks, client }
    }

    async fn requests(mut self) -> Vec<String> {
        self.tasks.join_next().await.unwrap().unwrap()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if head.contains("transfer-encoding: chunked") {
            if count == 0 || body.ends_with("\r\n0\r\n\r\n") {
                return text;
            }
            continue;
        }
        if count == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn sandbox(client: &Client) -> Sandbox {
    let proxy = client.endpoint().url().replace("/api", "/toolbox");
    serde_json::from_value(serde_json::json!({
        "id": "0b6ecb4e-0000-4000-8000-000000000000", "organizationId": "o", "name": "n", "user": "daytona",
        "env": {}, "labels": {}, "public": false, "networkBlockAll": false, "kvm": false, "target": "us",
        "cpu": 1, "gpu": 0, "memory": 1, "disk": 3, "toolboxProxyUrl": proxy
    }))
    .unwrap()
}

fn command() -> StreamRequest {
    StreamRequest::Command(ExecuteRequest { command: "true".into(), ..ExecuteRequest::default() })
}

#[tokio::test]
async fn a_request_shows_the_key_and_escapes_what_goes_into_the_path() {
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    ])
    .await;
    let failure = server.client.sandbox("a/../b?c").await.unwrap_err();
    assert!(matches!(failure, RequestError::Unreadable { .. }), "{failure:?}");
    let requests = server.requests().await;
    assert!(
        requests[0].starts_with("GET /api/sandbox/a%2F%2E%2E%2Fb%3Fc HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("\r\nauthorization: Bearer dtn_key\r\n"), "{}", requests[0]);
}

#[tokio::test]
async fn a_refusal_keeps_the_servers_words() {
    let server = Server::answering(&[
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 70\r\nconnection: close\r\n\r\n\
          {\"statusCode\":404,\"message\":\"Sandbox x not found\",\"code\":\"NOT_FOUND\"}   ",
    ])
    .await;
    match server.client.sandbox("x").await.unwrap_err() {
        RequestError::Refused { status: 404, code: Some(code), message, .. } => {
            assert_eq!((code.as_str(), message.as_str()), ("NOT_FOUND", "Sandbox x not found"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_of_something_else_between_says_its_status() {
    let server = Server::answering(&[
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>",
    ])
    .await;
    let failure = server.client.stop_sandbox("x").await.unwrap_err();
    assert_eq!(failure.to_string(), "the server answered 502 Bad Gateway");
}

#[tokio::test]
async fn nobody_there_is_told_from_a_broken_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(Endpoint::new(&url, Key::new("k").unwrap()).unwrap());
    let failure = client.sandbox("x").await.unwrap_err();
    assert!(matches!(failure, RequestError::Unreachable { .. }), "{failure:?}");

    let cut: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    let server = Server::answering(vec![cut; 4].leak()).await;
    let failure = server.client.sandbox("x").await.unwrap_err();
    assert!(matches!(failure, RequestError::Broken { .. }), "{failure:?}");
    assert_eq!(server.requests().await.len(), 4, "what only reads is asked again");
}

#[tokio::test]
async fn a_change_whose_answer_is_cut_off_is_never_asked_for_twice() {
    let server = Server::answering(&[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]).await;
    let failure = server.client.stop_sandbox("x").await.unwrap_err();
    assert!(matches!(failure, RequestError::Broken { .. }), "{failure:?}");
    assert_eq!(server.requests().await.len(), 1);
}

#[tokio::test]
async fn whoever_is_turned_away_for_a_moment_comes_back() {
    let server = Server::answering(&[
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]",
    ])
    .await;
    assert_eq!(server.client.keys().await.unwrap(), Vec::new());
    assert_eq!(server.requests().await.len(), 3);
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_not_taken_for_whole() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let server = Server::answering(vec![answer].leak()).await;
        let sandbox = sandbox(&server.client);
        let mut file = server.client.files(&sandbox).unwrap().read("a b").await.unwrap();
        assert_eq!(file.next().await.unwrap().unwrap(), "abc");
        let failure = file.next().await.unwrap_err();
        assert!(matches!(failure, RequestError::Broken { .. }), "{failure:?}");
        let requests = server.requests().await;
        let path = "GET /toolbox/0b6ecb4e-0000-4000-8000-000000000000/files/download?path=a%20b HTTP/1.1\r\n";
        assert!(requests[0].starts_with(path), "{}", requests[0]);
    }
}

#[tokio::test]
async fn a_file_whose_end_would_be_the_connections_end_is_refused() {
    let server = Server::answering(&[b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"]).await;
    let sandbox = sandbox(&server.client);
    let failure = server.client.files(&sandbox).unwrap().read("a").await.unwrap_err();
    assert!(matches!(failure, RequestError::Unreadable { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_folder_is_listed_as_it_comes_and_a_cut_off_list_says_so() {
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[{\"name\":\"a\",\"size\":1,\"mode\":\"-rw-r--r--\",\
          \"modTime\":\"\",\"isDir\":false,\"owner\":\"0\",\"group\":\"0\",\"permissions\":\"0644\"},",
    ])
    .await;
    let sandbox = sandbox(&server.client);
    let mut listing = server.client.files(&sandbox).unwrap().list(".").await.unwrap();
    assert_eq!(listing.next().await.unwrap().unwrap().name, "a");
    let failure = listing.next().await.unwrap_err();
    assert!(matches!(failure, RequestError::Unreadable { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_file_is_written_as_a_form_and_what_could_not_be_read_here_is_told_from_what_was_refused()
{
    let done: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let server = Server::answering(vec![done].leak()).await;
    let files = server.client.files(&sandbox(&server.client)).unwrap();
    let pieces = ["ab", "c"].map(|piece| Ok(bytes::Bytes::from_static(piece.as_bytes())));
    files.write("x", futures_util::stream::iter(pieces)).await.unwrap();
    let requests = server.requests().await;
    assert!(requests[0].contains("transfer-encoding: chunked"), "{}", requests[0]);

    let server = Server::answering(vec![done].leak()).await;
    let files = server.client.files(&sandbox(&server.client)).unwrap();
    let unreadable = futures_util::stream::iter([Err(std::io::Error::other("the disk is gone"))]);
    let failure = files.write("x", unreadable).await.unwrap_err();
    assert!(
        matches!(&failure, WriteError::Content(cause) if cause.to_string() == "the disk is gone"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn output_arrives_and_ends_with_the_exit_code() {
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\x01\0\0\0\x02hi\x02\0\0\0\x01!\x03\0\0\0\x04\0\0\0\x07",
    ])
    .await;
    let sandbox = sandbox(&server.client);
    let run = command();
    let mut execution = server.client.run(&sandbox, &run).await.unwrap();
    assert_eq!(execution.next().await.unwrap(), Frame::Stdout("hi".into()));
    assert_eq!(execution.next().await.unwrap(), Frame::Stderr("!".into()));
    assert_eq!(execution.next().await.unwrap(), Frame::Exit(7));
    drop(execution);
    let requests = server.requests().await;
    let path =
        "POST /toolbox/0b6ecb4e-0000-4000-8000-000000000000/process/execute/stream HTTP/1.1\r\n";
    assert!(requests[0].starts_with(path), "{}", requests[0]);
    assert!(requests[0].ends_with("{\"command\":\"true\"}"), "{}", requests[0]);
}

#[tokio::test]
async fn an_exit_code_is_never_made_up_when_the_output_is_cut_off() {
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\x01\0\0\0\x02hi\x03\0\0\0\x04\0\0",
    ])
    .await;
    let sandbox = sandbox(&server.client);
    let mut execution = server.client.run(&sandbox, &command()).await.unwrap();
    assert_eq!(execution.next().await.unwrap(), Frame::Stdout("hi".into()));
    let failure = execution.next().await.unwrap_err();
    assert!(matches!(failure, RequestError::Broken { .. }), "{failure:?}");
}

/// An answer that is made by a test, for as long as the tests run.
fn leaked(head: &str, body: &str) -> &'static [&'static [u8]] {
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    Box::leak(Box::new([&*answer.into_bytes().leak()]))
}

#[tokio::test]
async fn of_a_refusal_without_end_its_beginning_is_told() {
    let body = format!(r#"{{"statusCode":400,"code":"{0}","message":"{0}"}}"#, "no".repeat(10_000));
    let server = Server::answering(leaked("400 Bad Request", &body)).await;
    let RequestError::Refused { status: 400, code, message, .. } =
        server.client.current_key().await.unwrap_err()
    else {
        unreachable!()
    };
    assert_eq!((code.unwrap().len(), message), (64, "no".repeat(1000)));
    // Longer than a refusal is read.
    let body = format!(r#"{{"statusCode":400,"message":"{}"}}"#, "no".repeat(100_000));
    let server = Server::answering(leaked("400 Bad Request", &body)).await;
    let failure = server.client.current_key().await.unwrap_err();
    assert_eq!(failure.to_string(), "the server answered 400 Bad Request");
}

#[tokio::test]
async fn what_a_sandbox_says_without_end_is_not_read() {
    let body = format!(r#"{{"exitCode":0,"result":"{}"}}"#, "a".repeat(17 << 20));
    let server = Server::answering(leaked("200 OK", &body)).await;
    let request = ExecuteRequest { command: "x".into(), ..ExecuteRequest::default() };
    let failure = server.client.execute(&sandbox(&server.client), &request).await.unwrap_err();
    assert!(matches!(failure, RequestError::Broken { .. }), "{failure:?}");
}
