//! The toolbox: requests for a sandbox's daemon, passed on as bytes.
//!
//! `/toolbox/{sandboxId}/…` goes to the daemon of that sandbox over one fresh HTTP/1.1 connection per request. No body
//! is read here, both directions stream, and what proves who the caller is stays outside. hyper parses what comes in
//! and frames what goes out anew, so that the two sides cannot disagree about where a message ends.
//!
//! A client that goes away before its answer is complete is reported to the daemon, which then ends the command; a
//! server that goes away reports nothing, and the command runs on.

mod headers;
mod operation;
mod parting;
mod share;
mod signed;
mod splice;
mod target;
mod ticket;
mod watch;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri};
use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pitlane_control::{ConnectError, Connection};
use pitlane_model::OrganizationId;
use tracing::Instrument as _;

use crate::authentication::{Caller, KeyHolder, Validity};
use crate::bypass::{self, Bypassed, Hold, Outlet, Pipe};
use crate::metrics;
use crate::patient::{Answered, Patient};
use crate::refusal::Refusal;
use crate::request::{AskedBy, RequestId};
use crate::state::State;

use self::share::{FOR_DAEMONS, IN_THE_SERVER, Share};
use self::target::Target;
use self::watch::{CancelOnDrop, Watched};

pub(crate) use self::headers::presence;
pub(crate) use self::operation::template;
pub(crate) use self::parting::{FAREWELL, Parting};
pub(crate) use self::target::PREFIX;
#[cfg(fuzzing)]
pub(crate) use self::target::read_any as read_any_target;

/// The route of every request that is passed on.
pub(crate) const ROUTE: &str = "/toolbox/{*rest}";

/// How long a daemon may take to accept a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The least that is read from a daemon or kept for it at once, in bytes: also the largest head of an answer.
const BUFFER_BYTES: usize = 64 * 1024;
/// From how many bytes on a body is worth room of its own on its way to a daemon.
const LONG_BODY: u64 = 1 << 20;
/// As much room as every connection has.
const USUAL_ROOM: usize = 256 << 10;
/// The most headers of a daemon's answer.
const MAX_HEADERS: usize = 128;

/// Who asks, as far as it matters from here on.
#[derive(Debug)]
struct Asker {
    organization: OrganizationId,
    validity: Validity,
}

/// Passes one request on to the daemon of the sandbox that its path names, for whoever has a key or, for a file, a
/// signature.
pub(crate) async fn answer(
    state: &State,
    mut parts: Parts,
    body: Body,
) -> Result<Response, Refusal> {
    if let Some(shown) = signed::Shown::of(&parts) {
        // A key that is not valid is none: what was shown beside it may do.
        if KeyHolder::from_request_parts(&mut parts, state).await.is_err() {
            return signed::answer(state, shown, Request::from_parts(parts, body)).await;
        }
    }
    if let Some(shown) = ticket::Shown::of(&parts)
        && KeyHolder::from_request_parts(&mut parts, state).await.is_err()
    {
        return ticket::answer(state, &shown, Request::from_parts(parts, body)).await;
    }
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    let asker = Asker { organization: caller.organization(), validity: caller.validity(state) };
    forward(state, &asker, None, Request::from_parts(parts, body)).await
}

/// Passes a request on, as long as the caller's key works: then the request ends as if the client had gone, and a
/// switched connection is closed.
async fn forward(
    state: &State,
    asker: &Asker,
    target: Option<Target>,
    request: Request,
) -> Result<Response, Refusal> {
    let Asker { validity, .. } = asker;
    let response = validity.hold(pass_on(state, asker, target, request)).await?;
    Ok(validity.hold_body(response))
}

async fn pass_on(
    state: &State,
    asker: &Asker,
    target: Option<Target>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let begun = Instant::now();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        // A tunnel would go past everything here, and an echo show what stays outside.
        let message = format!("{} is not allowed here", request.method());
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    let target = match target {
        Some(target) => target,
        None => Target::of(request.uri())?,
    };
    let request_id = request.extensions().get::<RequestId>().copied();
    let organization = asker.organization;
    let presence = presence(request.headers());
    let sandboxes = state.control().sandboxes();
    let connecting = sandboxes.connect(organization, target.sandbox, presence);
    let hold = request.extensions_mut().remove::<Hold>();
    let way = Way { room: room_for(request.body()), is_past: hold.is_some() };
    let daemon = connect(state, connecting, way).await?;
    metrics::daemon_reached(begun.elapsed());

    let upgrade = headers::take_upgrade(&mut request);
    let client_side = upgrade.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let outgoing = rewritten(request, &target.path_and_query, upgrade.as_ref(), request_id)?;
    let mut watch = None;
    let outgoing = match hold.zip(daemon.pipe.clone()).zip(outgoing.body().size_hint().exact()) {
        Some(((hold, pipe), whole)) => {
            watch = Some(hold.watch());
            outgoing.map(|body| Body::new(Bypassed::new(body, whole, hold, pipe)))
        }
        None => outgoing,
    };
    let guard = CancelOnDrop::new(state.clone(), organization, target.sandbox, request_id);

    let mut response = match &watch {
        Some(watch) => tokio::select! {
            biased;
            answer = send(state, daemon, outgoing) => answer?,
            () = watch.gone() => return Err(Refusal::bad_request("the client has gone")),
        },
        None => send(state, daemon, outgoing).await?,
    };
    metrics::daemon_answered(begun.elapsed());
    headers::clean_answer(response.headers_mut());
    if watch.is_some() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        guard.disarm();
        let Some((client_side, protocol)) = client_side.zip(upgrade) else {
            return Err(Refusal::new(
                StatusCode::BAD_GATEWAY,
                "the sandbox's daemon switched protocols without being asked",
            ));
        };
        splice::start(state, &asker.validity, client_side, hyper::upgrade::on(&mut response));
        headers::put_upgrade(response.headers_mut(), protocol);
        let mut response = response.map(|_| Body::empty());
        response.extensions_mut().insert(AskedBy(organization));
        return Ok(response);
    }
    let mut response = response.map(|body| Body::new(Watched::new(body, guard))).into_response();
    response.extensions_mut().insert(AskedBy(organization));
    Ok(response)
}

