//! `/warm-pools`: sandboxes that wait for whoever creates one.

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_control::{ChangePoolError, CreatePool, CreatePoolError, PoolView};
use pitlane_model::Limits;
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::date;
use crate::refusal::Refusal;
use crate::state::State;
use crate::status::failed;

/// The longest name of a region, in bytes.
const MAX_TARGET_BYTES: usize = 255;

/// `GET /warm-pools`.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Json<Vec<wire::WarmPool>> {
    let pools = state.control().warm_pools().list(caller.principal());
    Json(pools.into_iter().map(warm_pool).collect())
}

/// `POST /warm-pools`.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Json(body): Json<wire::CreateWarmPool>,
) -> Result<Response, Refusal> {
    let target = body.target.filter(|target| !target.is_empty());
    let is_a_name =
        |target: &String| target.len() <= MAX_TARGET_BYTES && !target.contains(char::is_control);
    if !target.as_ref().is_none_or(is_a_name) {
        return Err(Refusal::bad_request(format!(
            "target has more than {MAX_TARGET_BYTES} bytes, or control characters"
        )));
    }
    let request = CreatePool { snapshot: body.snapshot, target, size: body.pool };
    let pool = state.control().warm_pools().create(caller.principal(), request).await?;
    Ok((StatusCode::CREATED, Json(warm_pool(pool))).into_response())
}

/// `PATCH /warm-pools/{id}`.
pub(crate) async fn update(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
    Json(body): Json<wire::UpdateWarmPool>,
) -> Result<Json<wire::WarmPool>, Refusal> {
    let pools = state.control().warm_pools();
    let pool = pools.resize(caller.principal(), &id, body.pool).await?;
    Ok(Json(warm_pool(pool)))
}

/// `DELETE /warm-pools/{id}`.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    state.control().warm_pools().delete(caller.principal(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn warm_pool(view: PoolView) -> wire::WarmPool {
    let PoolView { pool, ready, limits, user, error_reason } = view;
    let limit = |of: fn(Limits) -> u32| limits.map_or(0, |limits| of(limits).into());
    wire::WarmPool {
        id: pool.id.to_string(),
        organization_id: pool.organization.to_string(),
        snapshot: pool.snapshot,
        target: pool.target,
        pool: pool.size,
        current_size: ready,
        cpu: limit(Limits::cpu_count),
        mem: limit(Limits::memory_gib),
        disk: limit(Limits::disk_gib),
        os_user: user,
        env: Default::default(),
        error_reason,
        created_at: date::text(pool.created_at),
        updated_at: date::text(pool.updated_at),
    }
}

impl From<CreatePoolError> for Refusal {
    fn from(error: CreatePoolError) -> Self {
        match error {
            CreatePoolError::Forbidden(error) => error.into(),
            CreatePoolError::UnknownSnapshot { name } => {
                Self::not_found(format!("Snapshot with ID or name {name} not found"))
            }
            CreatePoolError::Exists { .. } => Self::conflict(error.to_string()),
            CreatePoolError::Size | CreatePoolError::TooMany | CreatePoolError::NoRoom(_) => {
                Self::bad_request(error.to_string())
            }
            CreatePoolError::Random(_) | CreatePoolError::Store { .. } => {
                failed("the warm pool could not be created", error)
            }
        }
    }
}

impl From<ChangePoolError> for Refusal {
    fn from(error: ChangePoolError) -> Self {
        match error {
            ChangePoolError::Forbidden(error) => error.into(),
            ChangePoolError::NotFound { id } => {
                Self::not_found(format!("Warm pool with ID {id} not found"))
            }
            ChangePoolError::Size | ChangePoolError::NoRoom(_) => {
                Self::bad_request(error.to_string())
            }
            ChangePoolError::Store { .. } => failed("the warm pool could not be changed", error),
        }
    }
}
