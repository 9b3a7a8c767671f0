//! Previews: what listens on a port inside a sandbox, as seen from outside.
//!
//! `/toolbox/{sandboxId}/proxy/{port}/…` goes to an application in that sandbox. Nothing is read here, both directions
//! stream, and what proves who the visitor is stays outside. All previews share this server's origin with each other
//! and with the API; what an application says that would hold for all of it is left out, or narrowed to its own path.
//!
//! A visitor that a token in the address lets in gets a cookie for that path, if a person is to look at the answer, and
//! is sent on to the address without the token, so that it stays out of histories and of what pages tell each other.

mod body;
mod cookies;
mod headers;
mod link;
mod place;
mod target;
mod trouble;
mod tunnel;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State as FromState};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pitlane_control::{Admission, Passage, Visit};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::address::Origin;
use crate::authentication::KeyHolder;
use crate::metrics::OpenStream;
use crate::request::AskedBy;
use crate::state::State;
use crate::toolbox::{self, FAREWELL, Parting};

use self::body::{Ended, Progress, Sent, Told};
use self::place::Place;
use self::target::Target;
use self::trouble::Trouble;

pub(crate) use self::link::{expire, read, sign};

/// The header with a token.
const TOKEN: HeaderName = HeaderName::from_static("x-daytona-preview-token");

/// How many tokens of one request are looked at.
const MAX_TOKENS: usize = 16;

/// How long an application may take to begin its answer while nothing more of the request comes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Answers what is a preview, and leaves the rest to the toolbox.
pub(crate) async fn or_toolbox(FromState(state): FromState<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match Target::of(&parts.uri) {
        Some(Ok(target)) => {
            let is_page = headers::is_page(&parts);
            let visited = visit(&state, &target, parts, body).await;
            visited.unwrap_or_else(|trouble| trouble.answer(is_page))
        }
        Some(Err(refusal)) => refusal.into_response(),
        None => toolbox::answer(&state, parts, body).await.into_response(),
    }
}

/// Somebody who was let in, and whose key that was, if it was by a key.
#[derive(Debug)]
struct Visitor {
    admission: Admission,
    key: Option<CancellationToken>,
}

async fn visit(
    state: &State,
    target: &Target,
    mut parts: Parts,
    body: Body,
) -> Result<Response, Trouble> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        // A tunnel would go past everything here, and an echo show what stays outside.
        let text = format!("{} is not allowed here", parts.method);
        return Err(Trouble::new(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let origin = Origin::from_request_parts(&mut parts, state).await?;
    let place = Place::of(&origin, target);
    let visitor = let_in(state, target, &place, &mut parts).await?;
    if headers::is_page(&parts) && (target.is_bare() || !target.tokens.is_empty()) {
        return sent_on(state, target, &place);
    }
    let request = Request::from_parts(parts, body);
    let ended = ended(state.clone(), visitor.admission.clone(), visitor.key.clone());
    let mut answer = tokio::select! {
        biased;
        () = ended => return Err(Trouble::unauthorized()),
        answer = pass_on(state, &visitor, target, &place, request) => answer?,
    };
    answer.extensions_mut().insert(AskedBy(visitor.admission.organization()));
    Ok(answer)
}

/// Finds out whether the visitor may come in.
async fn let_in(
    state: &State,
    target: &Target,
    place: &Place,
    parts: &mut Parts,
) -> Result<Visitor, Trouble> {
    let headers = &parts.headers;
    let shown = headers.get_all(TOKEN).iter().filter_map(|value| value.to_str().ok());
    let mut tokens: Vec<String> =
        shown.map(str::to_owned).chain(target.tokens.iter().cloned()).collect();
    if headers::may_use_cookies(parts, place) {
        let sent = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        tokens.extend(sent.flat_map(|sent| cookies::tokens(sent, target.sandbox)));
    }
    tokens.truncate(MAX_TOKENS);
    // A key that is not valid is none: what else was shown may do.
    let holder = KeyHolder::from_request_parts(parts, state).await.ok();
    let principal = holder.as_ref().map(KeyHolder::principal);
    let visit = Visit { sandbox: target.sandbox, port: target.port, principal, tokens: &tokens };
    let admission = state.control().previews().admit(visit)?;
    let key = principal.filter(|_| admission.is_by_key());
    let key = key.map(|principal| state.control().keys().validity(principal));
    Ok(Visitor { admission, key })
}

/// Sends a person on to the address without a token, with a cookie in its place if the token opened anything.
fn sent_on(state: &State, target: &Target, place: &Place) -> Result<Response, Trouble> {
    let previews = state.control().previews();
    let opening = target.tokens.iter().take(MAX_TOKENS).find_map(|token| {
        let tokens = std::slice::from_ref(token);
        let visit = Visit { sandbox: target.sandbox, port: target.port, principal: None, tokens };
        let admission = previews.admit(visit).ok().filter(Admission::is_by_token)?;
        Some(cookies::opening(place, target.sandbox, token, previews.time_left(&admission)))
    });
    let text = |text: String| {
        HeaderValue::try_from(text).map_err(|error| {
            Trouble::failed(StatusCode::BAD_REQUEST, "the address is not valid", error)
        })
    };
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    // Begins with our own path whatever follows, so that it leads nowhere else.
    headers.insert(LOCATION, text(format!("{}{}", place.prefix(), target.inside()))?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(cookie) = opening {
        headers.insert(SET_COOKIE, text(cookie)?);
    }
    Ok(response)
}

/// Completes when a visitor would not be let in any more.
fn ended(state: State, admission: Admission, key: Option<CancellationToken>) -> Ended {
    Box::pin(async move {
        let ended = state.control().previews().ended(&admission);
        match key {
            Some(key) => tokio::select! {
                () = key.cancelled() => {}
                () = ended => {}
            },
            None => ended.await,
        }
    })
}

/// Passes a request on to the application, and its answer back.
async fn pass_on(
    state: &State,
    visitor: &Visitor,
    target: &Target,
    place: &Place,
    mut request: Request,
) -> Result<Response, Trouble> {
    let admission = &visitor.admission;
    let presence = toolbox::presence(request.headers());
    let Passage { place: counted, connection } =
        state.control().previews().connect(admission, presence).await?;
    let stream = tunnel::open(state, connection, target.port).await?;
    let is_websocket = headers::is_websocket(request.headers());
    let client_side = is_websocket.then(|| hyper::upgrade::on(&mut request));
    let progress = Progress::new();
    let outgoing = rewritten(request, target, place, is_websocket, &progress)?;
    let mut answer = tokio::select! {
        answer = tunnel::ask(state, stream, outgoing) => answer?,
        () = quiet(&progress) => {
            let text = "the application did not begin to answer in time";
            return Err(Trouble::new(StatusCode::GATEWAY_TIMEOUT, text));
        }
    };
    headers::outside(answer.headers_mut(), place, admission.is_public());
    let ended = ended(state.clone(), admission.clone(), visitor.key.clone());
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answer.map(|body| Body::new(Told::new(body, ended, counted))));
    }
    let Some(client_side) = client_side else {
        let text = "the application switched protocols without being asked";
        return Err(Trouble::new(StatusCode::BAD_GATEWAY, text));
    };
    join(state, (client_side, hyper::upgrade::on(&mut answer)), ended, counted);
    headers::put_websocket(answer.headers_mut());
    Ok(answer.map(|_| Body::empty()))
}

