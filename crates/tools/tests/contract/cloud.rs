//! A server of the Daytona API and nothing more: sandboxes, files, git and sessions that a test decides about.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pitlane_tools::{Answer, Call, Client, Endpoint, Key, Settings, Tools, Toolset};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The id of the one sandbox there is; its name is `x`.
pub(crate) const ID: &str = "0b6ecb4e-0000-4000-8000-000000000000";

/// What a test wants a request to be answered with; `None` is as usual.
type Answers = Box<dyn Fn(&str, &[u8]) -> Option<(u16, Value)> + Send + Sync>;

#[derive(Default)]
struct State {
    requests: Vec<String>,
    files: HashMap<String, Vec<u8>>,
}

/// The server, and tools for it.
pub(crate) struct Cloud {
    pub(crate) tools: Tools,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Cloud {
    pub(crate) async fn usual() -> Self {
        Self::answering(|_, _| None).await
    }

    /// A server that answers some requests otherwise: `METHOD /path?query`, without `/api` and `/toolbox/ID`.
    pub(crate) async fn answering(
        answers: impl Fn(&str, &[u8]) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Settings { retry_count: 0, ..Settings::default() }, answers).await
    }

    pub(crate) async fn with(
        settings: Settings,
        answers: impl Fn(&str, &[u8]) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (state, changed) = (Arc::<Mutex<State>>::default(), watch::Sender::new(()));
        let answers: Arc<Answers> = Arc::new(Box::new(answers));
        let (seen, told, place) = (Arc::clone(&state), changed.clone(), origin.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                let (told, place) = (told.clone(), place.clone());
                let service = service_fn(move |request| {
                    let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                    let (told, place) = (told.clone(), place.clone());
                    async move {
                        let answer = answer(request, &answers, &seen, &told, &place).await;
                        Ok::<_, Infallible>(answer)
                    }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(served.await) });
            }
        });
        let endpoint = Endpoint::new(&format!("{origin}/api"), Key::new("dtn_k").unwrap()).unwrap();
        let tools = Tools::new(Client::new(endpoint), settings);
        Self { tools, state, changed, _tasks: tasks }
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Answer {
        self.tools.call(Call::parse(method, params).unwrap(), &()).await
    }

    pub(crate) async fn daytona(&self, method: &str, params: Value) -> Answer {
        self.tools.call(Toolset::Daytona.parse(method, params).unwrap(), &()).await
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().files.get(path).cloned()
    }

    /// Waits until something was asked that begins so.
    pub(crate) async fn asked(&self, beginning: &str) {
        let mut changes = self.changed.subscribe();
        while !self.requests().iter().any(|request| request.starts_with(beginning)) {
            changes.changed().await.unwrap();
        }
    }
}

fn sandbox(origin: &str) -> Value {
    json!({
        "id": ID, "organizationId": "o", "name": "x", "user": "daytona", "state": "started",
        "env": {"API_KEY": "hush", "PLAIN": "1"}, "labels": {"code-toolbox-language": "python"},
        "public": false, "networkBlockAll": false, "kvm": false, "target": "us", "cpu": 1, "gpu": 0,
        "memory": 1, "disk": 3, "createdAt": "2026-01-01T00:00:00Z", "lastActivityAt": "2026-01-02T00:00:00Z",
        "toolboxProxyUrl": format!("{origin}/toolbox"),
    })
}

async fn answer(
    request: Request<Incoming>,
    answers: &Answers,
    state: &Mutex<State>,
    told: &watch::Sender<()>,
    origin: &str,
) -> Response<Full<Bytes>> {
    assert_eq!(request.headers()["authorization"], "Bearer dtn_k");
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path_and_query().unwrap().as_str();
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix(&format!("/toolbox/{ID}")).unwrap_or(path);
    let line = format!("{} {path}", head.method);
    let text = String::from_utf8_lossy(&body).into_owned();
    let (status, answer) = {
        let mut state = state.lock().unwrap();
        let shown = if text.is_empty() { line.clone() } else { format!("{line} {text}") };
        state.requests.push(shown);
        match answers(&line, &body) {
            Some(answer) => answer,
            None => usual(&mut state, &line, &head.method, path, &text, origin),
        }
    };
    told.send_replace(());
    // A request that is never answered.
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let bytes = match answer {
        Value::String(text) => text.into_bytes(),
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    };
    let mut response = Response::new(Full::from(bytes));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn usual(
    state: &mut State,
    line: &str,
    method: &Method,
    path: &str,
    body: &str,
    origin: &str,
) -> (u16, Value) {
    let no =
        |status: u16, message: &str| (status, json!({"statusCode": status, "message": message}));
    match path.split('?').next().unwrap() {
        "/sandbox" if *method == Method::POST => (200, sandbox(origin)),
        "/sandbox" => (200, json!({"items": [sandbox(origin)], "nextCursor": null})),
        path if path.contains("/preview-url") => {
            (200, json!({"sandboxId": ID, "url": "http://preview", "token": "t"}))
        }
        path if path.contains("/signed-preview-url") => {
            (200, json!({"sandboxId": ID, "port": 1, "url": "http://signed", "token": "t"}))
        }
        path if path == "/sandbox/x" || path == format!("/sandbox/{}", ID.replace('-', "%2D")) => {
            (200, sandbox(origin))
        }
        path if path.starts_with("/sandbox/") => no(404, "no such sandbox"),
        "/process/code-run" => (200, json!({"exitCode": 0, "result": "ran\n"})),
        "/process/session" => (201, Value::Null),
        path if path.ends_with("/exec") => (
            200,
            json!({"cmdId": "c", "output": "", "stdout": "out\n", "stderr": "err\n", "exitCode": 0}),
        ),
        path if path.starts_with("/process/session/") => (204, Value::Null),
        "/files/bulk-upload" => {
            let parts: Vec<&str> = body.split("\r\n").collect();
            state.files.insert(parts[3].to_owned(), parts[8].as_bytes().to_vec());
            (200, json!({"files": [{"path": parts[3], "bytes": 1}]}))
        }
        "/files/download" => (200, json!("read")),
        "/files/info" => no(404, "file not found"),
        "/files" if *method == Method::DELETE => (204, Value::Null),
        "/files" => (200, json!([])),
        path if path.starts_with("/git/") => (200, json!({"hash": "0123456789abcdef"})),
        _ => no(404, &format!("404 page not found: {line}")),
    }
}
