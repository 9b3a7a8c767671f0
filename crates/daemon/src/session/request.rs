//! What clients ask of sessions.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::{
    CreateSessionRequest, Session as Shown, SessionExecuteRequest, SessionExecuteResponse,
    SessionSendInputRequest,
};
use tokio::sync::Semaphore;

use super::command::{Command, Order, Stage};
use super::follow::follow;
use super::piece::{Wanted, piece};
use super::run::run;
use super::shell::Shell;
use super::spool::Spool;
use super::state::Session;
use super::view::{Dialect, logs, outcome};
use crate::files::Files;
use crate::http::{Answer, Query, Refusal, empty, json, read_json, read_json_held};
use crate::toolbox::Toolbox;

/// The session of the image's own program.
pub(super) const ENTRYPOINT: &str = "entrypoint";
/// The command of that session.
pub(super) const ENTRYPOINT_COMMAND: &str = "entrypoint_command";
/// Sessions that a sandbox may have at the same time.
const MOST_SESSIONS: usize = 1000;
/// Logs that may be followed at the same time, and as many that may be read.
const MOST_FOLLOWERS: usize = 1000;
/// The longest name of a session, in bytes.
const MOST_NAME: usize = 256;

/// The sessions of a sandbox.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Mutex<BTreeMap<String, Arc<Session>>>,
    pub(super) spool: Spool,
    pub(super) text: Arc<AtomicUsize>,
    followers: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    /// The image's own program and its arguments, if it has any.
    pub(super) program: Vec<String>,
    pub(super) entrypoint: Arc<Session>,
}

impl Sessions {
    /// None yet; `files` keeps what they say, and `program` is the image's own.
    pub(crate) fn new(files: Files, program: Vec<String>) -> Self {
        let text = Arc::default();
        let entrypoint = Session::new(String::from(ENTRYPOINT), Arc::clone(&text));
        Self {
            all: Mutex::default(),
            spool: Spool::new(files),
            text,
            followers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            readers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            program,
            entrypoint,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Arc<Session>, Refusal> {
        let found = match id {
            ENTRYPOINT => Some(Arc::clone(&self.entrypoint)),
            id => self.lock().get(id).cloned(),
        };
        found.ok_or_else(|| unknown(id))
    }

    /// A command that has ended and said nothing.
    fn nothing(&self) -> Arc<Command> {
        let order = Order { text: String::new(), has_input: false, echoes_input: false };
        let command = Command::new(String::from(ENTRYPOINT_COMMAND), order, self.spool.clone());
        command.finish(Stage::Ended(0));
        command
    }

    /// Keeps a place for a session.
    fn reserve(&self, id: &str) -> Result<Arc<Session>, Refusal> {
        let mut all = self.lock();
        if all.contains_key(id) {
            let message = format!("there is a session {id} already");
            return Err(Refusal::new(StatusCode::CONFLICT, "CONFLICT", message));
        }
        if all.len() >= MOST_SESSIONS {
            let message = format!("the sandbox has {MOST_SESSIONS} sessions: delete one first");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_SESSIONS", message));
        }
        let session = Session::new(id.to_owned(), Arc::clone(&self.text));
        all.insert(id.to_owned(), Arc::clone(&session));
        Ok(session)
    }
}

/// Answers the requests below `/process/session`, whose rest of the path is `rest`.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    method: &Method,
    rest: &str,
    request: Request<Incoming>,
) -> Answer {
    let parts: Vec<String> = rest.split('/').skip(1).map(decoded).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", []) => create(toolbox, request).await,
        ("GET", []) => list(toolbox),
        ("GET", [id]) => json(StatusCode::OK, &toolbox.sessions().find(id)?.shown()),
        ("DELETE", [id]) => delete(toolbox, id).await,
        ("POST", [id, "exec"]) => execute(toolbox, id, request).await,
        ("GET", [ENTRYPOINT, "logs"]) => {
            let found = toolbox.sessions().entrypoint.find(ENTRYPOINT_COMMAND);
            // An image without a program says nothing.
            let command = found.unwrap_or_else(|_none| toolbox.sessions().nothing());
            read_log(toolbox, &command, request).await
        }
        ("GET", [id, "command", command]) => show(toolbox, id, command),
        ("POST", [id, "command", command, "input"]) => send(toolbox, id, command, request).await,
        ("GET", [id, "command", command, "logs"]) => {
            let command = toolbox.sessions().find(id)?.find(command)?;
            read_log(toolbox, &command, request).await
        }
        _ => {
            let message = format!("the toolbox has no {method} /process/session{rest}");
            Err(Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message))
        }
    }
}

fn decoded(part: &str) -> Result<String, Refusal> {
    let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
    let decoded = decoded.map_err(|_invalid| Refusal::bad_request("the path is not UTF-8"))?;
    Ok(decoded.into_owned())
}

