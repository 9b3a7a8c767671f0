//! The image's own program, as the session `entrypoint`.
//!
//! It is started when the sandbox can be used already, and nothing depends on it.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use pitlane_sys::SpawnError;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use super::command::{Command, Order, Stage};
use super::log::Stream;
use super::pump::pump;
use super::request::ENTRYPOINT_COMMAND;
use crate::http::Refusal;
use crate::process::{Launch, StartError, Started, Surroundings, exit_code};
use crate::toolbox::Toolbox;

/// What a shell answers for a program that there is not, and for one that cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Starts the image's program and its arguments, if it has any, in a task of its own.
pub(crate) fn start_entrypoint(toolbox: &Arc<Toolbox>) {
    let sessions = toolbox.sessions();
    let program = sessions.program.clone();
    if program.is_empty() {
        return;
    }
    let order = Order { text: program.join(" "), has_input: false, echoes_input: false };
    let id = String::from(ENTRYPOINT_COMMAND);
    let command = Command::new(id, order, sessions.spool.clone());
    sessions.entrypoint.adopt(Arc::clone(&command));
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        let stage = run(&shared, &program, &command).await;
        command.finish(stage.unwrap_or_else(Stage::Lost));
        command.log.settle().await;
    });
}

async fn run(
    toolbox: &Arc<Toolbox>,
    program: &[String],
    command: &Command,
) -> Result<Stage, Refusal> {
    let launch = prepare(toolbox, program)?;
    let (stdout, stdout_writer) = output(toolbox).await?;
    let (stderr, stderr_writer) = output(toolbox).await?;
    let mut started = match toolbox.processes().start(&launch, &stdout_writer, &stderr_writer) {
        Ok(started) => started,
        Err(error) => return not_started(command, program, &error),
    };
    drop((stdout_writer, stderr_writer));
    let (ask, asked) = oneshot::channel::<oneshot::Sender<()>>();
    toolbox.tasks().spawn(pump([stdout, stderr], Arc::clone(&command.log), asked));
    command.begin(None).await;
    let ended = end(&mut started).await;
    let (done, is_done) = oneshot::channel();
    if ask.send(done).is_ok() {
        is_done.await.ok();
    }
    ended
}

async fn end(started: &mut Started) -> Result<Stage, Refusal> {
    let status = (&mut started.exit).await;
    let lost = |_lost| Refusal::internal("how the program ended is not known");
    status.map(|status| Stage::Ended(exit_code(status))).map_err(lost)
}

fn prepare(toolbox: &Toolbox, program: &[String]) -> Result<Launch, Refusal> {
    let surroundings = Surroundings::new(toolbox, None, None)?;
    let text = |text: &str| {
        CString::new(text)
            .map_err(|_contains_nul| Refusal::bad_request("the image's program contains a NUL"))
    };
    let Some((name, arguments)) = program.split_first() else {
        return Err(Refusal::bad_request("the image has no program"));
    };
    let candidates = if name.contains('/') {
        vec![text(&toolbox.absolute(name).to_string_lossy())?]
    } else {
        surroundings.environment.candidates(name)
    };
    let arguments = arguments.iter().map(|argument| text(argument)).collect::<Result<_, _>>()?;
    surroundings.launch(candidates, arguments, b"")
}

/// A pipe of the user's, who may therefore open `/dev/stdout`.
async fn output(toolbox: &Toolbox) -> Result<(Receiver, OwnedFd), Refusal> {
    let failed = |error: std::io::Error| Refusal::internal(format!("cannot make a pipe: {error}"));
    let made = toolbox.files().run(|| pipe_with(PipeFlags::CLOEXEC)).await?;
    let (reader, writer) = made.map_err(|errno| failed(errno.into()))?;
    Ok((Receiver::from_owned_fd(reader).map_err(failed)?, writer))
}

fn not_started(
    command: &Command,
    program: &[String],
    error: &StartError,
) -> Result<Stage, Refusal> {
    let (code, reason) = match error {
        StartError::Spawn(SpawnError::Execute(rustix::io::Errno::NOENT)) => {
            (NOT_FOUND, String::from("not found"))
        }
        StartError::Spawn(SpawnError::Execute(errno)) => (NOT_EXECUTABLE, errno.to_string()),
        StartError::Spawn(error) => {
            return Err(Refusal::internal(format!("{error}: {}", error.errno())));
        }
        StartError::Group(error) => {
            return Err(Refusal::internal(format!("{error}: {}", error.errno)));
        }
    };
    let name = program.first().map_or("", String::as_str);
    command.log.push(Stream::Stderr, format!("{name}: {reason}\n").into_bytes().into());
    Ok(Stage::Ended(code))
}
