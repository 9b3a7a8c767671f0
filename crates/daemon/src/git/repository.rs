//! Running git where a request wants it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use pitlane_daemon::input::git::{GitFailure, failure, without_secrets};
use pitlane_sys::SpawnError;
use tokio::time::Instant;

use super::command::{Command, is_inherited, variables};
use super::credentials::Credentials;
use crate::http::Refusal;
use crate::process::{
    Control, Ending, Kind, Launch, Sink, Source, StartError, Started, Surroundings, exit_code,
    supervise,
};
use crate::toolbox::Toolbox;

/// The most output that is read: a list of some hundred thousand files, and an answer that several callers may ask for at
/// once.
const MAX_OUTPUT: usize = 32 << 20;
/// How much is kept of what git says to people, the end of it.
const MAX_WORDS: usize = 64 << 10;
/// How long git may take to remove what it has begun.
const GRACE: Duration = Duration::from_secs(5);
/// How long removing a clone that failed may take.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(120);
/// What a sandbox without git is told.
const NO_GIT: &str = "this sandbox has no git: install it in the sandbox (for example apt-get install git, or \
                      apk add git), or use an image that has it";

/// An operation's surroundings.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) toolbox: &'a Arc<Toolbox>,
    pub(super) control: &'a Control,
}

/// A place in which git runs.
#[derive(Clone)]
pub(super) struct Repository<'a> {
    work: Work<'a>,
    folder: PathBuf,
    /// Where git stops looking for a repository: the one that is meant is in the folder itself.
    above: Option<String>,
    /// As the caller wrote it.
    asked: String,
}

/// A command that has ended.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) exit_code: i32,
    pub(super) stdout: Vec<u8>,
    words: Vec<u8>,
    is_cut: bool,
}

impl Sink for Output {
    async fn take(&mut self, kind: Kind, bytes: &[u8]) {
        match kind {
            Kind::Stdout => {
                let room = MAX_OUTPUT.saturating_sub(self.stdout.len());
                self.is_cut |= bytes.len() > room;
                self.stdout.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
            Kind::Stderr => {
                self.words.extend_from_slice(bytes);
                let excess = self.words.len().saturating_sub(MAX_WORDS);
                self.words.drain(..excess);
            }
        }
    }
}

impl Output {
    /// The first line of its output.
    pub(super) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// The only value of its output, which ended with a NUL, if it succeeded.
    pub(super) fn value(&self) -> Option<String> {
        let value = self.stdout.strip_suffix(b"\0").unwrap_or(&self.stdout);
        (self.exit_code == 0).then(|| String::from_utf8_lossy(value).into_owned())
    }

    /// All it has said.
    fn said(&self) -> String {
        // A merge tells of conflicts on its standard output.
        let start = self.stdout.len().saturating_sub(MAX_WORDS);
        let stdout = self.stdout.get(start..).unwrap_or_default();
        format!("{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(&self.words))
    }
}

impl<'a> Work<'a> {
    /// The repository at a path of the caller's.
    pub(super) async fn repository(self, asked: &str) -> Result<Repository<'a>, Refusal> {
        let folder = self.path(asked)?;
        let path = folder.clone();
        let found = self.toolbox.files().run(move || std::fs::canonicalize(path)).await?;
        let found = found.map_err(|error| no_repository(asked, &error.to_string()))?;
        let above = found.parent().map(|above| above.to_string_lossy().into_owned());
        Ok(Repository { work: self, folder, above, asked: asked.to_owned() })
    }

    /// A path of the caller's at which a repository is to be.
    pub(super) fn place(self, asked: &str) -> Result<Repository<'a>, Refusal> {
        let folder = self.path(asked)?;
        Ok(Repository { work: self, folder, above: None, asked: asked.to_owned() })
    }

