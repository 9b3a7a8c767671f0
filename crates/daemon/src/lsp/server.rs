//! One language server: its process, what it was asked, and what became of it.
//!
//! One task owns it. Whatever the server does, nobody waits for it longer than a deadline, and what is kept for it or of
//! it is bounded. With the task end the process and everything it started.

use std::collections::HashMap;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use pitlane_daemon::input::language::{
    Capabilities, Failure, FramingError, Incoming, Messages, to_code_points, uri_of,
};
use pitlane_sys::ExitStatus;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::documents::{Documents, notice};
use super::language::Language;
use super::pipes::{Complaint, Outgoing, Reading};
use super::question::{Command, Question, Reply, Subject, unreadable};
use crate::files::{Document, read_document};
use crate::http::Refusal;
use crate::process::Started;
use crate::toolbox::Toolbox;

/// How long a server may take until it can be asked: Node and Python start, and read the project.
pub(super) const START_DEADLINE: Duration = Duration::from_secs(60);
/// Questions that wait for their answers at once.
const MAX_PENDING: usize = 64;
/// With more than this to be written, nothing more is asked.
const FULL: usize = 8 << 20;
/// With more than this, the server does not read.
const OVERFULL: usize = 16 << 20;
/// How long a process may take to end after it closed its output.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The number of the first question.
const INITIALIZE: u64 = 0;

/// Where a server is in its life.
#[derive(Debug, Clone)]
pub(super) enum State {
    Starting,
    Ready(Capabilities),
    /// With the reason.
    Ended(Arc<str>),
}

/// Everything of a server that its task owns.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) toolbox: Arc<Toolbox>,
    pub(super) language: Language,
    pub(super) project: PathBuf,
    pub(super) started: Started,
    pub(super) outgoing: Outgoing,
    pub(super) output: Reading,
    pub(super) errors: Reading,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) state: watch::Sender<State>,
    pub(super) stop: CancellationToken,
}

/// Why a server is none any more.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("it was stopped")]
    Stopped,
    #[error("it ended by itself with exit code {0}")]
    Exited(i32),
    #[error("signal {0} ended it")]
    Signalled(i32),
    #[error("it did not become ready within {} s", START_DEADLINE.as_secs())]
    Silent,
    #[error("it refused to start: {0}")]
    Refused(String),
    #[error("it sent {0}")]
    Garbled(#[from] FramingError),
    #[error("it does not read what it is sent")]
    Deaf,
    #[error("it closed its input or output")]
    Closed,
    #[error("how it ended is not known")]
    Lost,
}

/// Owns a server until its end.
pub(super) async fn run(parts: Parts) {
    let Parts {
        toolbox, language, project, mut started, outgoing, output, errors, commands, ..
    } = parts;
    let (state, stop) = (parts.state, parts.stop);
    let mut server = Server {
        toolbox: Arc::clone(&toolbox),
        language,
        project,
        outgoing,
        documents: Documents::new(language),
        messages: Messages::default(),
        state: state.clone(),
        pending: HashMap::new(),
        gone: FuturesUnordered::new(),
        last: INITIALIZE,
    };
    server.initialize();
    let mut streams = Streams { output, errors, complaint: Complaint::default() };
    let ending = server.serve(&mut started, &mut streams, commands, &stop).await;
    let mut reason = ending.to_string();
    if started.saw_memory_run_out() {
        reason.push_str("; the sandbox's memory was used up");
    }
    if !matches!(ending, Ending::Stopped)
        && let Some(line) = streams.last_line()
    {
        reason = format!("{reason}: {line}");
    }
    if let Err(error) = started.kill().await {
        reason = format!("{reason}, and it may still run: {error}");
    }
    // Everybody who waits is told by what is dropped here, and finds the reason then.
    state.send_replace(State::Ended(reason.into()));
    drop(server);
    drop(started);
    toolbox.processes().tidy();
}

/// What a server says.
struct Streams {
    output: Reading,
    errors: Reading,
    complaint: Complaint,
}

struct Server {
    toolbox: Arc<Toolbox>,
    language: Language,
    project: PathBuf,
    outgoing: Outgoing,
    documents: Documents,
    messages: Messages,
    state: watch::Sender<State>,
    pending: HashMap<u64, Waiting>,
    /// The numbers of questions whose answers nobody wants any more.
    gone: FuturesUnordered<BoxFuture<'static, u64>>,
    last: u64,
}

/// A question whose answer has not come.
struct Waiting {
    reply: oneshot::Sender<Result<Reply, Refusal>>,
    document: Option<Document>,
}