/// The request as the application gets it.
fn rewritten(
    request: Request,
    target: &Target,
    place: &Place,
    is_websocket: bool,
    progress: &Progress,
) -> Result<http::Request<Body>, Trouble> {
    let (parts, body) = request.into_parts();
    let mut outgoing = http::Request::new(Body::new(Sent::new(body, progress.clone())));
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = target.inside().parse::<Uri>().map_err(|error| {
        Trouble::failed(StatusCode::BAD_REQUEST, "the address is not valid", error)
    })?;
    *outgoing.headers_mut() = parts.headers;
    headers::inside(outgoing.headers_mut(), place);
    if is_websocket {
        headers::put_websocket(outgoing.headers_mut());
    }
    Ok(outgoing)
}

/// Completes when nothing has come of a request for too long.
async fn quiet(progress: &Progress) {
    loop {
        let left = PATIENCE.saturating_sub(progress.last().elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

/// Passes bytes both ways in a task of its own until one side ends, the visit or the server.
fn join(
    state: &State,
    (client, application): (OnUpgrade, OnUpgrade),
    ended: Ended,
    counted: pitlane_control::Place,
) {
    let ending = state.ending().clone();
    let joining = async move {
        let _counted = counted;
        let _open = OpenStream::new();
        let begun = Instant::now();
        let joined = async {
            let (client, application) = tokio::try_join!(client, application)?;
            let mut client = Parting::new(TokioIo::new(client), FAREWELL);
            let mut application = Parting::new(TokioIo::new(application), FAREWELL);
            let joined = tokio::io::copy_bidirectional(&mut client, &mut application).await;
            Ok::<_, hyper::Error>(joined)
        };
        tokio::select! {
            () = ending.cancelled() => {}
            () = ended => tracing::info!("preview closed: it is not open to its visitor any more"),
            joined = joined => match joined {
                Ok(Ok((received, sent))) => {
                    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(received, sent, took_ms, "preview closed");
                }
                Ok(Err(error)) => tracing::debug!(%error, "a preview's stream broke"),
                Err(error) => tracing::debug!(%error, "a preview's stream did not begin"),
            }
        }
    };
    state.tasks().spawn(joining.in_current_span());
}
