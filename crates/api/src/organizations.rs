//! `/organizations`: whose everything is.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_model::Organization;
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::convert;
use crate::refusal::Refusal;
use crate::state::State;

/// `POST /organizations`.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Json(body): Json<wire::CreateOrganization>,
) -> Result<Response, Refusal> {
    let made = state.control().organizations().create(caller.principal(), body.name).await?;
    Ok((StatusCode::CREATED, answer(&state, &made)).into_response())
}

/// `GET /organizations`: the caller's own; all of them for an operator.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Json<Vec<wire::Organization>> {
    let policy = state.control().policy();
    let listed = state.control().organizations().list(caller.principal());
    Json(listed.iter().map(|each| convert::organization(each, policy)).collect())
}

/// `GET /organizations/{organizationId}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<wire::Organization>, Refusal> {
    let found = state.control().organizations().find(caller.principal(), &id)?;
    Ok(answer(&state, &found))
}

/// `DELETE /organizations/{organizationId}`: its keys stop working before this answers.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    state.control().organizations().delete(caller.principal(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(state: &State, organization: &Organization) -> Json<wire::Organization> {
    Json(convert::organization(organization, state.control().policy()))
}
