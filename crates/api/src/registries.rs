//! `/docker-registry`: registries of images that the caller's organization has passwords for.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_control::{CreateRegistry, UpdateRegistry};
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::convert;
use crate::refusal::Refusal;
use crate::state::State;

/// `POST /docker-registry`.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Json(body): Json<wire::CreateDockerRegistry>,
) -> Result<Response, Refusal> {
    let wire::CreateDockerRegistry { name, url, username: user, password, project } = body;
    let project = project.unwrap_or_default();
    let request = CreateRegistry { name, url, user, password, project };
    let made = state.control().registries().create(caller.principal(), request).await?;
    Ok((StatusCode::CREATED, Json(convert::registry(&made))).into_response())
}

/// `GET /docker-registry`.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Vec<wire::DockerRegistry>>, Refusal> {
    let listed = state.control().registries().list(caller.principal())?;
    Ok(Json(listed.iter().map(convert::registry).collect()))
}

/// `GET /docker-registry/{id}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<wire::DockerRegistry>, Refusal> {
    let found = state.control().registries().find(caller.principal(), &id)?;
    Ok(Json(convert::registry(&found)))
}

/// `PATCH /docker-registry/{id}`.
pub(crate) async fn update(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
    Json(body): Json<wire::UpdateDockerRegistry>,
) -> Result<Json<wire::DockerRegistry>, Refusal> {
    let wire::UpdateDockerRegistry { name, url, username: user, password, project } = body;
    // Clients that show a form send what was left empty.
    let password = password.filter(|password| !password.is_empty());
    let request = UpdateRegistry { name, url, user, password, project };
    let changed = state.control().registries().update(caller.principal(), &id, request).await?;
    Ok(Json(convert::registry(&changed)))
}

/// `DELETE /docker-registry/{id}`: no pull that begins afterwards uses its password.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    state.control().registries().delete(caller.principal(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
