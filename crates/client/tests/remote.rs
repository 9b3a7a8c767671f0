//! Servers that have tools of their own: each kind that there is, and those that misbehave.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use pitlane_client::{RemoteAnswer, RemoteTools, RequestError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server that answers each request with the next of `answers`, and tells what it was sent.
struct Server {
    tasks: JoinSet<Vec<(String, Value)>>,
    remote: RemoteTools,
}

impl Server {
    async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp/", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(read(&mut stream).await);
                drop(stream.write_all(answer.as_bytes()).await);
            }
            requests
        });
        let key = ("x-api-key".parse().unwrap(), "secret".parse().unwrap());
        Self { tasks, remote: RemoteTools::new(&url, vec![key], 0) }
    }

    async fn call(&self) -> Result<RemoteAnswer, RequestError> {
        self.remote.call("list", &json!({"a": 1}), Duration::from_secs(20)).await
    }

    async fn requests(mut self) -> Vec<(String, Value)> {
        self.tasks.join_next().await.unwrap().unwrap()
    }
}

/// The head and the body of a request.
async fn read(stream: &mut tokio::net::TcpStream) -> (String, Value) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        if body.len() >= length {
            return (head.to_owned(), serde_json::from_str(body).unwrap());
        }
    }
}

fn answer(status: &str, head: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn json_answer(value: &Value) -> String {
    answer("200 OK", "content-type: application/json\r\n", &value.to_string())
}

fn hello() -> String {
    json_answer(&json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-06-18"}}))
}

fn accepted() -> String {
    answer("202 Accepted", "", "")
}

fn called() -> Value {
    let content =
        [json!({"type": "text", "text": "one"}), json!({"type": "image"}), json!({"text": "two"})];
    json!({"jsonrpc": "2.0", "id": 1, "result": {"content": content, "structuredContent": {"n": 1}, "isError": true}})
}

fn wanted() -> RemoteAnswer {
    RemoteAnswer { structured: Some(json!({"n": 1})), text: "one\ntwo".to_owned(), failed: true }
}

#[tokio::test]
async fn a_server_without_sessions_is_greeted_once() {
    let answers = vec![hello(), accepted(), json_answer(&called()), json_answer(&called())];
    let server = Server::answering(answers).await;
    assert_eq!([server.call().await.unwrap(), server.call().await.unwrap()], [wanted(), wanted()]);
    let requests = server.requests().await;
    let methods: Vec<&str> =
        requests.iter().map(|(_, body)| body["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/call", "tools/call"]);
    assert_eq!(requests[2].1["params"], json!({"name": "list", "arguments": {"a": 1}}));
    for (head, _) in &requests {
        assert!(head.starts_with("POST /mcp HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("\r\nx-api-key: secret") && head.contains("text/event-stream"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_session_is_kept_and_begun_anew_when_it_is_forgotten() {
    let begun = |name: &str| {
        let body = json!({"jsonrpc": "2.0", "id": 0, "result": {}}).to_string();
        answer("200 OK", &format!("mcp-session-id: {name}\r\n"), &body)
    };
    let events = format!(
        "event: message\ndata: {}\n\ndata: not json\n\ndata: {}\n\n",
        json!({"jsonrpc": "2.0", "method": "notifications/progress"}),
        called()
    );
    let stream = answer("200 OK", "content-type: text/event-stream\r\n", &events);
    let forgotten = answer("404 Not Found", "", "");
    let answers =
        vec![begun("s1"), accepted(), stream.clone(), forgotten, begun("s2"), accepted(), stream];
    let server = Server::answering(answers).await;
    assert_eq!([server.call().await.unwrap(), server.call().await.unwrap()], [wanted(), wanted()]);
    let sessions: Vec<Option<String>> = server
        .requests()
        .await
        .iter()
        .map(|(head, _)| {
            head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).map(str::to_owned)
        })
        .collect();
    let of = |name: &str| Some(name.to_owned());
    assert_eq!(sessions, [None, of("s1"), of("s1"), of("s1"), None, of("s2"), of("s2")]);
}

#[tokio::test]
async fn a_server_without_json_rpc_is_asked_by_its_routes() {
    let model = json!({"count": 0, "message": "Found 0 sandboxes"});
    let answers = vec![
        answer("405 Method Not Allowed", "", "{\"detail\":\"Method Not Allowed\"}"),
        json_answer(&model),
        answer("500 Internal Server Error", "", "{\"detail\":\"it broke\"}"),
    ];
    let server = Server::answering(answers).await;
    let answered = server.call().await.unwrap();
    let text = "Found 0 sandboxes".to_owned();
    assert_eq!(answered, RemoteAnswer { structured: Some(model), text, failed: false });
    assert_eq!(server.call().await.unwrap_err().to_string(), "it broke");
    let requests = server.requests().await;
    assert!(requests[1].0.starts_with("POST /mcp/list HTTP/1.1\r\n"));
    assert_eq!(requests[1].1, json!({"a": 1}));
}

#[tokio::test]
async fn servers_that_misbehave_are_told_apart() {
    let error =
        json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "not today"}});
    let long = format!("\"{}\"", "x".repeat((16 << 20) + 1));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases = [
        (json_answer(&error), "not today"),
        (answer("401 Unauthorized", "", "{\"detail\":\"a key is needed\"}"), "a key is needed"),
        (
            answer("503 Service Unavailable", "", "<html>"),
            "the server answered 503 Service Unavailable",
        ),
        (answer("200 OK", "", "not json"), "gave an answer that is not the API's"),
        (answer("200 OK", "", "{}"), "gave an answer that is not the API's"),
        (answer("200 OK", "", &deep), "gave an answer that is not the API's"),
        (
            answer("200 OK", "content-type: text/event-stream\r\n", "data: {\n\n"),
            "gave an answer that is not the API's",
        ),
        (answer("200 OK", "", &long), "broke"),
        (String::new(), "broke"),
    ];
    for (answer, wanted) in cases {
        let server = Server::answering(vec![answer]).await;
        let said = server.call().await.unwrap_err().to_string();
        assert!(said.contains(wanted), "{said} instead of {wanted}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote =
        RemoteTools::new(&format!("http://{}", listener.local_addr().unwrap()), Vec::new(), 0);
    let failure = remote.call("list", &json!({}), Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(failure, RequestError::Late { .. }), "{failure}");
}