    /// No repository: for what does not need one.
    pub(super) fn nowhere(self) -> Repository<'a> {
        Repository { work: self, folder: PathBuf::from("/"), above: None, asked: String::from("/") }
    }

    /// A path of the caller's.
    pub(super) fn path(self, asked: &str) -> Result<PathBuf, Refusal> {
        if asked.is_empty() {
            return Err(Refusal::bad_request("path is required"));
        }
        if asked.contains('\0') {
            return Err(Refusal::bad_path("path contains a NUL"));
        }
        let (work_dir, home) = (Path::new(self.toolbox.work_dir()), &self.toolbox.user().home);
        pitlane_daemon::input::resolve(asked.as_bytes(), work_dir, Path::new(home))
            .map_err(|error| Refusal::bad_path(format!("invalid path: {error}")))
    }
}

impl Repository<'_> {
    /// Runs a command that has to succeed, and gives its output.
    pub(super) async fn run(&self, command: Command<'_>) -> Result<Output, Refusal> {
        let secret = command.credentials.map(|credentials| credentials.secret().to_owned());
        let output = self.try_run(command).await?;
        if output.exit_code != 0 {
            return Err(self.refusal(&output, secret.as_deref().unwrap_or_default()));
        }
        Ok(output)
    }

    /// Runs a command that may fail.
    pub(super) async fn try_run(&self, command: Command<'_>) -> Result<Output, Refusal> {
        let spare = command.credentials.map(Credentials::file).transpose()?;
        let words = command.words()?;
        let mut launch = self.launch("git", words, &command)?;
        launch.spare.extend(spare);
        watch(self.work, &launch, &self.asked).await
    }

    /// Runs another program than git.
    pub(super) async fn run_program(
        &self,
        program: &str,
        arguments: Vec<CString>,
        command: &Command<'_>,
    ) -> Result<Output, Refusal> {
        let launch = self.launch(program, arguments, command)?;
        watch(self.work, &launch, &self.asked).await
    }

    /// Removes what is at its path, or only what is in it, whatever has become of the request.
    pub(super) async fn remove(&self, keeps_folder: bool) -> Result<(), Refusal> {
        let toolbox = self.work.toolbox;
        let control = Control {
            registration: toolbox.cancellations().register(&HeaderMap::new()),
            deadline: Instant::now().checked_add(REMOVAL_DEADLINE),
        };
        let work = Work { toolbox, control: &control };
        let script = if keeps_folder {
            c"rm -rf -- \"$0\"/..?* \"$0\"/.[!.]* \"$0\"/*"
        } else {
            c"rm -rf -- \"$0\""
        };
        let path = CString::new(self.folder.as_os_str().as_bytes())
            .map_err(|_contains_nul| Refusal::bad_path("path contains a NUL"))?;
        let removal = Repository { work, ..work.nowhere() };
        let arguments = vec![c"-c".to_owned(), script.to_owned(), path];
        removal.run_program("sh", arguments, &Command::default()).await.map(drop)
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What git's failure means for the caller.
    pub(super) fn refusal(&self, output: &Output, secret: &str) -> Refusal {
        const SIGNAL: i32 = 128;
        let said = output.said();
        let message = without_secrets(&said, &[secret]);
        if output.exit_code > SIGNAL && message.is_empty() {
            let signal = output.exit_code.saturating_sub(SIGNAL);
            return Refusal::internal(format!("git was ended by signal {signal}"));
        }
        let message = if message.is_empty() {
            format!("git failed with {} and said nothing: maybe a hook refused", output.exit_code)
        } else {
            message
        };
        let (status, code) = match failure(&said) {
            GitFailure::Authentication => (StatusCode::UNAUTHORIZED, "GIT_AUTH_FAILED"),
            GitFailure::Forbidden | GitFailure::AccessDenied => {
                (StatusCode::FORBIDDEN, "FORBIDDEN")
            }
            GitFailure::RepositoryNotFound => (StatusCode::NOT_FOUND, "GIT_REPO_NOT_FOUND"),
            GitFailure::BranchNotFound => (StatusCode::NOT_FOUND, "GIT_BRANCH_NOT_FOUND"),
            GitFailure::BranchExists => (StatusCode::CONFLICT, "GIT_BRANCH_EXISTS"),
            GitFailure::PushRejected => (StatusCode::CONFLICT, "GIT_PUSH_REJECTED"),
            GitFailure::RemoteRejected => (StatusCode::UNPROCESSABLE_ENTITY, "GIT_REMOTE_REJECTED"),
            GitFailure::DirtyWorktree => (StatusCode::CONFLICT, "GIT_DIRTY_WORKTREE"),
            GitFailure::MergeConflict => (StatusCode::CONFLICT, "GIT_MERGE_CONFLICT"),
            GitFailure::Exists | GitFailure::Busy => (StatusCode::CONFLICT, "CONFLICT"),
            GitFailure::Transport => (StatusCode::BAD_GATEWAY, "GIT_TRANSPORT_FAILED"),
            GitFailure::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "DISK_FULL"),
            GitFailure::Refused => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        };
        Refusal::new(status, code, message)
    }

    fn launch(
        &self,
        program: &str,
        arguments: Vec<CString>,
        command: &Command<'_>,
    ) -> Result<Launch, Refusal> {
        let mut wanted: std::collections::BTreeMap<_, _> = variables().collect();
        if let Some(above) = &self.above {
            wanted.insert(String::from("GIT_CEILING_DIRECTORIES"), above.clone());
        }
        wanted.extend(command.variables.clone());
        let own: Vec<String> = wanted.keys().map(|name| format!("{name}=")).collect();
        let folder = self.folder.to_string_lossy();
        let surroundings = Surroundings::new(self.work.toolbox, Some(&folder), Some(&wanted))?;
        let candidates = surroundings.environment.candidates(program);
        let mut launch = surroundings.launch(candidates, arguments, &command.input)?;
        launch.environment.retain(|variable| {
            is_inherited(variable)
                || own.iter().any(|own| variable.to_bytes().starts_with(own.as_bytes()))
        });
        Ok(launch)
    }
}

