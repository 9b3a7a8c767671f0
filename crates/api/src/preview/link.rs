//! `/sandbox/{idOrName}/ports/{port}/…`: addresses and tokens of previews.

use axum::extract::State as FromState;
use http::StatusCode;
use pitlane_control::{ExpirePreviewError, PreviewError};
use pitlane_wire::control as wire;

use super::target;
use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// How long a signed preview works if the caller does not say, in seconds.
const DEFAULT_SECONDS: u32 = 60;

/// `GET /sandbox/{idOrName}/ports/{port}/preview-url`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, port)): Named<(String, String)>,
) -> Result<Json<wire::PortPreviewUrl>, Refusal> {
    let port = target::parse_port(&port).ok_or_else(target::no_port)?;
    let previews = state.control().previews();
    let (sandbox, token) = previews.token(caller.principal(), &id_or_name, port).await?;
    let id = sandbox.spec.id;
    let url = format!("{}/{id}/proxy/{port}", origin.toolbox());
    Ok(Json(wire::PortPreviewUrl { sandbox_id: id.to_string(), url, token }))
}

/// `GET /sandbox/{idOrName}/ports/{port}/signed-preview-url`.
pub(crate) async fn sign(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, port)): Named<(String, String)>,
    query: Query,
) -> Result<Json<wire::SignedPortPreviewUrl>, Refusal> {
    let port = target::parse_port(&port).ok_or_else(target::no_port)?;
    let seconds = query.parsed("expiresInSeconds")?.unwrap_or(DEFAULT_SECONDS);
    let previews = state.control().previews();
    let signed = previews.sign(caller.principal(), &id_or_name, port, seconds).await?;
    let id = signed.sandbox;
    Ok(Json(wire::SignedPortPreviewUrl {
        sandbox_id: id.to_string(),
        port: port.get(),
        url: format!(
            "{}/{id}/proxy/{port}/?{}={}",
            origin.toolbox(),
            target::KEY_PARAMETER,
            signed.token
        ),
        token: signed.token,
    }))
}

/// `POST /sandbox/{idOrName}/ports/{port}/signed-preview-url/{token}/expire`.
pub(crate) async fn expire(
    FromState(state): FromState<State>,
    caller: Caller,
    Named((id_or_name, port, token)): Named<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    let port = target::parse_port(&port).ok_or_else(target::no_port)?;
    let previews = state.control().previews();
    previews.expire(caller.principal(), &id_or_name, port, &token).await?;
    Ok(StatusCode::OK)
}

impl From<PreviewError> for Refusal {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Forbidden(error) => error.into(),
            PreviewError::Find(error) => error.into(),
            PreviewError::Lifetime => {
                Self::bad_request("expiresInSeconds must be between 1 and 86400")
            }
            PreviewError::TooMany { .. } => Self::forbidden(error.to_string()),
            PreviewError::Random(_) | PreviewError::Store { .. } => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the preview could not be opened",
                error,
            ),
        }
    }
}

impl From<ExpirePreviewError> for Refusal {
    fn from(error: ExpirePreviewError) -> Self {
        match error {
            ExpirePreviewError::Forbidden(error) => error.into(),
            ExpirePreviewError::Find(error) => error.into(),
            ExpirePreviewError::NotFound => {
                Self::not_found("no such signed preview of this port, or none any more")
            }
            ExpirePreviewError::Store { .. } => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the preview is revoked, but that is not written down",
                error,
            ),
        }
    }
}
