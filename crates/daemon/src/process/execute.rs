//! `POST /process/execute` and `POST /process/code-run`: one answer, after the end.

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::frames::Frame;
use pitlane_wire::toolbox::{
    Chart, CodeRunArtifacts, CodeRunResponse, ExecuteResponse, UpdateEnvironment,
};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::cancellation::Registration;
use super::capture::{Capture, Captured};
use super::job::{Job, Prepared, exit_code, memory_note, not_run, not_started, refuse};
use super::kept::{Recorded, Recorder};
use super::supervise::{Control, Kind, Source, supervise};
use crate::charts::{Figures, Unmarked};
use crate::http::{Answer, Body, Held, Refusal, json, pipe, read_json, read_json_held, with_body};
use crate::toolbox::Toolbox;
use crate::zygote;

/// Runs a command in a shell.
pub(crate) async fn execute(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let (request, held) = read_json_held(request.into_body()).await?;
    run(toolbox, Job::Command(request), held, registration).await
}

/// Runs code in a new interpreter.
pub(crate) async fn run_code(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let (request, held) = read_json_held(request.into_body()).await?;
    run(toolbox, Job::Code(request), held, registration).await
}

/// `POST /env`: changes the variables of processes that start from now on; answers all of them.
pub(crate) async fn update_environment(
    toolbox: &Arc<Toolbox>,
    request: Request<Incoming>,
) -> Answer {
    let change: UpdateEnvironment = read_json(request.into_body()).await?;
    match toolbox.update_environment(&change) {
        Ok(environment) => json(StatusCode::OK, environment.variables()),
        Err(error) => Err(Refusal::bad_request(error.to_string())),
    }
}

/// Gives the job to a task of its own: the connection may break, and the future of its request with it.
async fn run(toolbox: &Arc<Toolbox>, job: Job, held: Held, registration: Registration) -> Answer {
    let control = job.control(registration);
    let (answer, answered) = oneshot::channel();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        let recorder = shared.recordings().begin(control.registration.name(), job.text());
        let result = perform(&shared, (job, held), &control, recorder).await;
        // Its name ends before anybody can know that it is over.
        drop(control);
        // With the connection gone, the answer is dropped.
        answer.send(result).ok();
        // The answer goes first.
        yield_now().await;
        shared.processes().tidy();
    });
    answered.await.unwrap_or_else(|_gone| Err(Refusal::internal("the command's outcome was lost")))
}

async fn perform(
    toolbox: &Arc<Toolbox>,
    (job, held): (Job, Held),
    control: &Control,
    mut recorder: Recorder,
) -> Answer {
    let mut launch = match job.prepare(toolbox, control).await? {
        Prepared::Ready(launch) => launch,
        Prepared::Over(response) => return json(StatusCode::OK, &response),
    };
    let figures = match &job {
        Job::Code(request) => Figures::expected(request, &mut launch),
        Job::Command(_) => None,
    };
    // One pipe for both, or nobody could tell what was written first.
    let (source, writer) = Source::pipe(Kind::Stdout)
        .map_err(|error| Refusal::internal(format!("cannot make a pipe: {error}")))?;
    let mut started = match zygote::start(toolbox, &mut launch, [&writer, &writer]).await {
        Ok(started) => started,
        Err(error) => return json(StatusCode::OK, &not_run(not_started(&launch, &error)?)),
    };
    // The program has the text by now, and may run for long.
    drop((writer, job, held));
    // The program may still have to read it.
    let _kept = launch.keeps;
    let mut sources = [source, Source::none()];
    let sink = Unmarked::new(Capture::new(toolbox.files()), figures.is_some());
    let mut recorded = Recorded { recorder: &mut recorder, sink };
    let ending = supervise(&mut started, &mut sources, &mut recorded, control).await;
    let (mut capture, told) = recorded.sink.finish().await;
    let status = match refuse(&started, ending).await {
        Ok(status) => status,
        Err(refusal) => {
            recorder.record(&Frame::Failure(refusal.message().to_owned()));
            return Err(refusal);
        }
    };
    if let Some(note) = memory_note(&started, status) {
        capture.add_note(note);
        recorder.record(&Frame::Stdout(note.as_bytes().to_vec()));
    }
    recorder.record(&Frame::Exit(exit_code(status)));
    let [source, _none] = sources;
    source.discard(toolbox.tasks());
    let charts = match figures {
        Some(figures) => {
            let (charts, note) = figures.read(toolbox.files(), told).await;
            if let Some(note) = note {
                capture.add_note(&note);
            }
            charts
        }
        None => Vec::new(),
    };
    answer(toolbox, exit_code(status), capture.finish(), charts)
}

fn answer(
    toolbox: &Arc<Toolbox>,
    exit_code: i32,
    captured: Captured,
    charts: Vec<Chart>,
) -> Answer {
    let artifacts = (!charts.is_empty()).then_some(CodeRunArtifacts { charts });
    if let Some(result) = captured.text() {
        let ended = ExecuteResponse { exit_code, result };
        return json(StatusCode::OK, &CodeRunResponse { ended, artifacts });
    }
    Ok(streamed(toolbox, exit_code, captured, artifacts))
}

/// The same answer for a text that is too long for memory: read, escaped and sent piece by piece.
fn streamed(
    toolbox: &Arc<Toolbox>,
    exit_code: i32,
    captured: Captured,
    artifacts: Option<CodeRunArtifacts>,
) -> Response<Body> {
    let (pipe, body) = pipe();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        let artifacts = artifacts.and_then(|artifacts| serde_json::to_string(&artifacts).ok());
        let artifacts = artifacts.map(|artifacts| format!("\"artifacts\":{artifacts},"));
        let artifacts = artifacts.unwrap_or_default();
        if !pipe.write(format!("{{\"exitCode\":{exit_code},{artifacts}\"result\":\"")).await {
            return;
        }
        match captured.write_json(shared.files(), &pipe).await {
            // Nobody may be reading any more.
            Ok(()) => if !pipe.write("\"}").await {},
            Err(reason) => pipe.fail(std::io::Error::other(reason)).await,
        }
    });
    with_body(StatusCode::OK, "application/json; charset=utf-8", body)
}
