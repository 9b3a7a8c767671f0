//! What a request wants to have run.

use std::time::Duration;

use http::StatusCode;
use pitlane_sys::{ExitStatus, SpawnError};
use pitlane_wire::toolbox::{CodeRunRequest, ExecuteRequest, ExecuteResponse};
use tokio::time::Instant;

use super::cancellation::Registration;
use super::code;
use super::launch::{Launch, Surroundings};
use super::processes::{StartError, Started};
use super::supervise::{Control, Ending};
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// A command for a shell, or code for an interpreter.
#[derive(Debug)]
pub(super) enum Job {
    Command(ExecuteRequest),
    Code(CodeRunRequest),
}

/// What is to be done for a job.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Start this.
    Ready(Launch),
    /// Nothing: it failed on the way, as this says.
    Over(ExecuteResponse),
}

impl Job {
    /// Decides how the job is started; compiles where that is needed.
    pub(super) async fn prepare(
        &self,
        toolbox: &Toolbox,
        control: &Control,
    ) -> Result<Prepared, Refusal> {
        match self {
            Self::Command(request) if request.command.trim().is_empty() => {
                Err(Refusal::bad_request("command is required"))
            }
            Self::Command(request) => {
                self.surroundings(toolbox)?.command(&request.command).map(Prepared::Ready)
            }
            Self::Code(request) => {
                code::prepare(toolbox, request, &self.surroundings(toolbox)?, control).await
            }
        }
    }

    fn surroundings(&self, toolbox: &Toolbox) -> Result<Surroundings, Refusal> {
        match self {
            Self::Command(request) => {
                Surroundings::new(toolbox, request.cwd.as_deref(), request.envs.as_ref())
            }
            Self::Code(request) => Surroundings::new(toolbox, None, request.envs.as_ref()),
        }
    }

    /// What it is to run.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Command(request) => &request.command,
            Self::Code(request) => &request.code,
        }
    }

    /// What may end the job from outside, counted from now.
    pub(super) fn control(&self, registration: Registration) -> Control {
        let seconds = match self {
            Self::Command(request) => request.timeout,
            Self::Code(request) => request.timeout,
        };
        let timeout = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let timeout = timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        // One that is beyond what the clock can count never comes.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Control { registration, deadline }
    }
}

/// Kills what is left of a command that did not end by itself, and says why there is no exit code.
pub(super) async fn refuse(started: &Started, ending: Ending) -> Result<ExitStatus, Refusal> {
    let refusal = match ending {
        Ending::Exited(status) => return Ok(status),
        Ending::TimedOut => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "PROCESS_EXECUTION_TIMEOUT",
            "request timeout: command execution timeout",
        ),
        Ending::Cancelled => Refusal::new(StatusCode::GONE, "GONE", "the request was cancelled"),
        Ending::Lost => Refusal::internal("how the command ended is not known"),
    };
    match started.kill().await {
        Ok(()) => Err(refusal),
        Err(error) => {
            let message = format!("{}, and it may still run: {error}", refusal.message());
            Err(Refusal::internal(message))
        }
    }
}

/// A command that did not start: a sentence for its caller where the caller can change that, otherwise a failure.
pub(super) fn not_started(launch: &Launch, error: &StartError) -> Result<String, Refusal> {
    let candidate = || launch.candidates.last().map(|path| path.to_string_lossy().into_owned());
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => {
            Ok(format!("cannot start in {}: {errno}", launch.folder.to_string_lossy()))
        }
        StartError::Spawn(SpawnError::Execute(errno)) => {
            Ok(format!("cannot execute {}: {errno}", candidate().unwrap_or_default()))
        }
        StartError::Spawn(error) => Err(Refusal::internal(format!("{error}: {}", error.errno()))),
        StartError::Group(error) => Err(Refusal::internal(format!("{error}: {}", error.errno))),
    }
}

/// The number that a shell would show: a signal is 128 and its number.
pub(crate) const fn exit_code(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(signal) => signal.saturating_add(128),
    }
}

/// A sentence for whoever wonders why a command was killed: by the kernel, because the sandbox's memory was used up.
pub(super) fn memory_note(started: &Started, status: ExitStatus) -> Option<&'static str> {
    const KILLED: i32 = 137;
    (exit_code(status) == KILLED && started.saw_memory_run_out())
        .then_some("\n[pitlane: killed: the sandbox's memory was used up]\n")
}

/// The answer of something that did not start.
pub(super) const fn not_run(reason: String) -> ExecuteResponse {
    ExecuteResponse { exit_code: -1, result: reason }
}
