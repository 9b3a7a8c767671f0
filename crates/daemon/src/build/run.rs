//! `POST /pitlane/build/run`: a command, its output as it comes.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_sys::sealed_memory_file;
use pitlane_wire::build::RunStep;
use pitlane_wire::toolbox::frames::{Frame, MEDIA_TYPE};

use crate::environment::Environment;
use crate::http::{Answer, Pipe, Refusal, pipe, read_json, with_body};
use crate::process::{
    Control, Ending, Kind, Launch, Sink, Source, Started, Surroundings, exit_code, supervise,
};
use crate::toolbox::Toolbox;
use crate::user::User;

/// Writes output as frames.
struct Frames(Pipe);

impl Sink for Frames {
    async fn take(&mut self, kind: Kind, bytes: &[u8]) {
        let frame = match kind {
            Kind::Stdout => Frame::Stdout(bytes.to_vec()),
            Kind::Stderr => Frame::Stderr(bytes.to_vec()),
        };
        self.write(&frame).await;
    }
}

impl Frames {
    async fn write(&self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // Who stops listening destroys the sandbox next.
        if !self.0.write(bytes).await {}
    }
}

/// Runs a command. Whatever it leaves running ends with it.
pub(super) async fn run(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let step: RunStep = read_json(request.into_body()).await?;
    let user = User::find(&step.user).map_err(|error| {
        Refusal::bad_request(format!("user {:?} of the image: {error}", step.user))
    })?;
    let launch = launch(toolbox, step, user)?;
    let failed = |error| Refusal::internal(format!("cannot make a pipe: {error}"));
    let (output, stdout) = Source::pipe(Kind::Stdout).map_err(failed)?;
    // One pipe for both: a log shows them in their order.
    let started = toolbox.processes().start(&launch, &stdout, &stdout).map_err(|error| {
        let program = launch.candidates.last().map(|path| path.to_string_lossy().into_owned());
        let cause = std::error::Error::source(&error);
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let program = program.unwrap_or_default();
        Refusal::bad_request(format!("cannot run {program}: {error}: {cause}"))
    })?;
    drop(stdout);
    let control = Control { registration, deadline: None };
    let (pipe, body) = pipe();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        // Its input and a script that it reads live as long as it.
        follow(started, [output, Source::none()], Frames(pipe), &control).await;
        drop((launch, control));
        shared.processes().tidy();
    });
    Ok(with_body(StatusCode::OK, MEDIA_TYPE, body))
}

async fn follow(
    mut started: Started,
    mut sources: [Source; 2],
    mut frames: Frames,
    control: &Control,
) {
    let ending = supervise(&mut started, &mut sources, &mut frames, control).await;
    let killed = started.kill().await;
    let last = match (ending, killed) {
        (Ending::Exited(status), Ok(())) => Frame::Exit(exit_code(status)),
        (Ending::Exited(_), Err(error)) => {
            Frame::Failure(format!("what the command left running cannot be ended: {error}"))
        }
        (Ending::Cancelled, _) => Frame::Failure(String::from("the command was cancelled")),
        (Ending::TimedOut | Ending::Lost, _) => {
            Frame::Failure(String::from("how the command ended is not known"))
        }
    };
    frames.write(&last).await;
}

fn launch(toolbox: &Toolbox, step: RunStep, user: User) -> Result<Launch, Refusal> {
    let RunStep { arguments, script, environment, folder, user: _ } = step;
    let environment = environment_of(environment, &user);
    let bad = |_nul| Refusal::bad_request("a command has no NUL bytes");
    let mut words = arguments.into_iter();
    let (candidates, spare) = match script {
        Some(script) => {
            let file = sealed_memory_file("script", script.as_bytes())
                .map_err(|error| Refusal::internal(format!("cannot keep the script: {error}")))?;
            (vec![c"/proc/self/fd/3".to_owned()], vec![file])
        }
        None => {
            let program = words.next().filter(|program| !program.is_empty());
            let program = program.ok_or_else(|| Refusal::bad_request("a command has a program"))?;
            let candidates = match program.contains('/') {
                true => vec![CString::new(program).map_err(bad)?],
                false => environment.candidates(&program),
            };
            (candidates, Vec::new())
        }
    };
    let arguments = words.map(CString::new).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    let surroundings = Surroundings::within(toolbox, &folder, environment)?;
    let launch = surroundings.launch(candidates, arguments, b"")?;
    Ok(Launch { spare, user: user.identity, ..launch })
}

/// The variables of a command: those that were said, and what every login has.
fn environment_of(mut said: BTreeMap<String, String>, user: &User) -> Environment {
    said.entry(String::from("HOME")).or_insert_with(|| user.home.clone());
    Environment::exactly(said)
}
