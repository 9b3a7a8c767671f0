//! `/api-keys`: who may ask for what.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_control::CreateKey;
use pitlane_model::{ApiKey, Permission};
use pitlane_wire::control as wire;

use crate::authentication::{Caller, KeyKeeper};
use crate::body::{Json, Named};
use crate::refusal::Refusal;
use crate::state::State;
use crate::{convert, date};

/// `POST /api-keys`: the answer is the only place where the key's text is ever told.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: KeyKeeper,
    Json(body): Json<wire::CreateApiKey>,
) -> Result<Response, Refusal> {
    let request = request(body)?;
    let (key, text) = state.control().keys().create(caller.principal(), request).await?;
    let created = wire::CreatedApiKey {
        name: key.name,
        value: text.expose().to_owned(),
        created_at: date::text(key.created_at),
        permissions: convert::permissions(&key.permissions),
        expires_at: key.expires_at.map(date::text),
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// `GET /api-keys`.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: KeyKeeper,
) -> Json<Vec<wire::ApiKeyItem>> {
    let keys = state.control().keys().list(caller.principal());
    Json(keys.iter().map(convert::api_key).collect())
}

/// `GET /api-keys/current`: the key that this request came with.
pub(crate) async fn current(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<wire::ApiKeyItem>, Refusal> {
    match state.control().keys().current(caller.principal()) {
        Some(key) => Ok(Json(convert::api_key(&key))),
        None => Err(Refusal::unauthorized("the API key was revoked")),
    }
}

/// `GET /api-keys/{name}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: KeyKeeper,
    Named(name): Named<String>,
) -> Result<Json<wire::ApiKeyItem>, Refusal> {
    let keys = state.control().keys().list(caller.principal());
    let is_named = |key: &&ApiKey| key.name == name;
    match keys.iter().find(is_named) {
        Some(key) => Ok(Json(convert::api_key(key))),
        None => Err(Refusal::not_found(format!("API key {name} not found"))),
    }
}

/// `DELETE /api-keys/{name}`: it stops working before this answers.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: KeyKeeper,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    state.control().keys().revoke(caller.principal(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api-keys/{userId}/{name}`: the same, for whoever has read in a list whose key it is.
pub(crate) async fn delete_of_user(
    FromState(state): FromState<State>,
    caller: KeyKeeper,
    Named((user, name)): Named<(String, String)>,
) -> Result<StatusCode, Refusal> {
    // Keys belong to their organization; its id stands where the reference names a person.
    if user != caller.principal().organization.to_string() {
        return Err(Refusal::not_found(format!("API key {name} of user {user} not found")));
    }
    state.control().keys().revoke(caller.principal(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn request(body: wire::CreateApiKey) -> Result<CreateKey, Refusal> {
    let mut permissions = Vec::new();
    for word in &body.permissions {
        let permission = Permission::from_word(word).ok_or_else(|| {
            Refusal::bad_request(format!("permission {word} is not one of this server's"))
        })?;
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    let expires_at = match body.expires_at.as_deref() {
        None => None,
        Some(text) => match date::parse(text) {
            Some(date) => Some(date),
            None => return Err(Refusal::bad_request("expiresAt must be an RFC 3339 date")),
        },
    };
    Ok(CreateKey { name: body.name, permissions, expires_at })
}
