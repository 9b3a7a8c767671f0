//! `/volumes`: folders that outlive sandboxes.

use axum::extract::State as FromState;
use pitlane_model::VolumeName;
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::convert;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// `GET /volumes`.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    query: Query,
) -> Result<Json<Vec<wire::VolumeDto>>, Refusal> {
    let with_deleted = query.parsed("includeDeleted")?.unwrap_or(false);
    let volumes = state.control().volumes().list(caller.principal(), with_deleted);
    Ok(Json(volumes.iter().map(convert::volume).collect()))
}

/// `POST /volumes`.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Json(body): Json<wire::CreateVolume>,
) -> Result<Json<wire::VolumeDto>, Refusal> {
    let name = Some(body.name).filter(|name| !name.is_empty());
    let name = name.map(VolumeName::new).transpose();
    let name = name.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let volume = state.control().volumes().create(caller.principal(), name).await?;
    Ok(Json(convert::volume(&volume)))
}

/// `GET /volumes/{volumeId}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<wire::VolumeDto>, Refusal> {
    Ok(Json(convert::volume(&state.control().volumes().find(caller.principal(), &id)?)))
}

/// `GET /volumes/by-name/{name}`.
pub(crate) async fn read_by_name(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Json<wire::VolumeDto>, Refusal> {
    let volume = state.control().volumes().find_by_name(caller.principal(), &name);
    let volume = volume.map_err(|error| Refusal::not_found(error.to_string()))?;
    Ok(Json(convert::volume(&volume)))
}

/// `DELETE /volumes/{volumeId}`.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<(), Refusal> {
    Ok(state.control().volumes().delete(caller.principal(), &id).await?)
}