/// A connection to a daemon on which nothing was asked yet.
struct Daemon {
    sender: http1::SendRequest<Body>,
    /// Moves the connection's bytes; ends with it, or when the server is to end at once.
    moving: Pin<Box<dyn Future<Output = ()> + Send>>,
    answered: Answered,
    /// What a body may come through.
    pipe: Option<Arc<Pipe>>,
}

/// What a body needs on its way to a daemon beyond what every connection has.
#[derive(Debug, Default)]
struct Way {
    room: Option<Share>,
    /// Whether it may go past the server's memory.
    is_past: bool,
}

/// Waits for a connection to a daemon.
async fn connect(
    state: &State,
    connecting: impl Future<Output = Result<Connection, ConnectError>>,
    way: Way,
) -> Result<Daemon, Refusal> {
    let connection = match tokio::time::timeout(CONNECT_DEADLINE, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(error.into()),
        Err(elapsed) => return Err(unreachable(elapsed)),
    };
    speak(state, connection, way).await.map_err(unreachable)
}

/// Whether a request's body may go past the server's memory, if its connection is held. Says so of none that anything but
/// [`pass_on`] answers: nobody else lets go of the connection before it reads the body.
pub(crate) fn is_bypassable<B: http_body::Body>(request: &http::Request<B>) -> bool {
    request.method() == Method::POST
        && !request.headers().contains_key(UPGRADE)
        && target::is_of_files(request.uri().path())
        && request.body().size_hint().exact().is_some_and(|bytes| bytes >= bypass::LEAST)
}

/// Room for a body that is long.
fn room_for(body: &Body) -> Option<Share> {
    let is_long = body.size_hint().upper().is_none_or(|bytes| bytes >= LONG_BODY);
    is_long.then(|| FOR_DAEMONS.take(0)).filter(|room| room.bytes() > USUAL_ROOM)
}

/// Begins HTTP on a connection.
async fn speak(state: &State, connection: Connection, way: Way) -> Result<Daemon, hyper::Error> {
    let Way { room, is_past } = way;
    let mut pipe = None;
    if let Some((room, socket)) = room.as_ref().zip(connection.socket()) {
        room.make_room(socket);
        // Without a pipe it goes the usual way.
        pipe = is_past.then(Pipe::new).and_then(Result::ok).map(Arc::new);
    }
    let (patient, answered) = Patient::new(Outlet::new(connection, pipe.clone()));
    let share = IN_THE_SERVER.take(BUFFER_BYTES);
    let (sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(share.bytes())
        .handshake(TokioIo::new(patient))
        .await?;
    let ending = state.ending().clone();
    let moving = async move {
        let _shares = (share, room);
        tokio::select! {
            () = ending.cancelled() => {}
            ended = connection.with_upgrades() => if let Err(error) = ended {
                tracing::debug!(%error, "a daemon's connection broke");
            }
        }
    };
    Ok(Daemon { sender, moving: Box::pin(moving.in_current_span()), answered, pipe })
}

/// Sends a request and returns when the answer has begun.
///
/// Until then the connection's bytes are moved here: with a task of its own for that, each piece of a large request would
/// wake another thread. What comes after the beginning has one, since both sides may have more to say, in any order.
async fn send(
    state: &State,
    daemon: Daemon,
    request: http::Request<Body>,
) -> Result<http::Response<hyper::body::Incoming>, Refusal> {
    let Daemon { mut sender, mut moving, answered, pipe: _ } = daemon;
    let mut sending = pin!(sender.send_request(request));
    let (answer, has_ended) = tokio::select! {
        biased;
        () = &mut moving => (sending.await, true),
        answer = &mut sending => (answer, false),
    };
    if !has_ended {
        state.tasks().spawn(moving);
    }
    let answer = answer.map_err(|error| {
        if error.is_user() {
            // The client's own body broke off: nobody here failed.
            return Refusal::bad_request("the body could not be read");
        }
        Refusal::failed(StatusCode::BAD_GATEWAY, "the sandbox's daemon did not answer", error)
    })?;
    answered.note();
    Ok(answer)
}

/// The request as the daemon gets it: the rest of the path, the headers that may pass, the same body.
fn rewritten(
    request: Request,
    path_and_query: &PathAndQuery,
    upgrade: Option<&HeaderValue>,
    id: Option<RequestId>,
) -> Result<http::Request<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let mut outgoing = http::Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = Uri::from(path_and_query.clone());
    *outgoing.headers_mut() = parts.headers;
    headers::clean_request(outgoing.headers_mut());
    if let Some(protocol) = upgrade {
        headers::put_upgrade(outgoing.headers_mut(), protocol.clone());
    }
    if let Some(id) = id {
        headers::put_request_id(outgoing.headers_mut(), &id.to_string())?;
    }
    Ok(outgoing)
}

fn unreachable(cause: impl std::error::Error + Send + Sync + 'static) -> Refusal {
    Refusal::failed(StatusCode::BAD_GATEWAY, "the sandbox's daemon cannot be reached", cause)
}
