//! A daemon that a test started, and its requests.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::patient::Patient;

/// Longer than anything here takes on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running daemon and a folder for its work. Both end with it.
pub(crate) struct Daemon {
    process: Child,
    folder: TempDir,
    pub(crate) hello: Value,
}

/// A connection and the task that moves its bytes; dropping it breaks the connection.
pub(crate) struct Connection<B> {
    pub(crate) sender: SendRequest<B>,
    _task: JoinSet<()>,
}

impl Daemon {
    /// Starts one whose commands belong to the caller.
    pub(crate) fn start() -> Self {
        Self::start_with(&json!({}), &[])
    }

    /// Starts one with more boot configuration and more flags.
    #[expect(clippy::disallowed_methods, reason = "this is how a process is started")]
    pub(crate) fn start_with(boot: &Value, flags: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut configuration = json!({
            "sandboxId": "the-id",
            "snapshot": "the-snapshot",
            "workDir": folder.path(),
        });
        let more = boot.as_object().expect("an object").clone();
        configuration.as_object_mut().expect("an object").extend(more);
        let boot = folder.path().join(".boot.json");
        std::fs::write(&boot, configuration.to_string()).expect("the boot configuration");
        let mut process = Command::new(env!("CARGO_BIN_EXE_pitlane-daemon"))
            .arg("--listen")
            .arg(folder.path().join(".socket"))
            .arg("--boot")
            .arg(boot)
            .args(flags)
            .env("INHERITED_SECRET", "from whoever started the daemon")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let mut hello = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut hello).expect("a line");
        let hello = serde_json::from_str(&hello).expect("a hello");
        Self { process, folder, hello }
    }

    /// Where relative paths and commands start.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the work folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file in the work folder.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a text")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as whoever made the sandbox would, and waits.
    pub(crate) fn end(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let is_told = id.is_some_and(|id| {
            rustix::process::kill_process(id, rustix::process::Signal::TERM).is_ok()
        });
        if !is_told {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }

    /// Ends it at once, as a fault would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("its end");
    }

    /// Opens a connection.
    pub(crate) async fn connect<B>(&self) -> Connection<B>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = UnixStream::connect(self.path(".socket")).await.expect("a connection");
        let handshake = http1::handshake(TokioIo::new(Patient(stream))).await;
        let (sender, connection) = handshake.expect("HTTP");
        let mut task = JoinSet::new();
        task.spawn(async move {
            connection.with_upgrades().await.ok();
        });
        Connection { sender, _task: task }
    }

    /// Sends a request on a connection of its own and gives the answer with its body unread.
    pub(crate) async fn send<B>(&self, request: Request<B>) -> (Response<Incoming>, Connection<B>)
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = self.connect().await;
        let response = connection.sender.send_request(request).await.expect("an answer");
        (response, connection)
    }

    /// Sends a request and gives the whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
        let (response, _connection) = self.send(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        (status, body)
    }

    /// Sends a request without a body.
    pub(crate) async fn call(&self, method: &str, target: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(target).body(Full::default());
        let (status, body) = self.ask(request.expect("a request")).await;
        (status, value(&body))
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, target: &str, body: &Value) -> (StatusCode, Value) {
        let (status, body) = self.ask(post(target, body)).await;
        (status, value(&body))
    }

    /// Runs a command.
    pub(crate) async fn execute(&self, command: &str) -> Value {
        let (status, answer) = self.post("/process/execute", &json!({"command": command})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request with JSON.
pub(crate) fn post(target: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::post(target)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .expect("a request")
}

/// JSON, or nothing.
fn value(body: &Bytes) -> Value {
    if body.is_empty() { Value::Null } else { serde_json::from_slice(body).expect("JSON") }
}

/// The answer of a refusal, without what differs each time.
pub(crate) fn refusal(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().expect("an object");
    assert!(fields.remove("timestamp").is_some_and(|value| value.is_string()));
    answer
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a process runs, as opposed to having ended.
pub(crate) fn is_running(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    status.is_ok_and(|line| !line.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}