async fn create(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let CreateSessionRequest { session_id } = read_json(request.into_body()).await?;
    if session_id.is_empty() || session_id.len() > MOST_NAME {
        let message = format!("sessionId must have 1 to {MOST_NAME} bytes");
        return Err(Refusal::bad_request(message));
    }
    if session_id == ENTRYPOINT {
        return Err(reserved());
    }
    let sessions = toolbox.sessions();
    let session = sessions.reserve(&session_id)?;
    match Shell::start(toolbox) {
        Ok(shell) => {
            toolbox.tasks().spawn(run(Arc::clone(toolbox), session, shell));
            let shared = Arc::clone(toolbox);
            toolbox.tasks().spawn(async move { shared.processes().tidy() });
            empty(StatusCode::CREATED)
        }
        Err(refusal) => {
            sessions.lock().remove(&session_id);
            Err(refusal)
        }
    }
}

fn list(toolbox: &Toolbox) -> Answer {
    let all: Vec<Arc<Session>> = toolbox.sessions().lock().values().cloned().collect();
    let shown: Vec<Shown> = all.iter().map(|session| session.shown()).collect();
    json(StatusCode::OK, &shown)
}

/// The session's processes end even when nobody waits for that any more.
async fn delete(toolbox: &Toolbox, id: &str) -> Answer {
    if id == ENTRYPOINT {
        return Err(reserved());
    }
    let session = toolbox.sessions().lock().remove(id).ok_or_else(|| unknown(id))?;
    session.deletion.cancel();
    session.gone.cancelled().await;
    empty(StatusCode::NO_CONTENT)
}

async fn execute(toolbox: &Arc<Toolbox>, id: &str, request: Request<Incoming>) -> Answer {
    if id == ENTRYPOINT {
        return Err(reserved());
    }
    let sessions = toolbox.sessions();
    let session = sessions.find(id)?;
    let dialect = Dialect::of(request.headers());
    let (wanted, held): (SessionExecuteRequest, _) = read_json_held(request.into_body()).await?;
    if wanted.command.trim().is_empty() {
        return Err(Refusal::bad_request("command is required"));
    }
    if wanted.command.contains('\0') {
        return Err(Refusal::bad_request("the command contains a NUL"));
    }
    let is_async = wanted.run_async.unwrap_or(false) || wanted.is_async.unwrap_or(false);
    let order = Order {
        text: wanted.command,
        has_input: is_async,
        echoes_input: !wanted.suppress_input_echo.unwrap_or(false),
    };
    let command = session.add(new_id()?, order, sessions.spool.clone())?;
    // The session counts it from here on.
    drop(held);
    if is_async {
        let cmd_id = command.id().to_owned();
        let begun = SessionExecuteResponse { cmd_id, ..SessionExecuteResponse::default() };
        return json(StatusCode::ACCEPTED, &begun);
    }
    // It runs on when its caller has gone.
    let exit_code = command.outcome().await?;
    outcome(toolbox, &command, exit_code, dialect)
}

fn show(toolbox: &Toolbox, id: &str, command: &str) -> Answer {
    let command = toolbox.sessions().find(id)?.find(command)?;
    match command.stage() {
        // Whoever waits for its exit code would wait for ever.
        Stage::Lost(refusal) => Err(refusal),
        Stage::Waiting | Stage::Running | Stage::Ended(_) => json(StatusCode::OK, &command.shown()),
    }
}

async fn send(toolbox: &Toolbox, id: &str, command: &str, request: Request<Incoming>) -> Answer {
    let command = toolbox.sessions().find(id)?.find(command)?;
    // It may be long until the command reads it.
    let (SessionSendInputRequest { data }, _held) = read_json_held(request.into_body()).await?;
    command.send(data).await?;
    empty(StatusCode::NO_CONTENT)
}

async fn read_log(toolbox: &Arc<Toolbox>, command: &Command, request: Request<Incoming>) -> Answer {
    let sessions = toolbox.sessions();
    let query = Query::of(request.uri());
    let is_followed = match query.optional("follow") {
        None | Some("false" | "False" | "0") => false,
        Some("true" | "True" | "1") => true,
        Some(_) => return Err(Refusal::bad_request("follow must be true or false")),
    };
    let wanted = Wanted::of(&query)?;
    if is_followed && wanted.is_some() {
        return Err(Refusal::bad_request("a log is followed from its beginning"));
    }
    let places = if is_followed { &sessions.followers } else { &sessions.readers };
    let permit = Arc::clone(places).try_acquire_owned().map_err(|_none_left| {
        let message = format!("{MOST_FOLLOWERS} logs are being read: try again later");
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_FOLLOWERS", message)
    })?;
    if is_followed {
        return follow(toolbox, command, request, permit);
    }
    if let Some(wanted) = wanted {
        return piece(command, wanted, permit).await;
    }
    logs(toolbox, command, Dialect::of(request.headers()), permit)
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no session {id}"))
}

fn reserved() -> Refusal {
    Refusal::bad_request("the session entrypoint belongs to the image's own program")
}

/// A UUID of version 4.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::internal(error.to_string()))?;
    let number =
        u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    Ok(parts.join("-"))
}
