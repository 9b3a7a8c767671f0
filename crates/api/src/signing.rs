//! `/sandbox/{idOrName}/signing-key`: what signs addresses of a sandbox's files.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use pitlane_control::{RotateSigningKeyError, SigningKey, SigningKeyError};

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::refusal::Refusal;
use crate::state::State;

/// `GET /sandbox/{idOrName}/signing-key`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    Ok(answer(&state.control().signing_keys().key(caller.principal(), &id_or_name)?))
}

/// `POST /sandbox/{idOrName}/signing-key/rotate`.
pub(crate) async fn rotate(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    Ok(answer(&state.control().signing_keys().rotate(caller.principal(), &id_or_name).await?))
}

fn answer(key: &SigningKey) -> Response {
    let mut response = Json(key.expose()).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<SigningKeyError> for Refusal {
    fn from(error: SigningKeyError) -> Self {
        match error {
            SigningKeyError::Forbidden(error) => error.into(),
            SigningKeyError::Find(error) => error.into(),
        }
    }
}

impl From<RotateSigningKeyError> for Refusal {
    fn from(error: RotateSigningKeyError) -> Self {
        match error {
            RotateSigningKeyError::Forbidden(error) => error.into(),
            RotateSigningKeyError::Find(error) => error.into(),
            RotateSigningKeyError::Random(_) => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the signing key could not be rotated",
                error,
            ),
            RotateSigningKeyError::Store { .. } => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the signing key is rotated, but that is not written down: rotate it again",
                error,
            ),
        }
    }
}
