//! `…/build-logs-url` and `…/build-logs`: what is written while an image is built.
//!
//! The SDKs take the address of the first, put `?follow=true` behind it and read until it ends, with their key. Both
//! addresses are therefore operations like any other.

use axum::body::{Body, Bytes};
use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use pitlane_control::BuildLog;
use pitlane_wire::control as wire;
use tokio_util::sync::CancellationToken;

use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// `GET /sandbox/{idOrName}/build-logs-url`.
pub(crate) async fn url_of_sandbox(
    FromState(state): FromState<State>,
    caller: Caller,
    Origin(origin): Origin,
    Named(id_or_name): Named<String>,
) -> Result<Json<wire::Url>, Refusal> {
    let sandboxes = state.control().sandboxes();
    sandboxes.build_log(caller.principal(), &id_or_name)?;
    let id = sandboxes.find(caller.principal(), &id_or_name)?.spec.id;
    Ok(Json(wire::Url { url: format!("{origin}/api/sandbox/{id}/build-logs") }))
}

/// `GET /snapshots/{id}/build-logs-url`.
pub(crate) async fn url_of_snapshot(
    FromState(state): FromState<State>,
    caller: Caller,
    Origin(origin): Origin,
    Named(id_or_name): Named<String>,
) -> Result<Json<wire::Url>, Refusal> {
    let snapshots = state.control().snapshots();
    snapshots.build_log(caller.principal(), &id_or_name)?;
    let id = snapshots.find(caller.principal(), &id_or_name)?.id;
    Ok(Json(wire::Url { url: format!("{origin}/api/snapshots/{id}/build-logs") }))
}

/// `GET /sandbox/{idOrName}/build-logs`: what there is, or with `follow` until the build is over.
pub(crate) async fn of_sandbox(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let log = state.control().sandboxes().build_log(caller.principal(), &id_or_name)?;
    answer(&state, &caller, log, &query).await
}

/// `GET /snapshots/{id}/build-logs`: the same for a snapshot.
pub(crate) async fn of_snapshot(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let log = state.control().snapshots().build_log(caller.principal(), &id_or_name)?;
    answer(&state, &caller, log, &query).await
}

const TEXT: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
    // What a build writes is never a page of this server's.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

async fn answer(
    state: &State,
    caller: &Caller,
    log: BuildLog,
    query: &Query,
) -> Result<Response, Refusal> {
    if !query.parsed("follow")?.unwrap_or(false) {
        return Ok((TEXT, log.present().await).into_response());
    }
    let body = Body::from_stream(stream::unfold((log, state.ending().clone()), next));
    Ok(caller.validity(state).hold_body((TEXT, body).into_response()))
}

type Following = (BuildLog, CancellationToken);

/// The next piece, as fast as the client takes it. A server that ends breaks the answer off.
async fn next((mut log, ending): Following) -> Option<(Result<Bytes, Ending>, Following)> {
    tokio::select! {
        biased;
        piece = log.next() => Some((Ok(Bytes::from(piece?)), (log, ending))),
        () = ending.cancelled() => Some((Err(Ending), (log, ending))),
    }
}

/// The server ends in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the server is shutting down")]
struct Ending;
