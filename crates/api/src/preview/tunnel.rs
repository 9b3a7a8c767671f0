//! The way to an application: through the sandbox's daemon, to a port inside, and HTTP/1.1 over that.
//!
//! hyper parses what comes in and frames what goes out anew, so that application and visitor cannot disagree about
//! where a message ends.

use std::num::NonZeroU16;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use pitlane_control::Connection;
use tracing::Instrument as _;

use super::trouble::Trouble;
use crate::patient::Patient;
use crate::state::State;

/// What a connection to a daemon is switched to.
const PROTOCOL: &str = "pitlane-tunnel";

/// How long a daemon may take to reach a port: longer than it tries itself.
const DEADLINE: Duration = Duration::from_secs(15);

/// The largest head of an application's answer, and how much of a body is under way at once, in bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// The most headers of an application's answer.
const MAX_HEADERS: usize = 128;

/// Opens a stream to a port inside a sandbox.
pub(super) async fn open(
    state: &State,
    connection: Connection,
    port: NonZeroU16,
) -> Result<Upgraded, Trouble> {
    match tokio::time::timeout(DEADLINE, dial(state, connection, port)).await {
        Ok(opened) => opened,
        // A sandbox can be the cause by itself: it may use all the time that it has.
        Err(_elapsed) => {
            Err(Trouble::new(StatusCode::GATEWAY_TIMEOUT, "the sandbox did not answer in time"))
        }
    }
}

async fn dial(
    state: &State,
    connection: Connection,
    port: NonZeroU16,
) -> Result<Upgraded, Trouble> {
    let unreachable = |cause| {
        Trouble::failed(StatusCode::BAD_GATEWAY, "the sandbox's daemon cannot be reached", cause)
    };
    let (mut sender, task) =
        http1::handshake(TokioIo::new(connection)).await.map_err(unreachable)?;
    keep(state, task);
    let wish = Request::post(format!("/pitlane/connect/{port}"))
        .header(HOST, "daemon")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, PROTOCOL)
        .body(Body::empty())
        .map_err(|error| {
            Trouble::failed(StatusCode::INTERNAL_SERVER_ERROR, "the port cannot be named", error)
        })?;
    let answer = sender.send_request(wish).await.map_err(unreachable)?;
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => hyper::upgrade::on(answer).await.map_err(unreachable),
        StatusCode::BAD_GATEWAY => Err(Trouble::new(
            StatusCode::BAD_GATEWAY,
            format!(
                "nothing listens on port {port} of the sandbox: start the application there, then try again"
            ),
        )),
        StatusCode::GATEWAY_TIMEOUT => Err(Trouble::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("the application on port {port} does not accept connections"),
        )),
        _ => Err(Trouble::new(
            StatusCode::BAD_GATEWAY,
            "the sandbox runs an older daemon without previews: stop and start the sandbox",
        )),
    }
}

/// Sends a request to the application and returns when its answer's head is there.
pub(super) async fn ask(
    state: &State,
    stream: Upgraded,
    request: Request<Body>,
) -> Result<Response<Incoming>, Trouble> {
    // No matter of the operator's, and what a hostile application could fill the log with.
    let hung_up = |error: hyper::Error| {
        tracing::debug!(%error, "an application gave no answer");
        let text = "the application closed the connection, or does not speak HTTP";
        Trouble::new(StatusCode::BAD_GATEWAY, text)
    };
    let (patient, answered) = Patient::new(TokioIo::new(stream));
    let (mut sender, task) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER_BYTES)
        .handshake(TokioIo::new(patient))
        .await
        .map_err(hung_up)?;
    keep(state, task);
    let answer = sender.send_request(request).await.map_err(hung_up)?;
    answered.note();
    Ok(answer)
}

/// Has a connection's bytes moved until it ends, or the server is to end at once.
fn keep<T>(state: &State, connection: http1::Connection<T, Body>)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let ending = state.ending().clone();
    let connection = async move {
        tokio::select! {
            () = ending.cancelled() => {}
            ended = connection.with_upgrades() => if let Err(error) = ended {
                tracing::debug!(%error, "a connection of a preview broke");
            }
        }
    };
    state.tasks().spawn(connection.in_current_span());
}