impl Server {
    async fn serve(
        &mut self,
        started: &mut Started,
        streams: &mut Streams,
        mut commands: mpsc::Receiver<Command>,
        stop: &CancellationToken,
    ) -> Ending {
        let deadline = Instant::now().checked_add(START_DEADLINE);
        loop {
            let is_ready = matches!(*self.state.borrow(), State::Ready(_));
            let is_full = self.outgoing.size() > FULL;
            tokio::select! {
                () = stop.cancelled() => return Ending::Stopped,
                status = &mut started.exit => return status.map_or(Ending::Lost, ended),
                () = at(deadline), if !is_ready => return Ending::Silent,
                written = self.outgoing.advance() => {
                    if written.is_err() {
                        return last_words(started).await;
                    }
                }
                bytes = streams.output.next() => {
                    if bytes.is_empty() {
                        return last_words(started).await;
                    }
                    if let Err(ending) = self.hear(bytes) {
                        return ending;
                    }
                }
                bytes = streams.errors.next() => streams.complaint.add(bytes),
                Some(id) = self.gone.next() => self.forget(id),
                command = commands.recv(), if is_ready && !is_full => {
                    let Some(command) = command else { return Ending::Stopped };
                    tokio::select! {
                        () = stop.cancelled() => return Ending::Stopped,
                        () = self.obey(command) => {}
                    }
                }
            }
        }
    }

    fn initialize(&mut self) {
        let folder = self.folder();
        let formats = ["markdown", "plaintext"];
        let params = json!({
            // A server that looks whether this process lives would see that it may not.
            "processId": null,
            "clientInfo": { "name": "pitlane", "version": env!("CARGO_PKG_VERSION") },
            "rootUri": uri_of(&self.project),
            "rootPath": self.project.to_string_lossy(),
            "workspaceFolders": [folder],
            "initializationOptions": self.language.options(),
            "capabilities": {
                "general": { "positionEncodings": ["utf-16"] },
                "workspace": {
                    "configuration": true,
                    "workspaceFolders": true,
                    "symbol": {},
                },
                "textDocument": {
                    "synchronization": {},
                    "completion": {
                        "completionItem": { "documentationFormat": formats },
                        "contextSupport": true,
                    },
                    "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
                },
            },
        });
        self.send(INITIALIZE, "initialize", &params);
    }

    fn folder(&self) -> Value {
        let name = self.project.file_name().unwrap_or_default().to_string_lossy();
        json!({ "uri": uri_of(&self.project), "name": name })
    }

    fn send(&mut self, id: u64, method: &str, params: &Value) {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.outgoing.push(&message);
    }

