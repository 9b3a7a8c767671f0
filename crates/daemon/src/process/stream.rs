//! `POST /process/execute/stream`: output as it comes, byte for byte.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::frames::{Frame, MEDIA_TYPE};
use pitlane_wire::toolbox::{ExecuteResponse, StreamRequest};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::job::{Job, Prepared, exit_code, memory_note, not_started, refuse};
use super::kept::Recorder;
use super::launch::Launch;
use super::processes::Started;
use super::supervise::{Control, Kind, Sink, Source, supervise};
use crate::files::TemporaryFile;
use crate::http::{Answer, Pipe, Refusal, pipe, read_json_held, with_body};
use crate::toolbox::Toolbox;
use crate::zygote;

/// Writes output as frames, and keeps them.
struct Frames {
    pipe: Pipe,
    recorder: Recorder,
}

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
        self.recorder.record(frame);
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // A connection that broke ends no command: what it writes is dropped.
        if !self.pipe.write(bytes).await {}
    }
}

struct Runs {
    started: Started,
    sources: [Source; 2],
    /// The program may still have to read it.
    _kept: Option<TemporaryFile>,
}

/// What a job became.
enum Begun {
    Runs(Box<Runs>),
    /// It did not start.
    Failed(String),
    /// It was over before it started.
    Over(ExecuteResponse),
}

/// Runs a command or code.
pub(crate) async fn stream(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let (request, held) = read_json_held(request.into_body()).await?;
    let job = match request {
        StreamRequest::Command(request) => Job::Command(request),
        StreamRequest::Code(request) => Job::Code(request),
    };
    let control = job.control(registration);
    let (answer, answered) = oneshot::channel();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        let begun = begin(&shared, &job, &control).await;
        let (pipe, body) = pipe();
        let recorder = shared.recordings().begin(control.registration.name(), job.text());
        let frames = Frames { pipe, recorder };
        // The program has the text by now, and may run for long.
        drop((job, held));
        match begun {
            Ok(begun) => {
                let response = with_body(StatusCode::OK, MEDIA_TYPE, body);
                answer.send(Ok(response)).ok();
                follow(&shared, begun, frames, &control).await;
                drop(control);
                yield_now().await;
                shared.processes().tidy();
            }
            Err(refusal) => {
                answer.send(Err(refusal)).ok();
            }
        }
    });
    answered.await.unwrap_or_else(|_gone| Err(Refusal::internal("the command's outcome was lost")))
}

async fn begin(toolbox: &Arc<Toolbox>, job: &Job, control: &Control) -> Result<Begun, Refusal> {
    match job.prepare(toolbox, control).await? {
        Prepared::Ready(launch) => start(toolbox, launch).await,
        Prepared::Over(response) => Ok(Begun::Over(response)),
    }
}

async fn start(toolbox: &Arc<Toolbox>, mut launch: Launch) -> Result<Begun, Refusal> {
    let failed = |error| Refusal::internal(format!("cannot make a pipe: {error}"));
    let (output, stdout) = Source::pipe(Kind::Stdout).map_err(failed)?;
    let (errors, stderr) = Source::pipe(Kind::Stderr).map_err(failed)?;
    match zygote::start(toolbox, &mut launch, [&stdout, &stderr]).await {
        Ok(started) => {
            let sources = [output, errors];
            Ok(Begun::Runs(Box::new(Runs { started, sources, _kept: launch.keeps })))
        }
        Err(error) => not_started(&launch, &error).map(Begun::Failed),
    }
}

async fn follow(toolbox: &Toolbox, begun: Begun, mut frames: Frames, control: &Control) {
    let Runs { mut started, mut sources, _kept } = match begun {
        Begun::Runs(running) => *running,
        Begun::Failed(reason) => return frames.write(&Frame::Failure(reason)).await,
        Begun::Over(ExecuteResponse { exit_code: -1, result }) => {
            return frames.write(&Frame::Failure(result)).await;
        }
        Begun::Over(ExecuteResponse { exit_code, result }) => {
            frames.write(&Frame::Stderr(result.into_bytes())).await;
            return frames.write(&Frame::Exit(exit_code)).await;
        }
    };
    let ending = supervise(&mut started, &mut sources, &mut frames, control).await;
    let last = match refuse(&started, ending).await {
        Ok(status) => {
            if let Some(note) = memory_note(&started, status) {
                frames.write(&Frame::Stderr(note.as_bytes().to_vec())).await;
            }
            Frame::Exit(exit_code(status))
        }
        Err(refusal) => Frame::Failure(refusal.message().to_owned()),
    };
    frames.write(&last).await;
    for source in sources {
        source.discard(toolbox.tasks());
    }
}
