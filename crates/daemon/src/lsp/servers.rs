//! The language servers of the sandbox: at most one for a language and a project.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use pitlane_daemon::input::language::Capabilities;
use pitlane_sys::SpawnError;
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::language::Language;
use super::pipes::{Outgoing, Reading};
use super::question::{Command, Question, Reply, Subject, not_running};
use super::server::{Parts, State, run};
use crate::http::Refusal;
use crate::process::{Launch, StartError, Surroundings};
use crate::toolbox::Toolbox;

/// How many run at once. One takes some 200 MiB of memory.
const MAX_SERVERS: usize = 8;
/// How many that ended by themselves are remembered, so that the reason can be told.
const MAX_ENDED: usize = 32;
/// Commands that wait for a server's task.
const WAITING: usize = 32;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Servers(Mutex<HashMap<Key, Server>>);

/// What a server is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) language: Language,
    pub(super) project: PathBuf,
}

/// One of them, as everybody but its own task sees it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    language: Language,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
    stop: CancellationToken,
}

impl Servers {
    /// The server for a key, which is started unless it runs.
    pub(super) fn start(&self, toolbox: &Arc<Toolbox>, key: &Key) -> Result<Server, Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = all.get(key).filter(|server| !server.has_ended()) {
            return Ok(server.clone());
        }
        let (running, ended): (Vec<_>, Vec<_>) =
            all.iter().partition(|(_, server)| !server.has_ended());
        if running.len() >= MAX_SERVERS {
            let message = format!("{MAX_SERVERS} language servers run already: stop one first");
            let code = "TOO_MANY_LANGUAGE_SERVERS";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, code, message));
        }
        if ended.len() >= MAX_ENDED {
            all.retain(|_, server| !server.has_ended());
        }
        let server = start(toolbox, key)?;
        all.insert(key.clone(), server.clone());
        Ok(server)
    }

    /// The server for a key.
    pub(super) fn find(&self, key: &Key) -> Result<Server, Refusal> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(key).cloned();
        found.ok_or_else(|| not_running(key.language, "it was not started"))
    }

    /// Takes the server for a key out; it may still run.
    pub(super) fn remove(&self, key: &Key) -> Result<Server, Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.remove(key).filter(|server| !server.has_ended());
        found.ok_or_else(|| not_running(key.language, "it was not started"))
    }
}

impl Server {
    fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended(_))
    }

    /// Waits until it can be asked; otherwise the reason why it cannot.
    pub(super) async fn ready(&self) -> Result<Capabilities, Arc<str>> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match settled.as_deref() {
            Ok(State::Ready(capabilities)) => Ok(*capabilities),
            Ok(State::Ended(reason)) => Err(Arc::clone(reason)),
            Ok(State::Starting) | Err(_) => Err(Arc::from("it is gone")),
        }
    }

    /// Ends it, and waits until everything it started is gone.
    pub(super) async fn stop(&self) -> Arc<str> {
        self.stop.cancel();
        let mut state = self.state.clone();
        match state.wait_for(|state| matches!(state, State::Ended(_))).await.as_deref() {
            Ok(State::Ended(reason)) => Arc::clone(reason),
            _ => Arc::from("it is gone"),
        }
    }

    /// Asks it something. Dropping the future tells it that nobody waits.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        subject: Subject,
    ) -> Result<Reply, Refusal> {
        let gone = CancellationToken::new();
        let _told_at_the_end = gone.clone().drop_guard();
        self.tell(|reply| Command::Ask(Box::new(Question { method, subject, reply, gone }))).await
    }

    /// Has its task do something.
    pub(super) async fn tell<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Command,
    ) -> Result<T, Refusal> {
        let (reply, replied) = oneshot::channel();
        // A task that has ended takes nothing and answers nothing, and its reason is there by then.
        if self.commands.send(command(reply)).await.is_ok()
            && let Ok(reply) = replied.await
        {
            return reply;
        }
        let mut state = self.state.clone();
        let reason = match state.wait_for(|state| matches!(state, State::Ended(_))).await.as_deref()
        {
            Ok(State::Ended(reason)) => Arc::clone(reason),
            _ => Arc::from("it is gone"),
        };
        Err(not_running(self.language, &reason))
    }
}

fn start(toolbox: &Arc<Toolbox>, key: &Key) -> Result<Server, Refusal> {
    let failed = |error| Refusal::internal(format!("cannot make a pipe: {error}"));
    let (outgoing, input) = Outgoing::new().map_err(failed)?;
    let (output, stdout) = Reading::new().map_err(failed)?;
    let (errors, stderr) = Reading::new().map_err(failed)?;
    let project = key.project.to_string_lossy();
    let surroundings = Surroundings::new(toolbox, Some(&project), None)?;
    let (program, arguments) = key.language.program();
    let candidates = surroundings.environment.candidates(program);
    let arguments = arguments.iter().map(|argument| CString::from(*argument)).collect();
    let launch = Launch { input, ..surroundings.launch(candidates, arguments, b"")? };
    let started = toolbox.processes().start(&launch, &stdout, &stderr);
    let started = started.map_err(|error| not_started(key, &error))?;
    let (commands, received) = mpsc::channel(WAITING);
    let (state, seen) = watch::channel(State::Starting);
    let stop = CancellationToken::new();
    let server = Server { language: key.language, commands, state: seen, stop: stop.clone() };
    toolbox.tasks().spawn(run(Parts {
        toolbox: Arc::clone(toolbox),
        language: key.language,
        project: key.project.clone(),
        started,
        outgoing,
        output,
        errors,
        commands: received,
        state,
        stop,
    }));
    Ok(server)
}

fn not_started(key: &Key, error: &StartError) -> Refusal {
    let (program, _) = key.language.program();
    let name = key.language.name();
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => {
            let project = key.project.to_string_lossy();
            Refusal::bad_request(format!("pathToProject cannot be entered: {project}: {errno}"))
        }
        StartError::Spawn(SpawnError::Execute(Errno::NOENT | Errno::ACCESS)) => {
            let message = format!(
                "there is no {name} language server in this sandbox: install {program}, for example with `{}`",
                key.language.installation()
            );
            Refusal::new(StatusCode::BAD_REQUEST, "LSP_SERVER_NOT_INITIALIZED", message)
        }
        StartError::Spawn(error) => {
            Refusal::internal(format!("cannot start {program}: {error}: {}", error.errno()))
        }
        StartError::Group(error) => {
            Refusal::internal(format!("cannot start {program}: {error}: {}", error.errno))
        }
    }
}

/// The project's folder as one path, however it was written.
pub(super) fn project(toolbox: &Toolbox, asked: &str) -> Result<PathBuf, Refusal> {
    let (work_dir, home) = (Path::new(toolbox.work_dir()), Path::new(&toolbox.user().home));
    let path = pitlane_daemon::input::resolve(asked.as_bytes(), work_dir, home)
        .map_err(|error| Refusal::bad_request(format!("pathToProject: {error}")))?;
    let parts = path.components().filter(|part| *part != std::path::Component::CurDir);
    Ok(parts.collect())
}