/// Runs a program to its end.
async fn watch(work: Work<'_>, launch: &Launch, asked: &str) -> Result<Output, Refusal> {
    let failed = |error| Refusal::internal(format!("cannot make a pipe: {error}"));
    let (output, stdout) = Source::pipe(Kind::Stdout).map_err(failed)?;
    let (errors, stderr) = Source::pipe(Kind::Stderr).map_err(failed)?;
    let started = work.toolbox.processes().start(launch, &stdout, &stderr);
    let mut started = started.map_err(|error| not_started(&error, asked))?;
    drop((stdout, stderr));
    let mut sources = [output, errors];
    let mut output = Output::default();
    let ending = supervise(&mut started, &mut sources, &mut output, work.control).await;
    if let Ending::Exited(status) = ending {
        output.exit_code = exit_code(status);
    } else {
        return Err(end(&started, ending).await);
    }
    for source in sources {
        source.discard(work.toolbox.tasks());
    }
    if output.is_cut {
        let message = format!("git wrote more than {MAX_OUTPUT} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", message));
    }
    Ok(output)
}

/// Ends a command that its client has left, or that takes too long. Git removes its locks when it is asked to end.
async fn end(started: &Started, ending: Ending) -> Refusal {
    if let Err(error) = started.end(GRACE).await {
        return Refusal::internal(format!("git may still run: {error}"));
    }
    match ending {
        Ending::TimedOut => {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "git took too long")
        }
        Ending::Cancelled => Refusal::new(StatusCode::GONE, "GONE", "the request was cancelled"),
        Ending::Exited(_) | Ending::Lost => Refusal::internal("how git ended is not known"),
    }
}

fn not_started(error: &StartError, asked: &str) -> Refusal {
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => no_repository(asked, &errno.to_string()),
        StartError::Spawn(SpawnError::Execute(rustix::io::Errno::NOENT)) => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY", NO_GIT)
        }
        StartError::Spawn(error) => {
            Refusal::internal(format!("git does not start: {error}: {}", error.errno()))
        }
        StartError::Group(error) => {
            Refusal::internal(format!("git does not start: {error}: {}", error.errno))
        }
    }
}

fn no_repository(asked: &str, reason: &str) -> Refusal {
    let message = format!("no repository at {asked}: {reason}");
    Refusal::new(StatusCode::NOT_FOUND, "GIT_REPO_NOT_FOUND", message)
}