    /// Takes what the server says.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        self.messages.push(bytes);
        while let Some(message) = self.messages.take()? {
            match Incoming::read(&message) {
                Incoming::Answer { id: INITIALIZE, outcome } => self.begin(outcome)?,
                Incoming::Answer { id, outcome } => self.answer(id, outcome),
                Incoming::Question { id, method, items } => self.reply(id, &method, items)?,
                // What makes no sense answers nothing that was asked: somebody's deadline will pass.
                Incoming::Notice | Incoming::Nonsense => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, outcome: Result<&str, Failure>) -> Result<(), Ending> {
        let result = outcome.map_err(|failure| Ending::Refused(failure.message))?;
        if matches!(*self.state.borrow(), State::Starting) {
            self.outgoing.push(&notice("initialized", &json!({})));
            self.state.send_replace(State::Ready(Capabilities::read(result)));
        }
        Ok(())
    }

    fn answer(&mut self, id: u64, outcome: Result<&str, Failure>) {
        let Some(Waiting { reply, document }) = self.pending.remove(&id) else { return };
        let answer = match outcome {
            Ok(result) => Ok(Reply { result: result.to_owned(), document }),
            Err(failure) => {
                let name = self.language.name();
                let message = format!("the {name} language server: {}", failure.message);
                Err(Refusal::bad_request(message))
            }
        };
        // Who asked may have lost interest.
        reply.send(answer).ok();
    }

    /// Answers a question of the server's.
    fn reply(&mut self, id: &str, method: &str, items: usize) -> Result<(), Ending> {
        let result = match method {
            "workspace/configuration" => json!(vec![Value::Null; items]),
            "workspace/workspaceFolders" => json!([self.folder()]),
            "workspace/applyEdit" => json!({ "applied": false }),
            "window/showDocument" => json!({ "success": false }),
            "client/registerCapability"
            | "client/unregisterCapability"
            | "window/workDoneProgress/create"
            | "window/showMessageRequest" => Value::Null,
            _ => {
                let error = json!({ "code": -32601, "message": "this client cannot do it" });
                return self.tell(&json!({ "jsonrpc": "2.0", "id": name(id), "error": error }));
            }
        };
        self.tell(&json!({ "jsonrpc": "2.0", "id": name(id), "result": result }))
    }

    fn tell(&mut self, message: &Value) -> Result<(), Ending> {
        self.outgoing.push(message);
        if self.outgoing.size() > OVERFULL { Err(Ending::Deaf) } else { Ok(()) }
    }

    /// Nobody waits for this answer any more.
    fn forget(&mut self, id: u64) {
        if self.pending.remove(&id).is_some() {
            self.outgoing.push(&notice("$/cancelRequest", &json!({ "id": id })));
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Open { paths, reply } => {
                let read = read_document(self.toolbox.files(), paths).await;
                let told = read.map(|document| self.sync(&document));
                reply.send(told.map_err(|error| unreadable(&error))).ok();
            }
            Command::Close { paths, reply } => {
                for path in &paths {
                    if let Some(closed) = self.documents.close(path) {
                        self.outgoing.push(&closed);
                    }
                }
                reply.send(Ok(())).ok();
            }
            Command::Ask(question) => self.ask(*question).await,
        }
    }

    async fn ask(&mut self, question: Question) {
        let Question { method, subject, reply, gone } = question;
        if self.pending.len() >= MAX_PENDING {
            let message = "the language server has too many questions to answer: try again later";
            let refusal =
                Refusal::new(http::StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_QUESTIONS", message);
            reply.send(Err(refusal)).ok();
            return;
        }
        let (params, document) = match self.prepare(subject).await {
            Ok(prepared) => prepared,
            Err(refusal) => {
                reply.send(Err(refusal)).ok();
                return;
            }
        };
        self.last = self.last.saturating_add(1);
        let id = self.last;
        self.send(id, method, &params);
        self.pending.insert(id, Waiting { reply, document });
        self.gone.push(Box::pin(async move {
            gone.cancelled().await;
            id
        }));
    }

    /// The parameters of a question, after the server was told what it must know.
    async fn prepare(&mut self, subject: Subject) -> Result<(Value, Option<Document>), Refusal> {
        let (document, cursor) = match subject {
            Subject::Project { query, example } => {
                if let Some(example) = example.filter(|_| self.documents.are_none()) {
                    self.sync(&example);
                }
                return Ok((json!({ "query": query }), None));
            }
            Subject::Text(document) => {
                if self.documents.is_open(&document.path) {
                    self.sync(&document);
                }
                (document, None)
            }
            Subject::File { paths, cursor } => {
                let read = read_document(self.toolbox.files(), paths).await;
                let document = read.map_err(|error| unreadable(&error))?;
                self.sync(&document);
                (document, cursor)
            }
        };
        let mut params = json!({ "textDocument": { "uri": uri_of(&document.path) } });
        if let (Some(cursor), Some(params)) = (cursor, params.as_object_mut()) {
            let position = if self.counts_code_points() {
                to_code_points(&document.text, cursor.position)
            } else {
                cursor.position
            };
            params.insert("position".into(), json!(position));
            params.extend(cursor.context.map(|context| ("context".into(), json!(context))));
        }
        Ok((params, Some(document)))
    }

    fn sync(&mut self, document: &Document) {
        for notice in self.documents.tell(document) {
            self.outgoing.push(&notice);
        }
    }

    fn counts_code_points(&self) -> bool {
        match &*self.state.borrow() {
            State::Ready(capabilities) => self.language.counts_code_points(*capabilities),
            State::Starting | State::Ended(_) => false,
        }
    }
}

impl Streams {
    /// What the server complained about last.
    fn last_line(&mut self) -> Option<String> {
        let rest = self.errors.rest();
        self.complaint.add(rest);
        self.complaint.last_line()
    }
}

/// A question's number or name as the server wrote it.
fn name(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

const fn ended(status: ExitStatus) -> Ending {
    match status {
        ExitStatus::Code(code) => Ending::Exited(code),
        ExitStatus::Signal(signal) => Ending::Signalled(signal),
    }
}

/// A server that closed a pipe has usually ended, and how tells more.
async fn last_words(started: &mut Started) -> Ending {
    match timeout(LAST_WORDS, &mut started.exit).await {
        Ok(Ok(status)) => ended(status),
        Ok(Err(_)) => Ending::Lost,
        Err(_elapsed) => Ending::Closed,
    }
}
