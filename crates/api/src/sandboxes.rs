//! `/sandbox`: what the control plane does with sandboxes.

mod change;
mod list;
mod snapshot;
mod story;
mod wish;

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use pitlane_model::Sandbox;
use pitlane_wire::control as wire;

use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::convert;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::request::{About, AskedBy};
use crate::state::State;

pub(crate) use self::change::{
    archive, auto_archive, auto_delete, auto_pause, auto_stop, labels, last_activity, public,
    recover, resize, ttl,
};
#[cfg(fuzzing)]
pub(crate) use self::list::read_any as read_any_list;
pub(crate) use self::list::{list, list_by_page};
pub(crate) use self::snapshot::snapshot;
pub(crate) use self::story::story;

/// `POST /sandbox`: answers when the sandbox is usable, or at once if its image has to come first.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Json(body): Json<wire::CreateSandbox>,
) -> Result<Response, Refusal> {
    let wish = wish::of(body)?;
    let sandbox = state.control().sandboxes().create(caller.principal(), wish).await?;
    Ok(answer(&sandbox, &origin))
}

/// `GET /sandbox/{idOrName}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    let sandbox = state.control().sandboxes().find(caller.principal(), &id_or_name)?;
    Ok(answer(&sandbox, &origin))
}

/// `POST /sandbox/{idOrName}/start`: answers when it is usable again.
pub(crate) async fn start(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    let sandbox = state.control().sandboxes().start(caller.principal(), &id_or_name).await?;
    Ok(answer(&sandbox, &origin))
}

/// `POST /sandbox/{idOrName}/stop`: answers when nothing of it runs.
pub(crate) async fn stop(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let force = query.parsed("force")?.unwrap_or(false);
    let sandbox = state.control().sandboxes().stop(caller.principal(), &id_or_name, force).await?;
    Ok(answer(&sandbox, &origin))
}

/// `DELETE /sandbox/{idOrName}`: answers when it can no longer be used; what it holds is freed afterwards.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    let sandbox = state.control().sandboxes().delete(caller.principal(), &id_or_name).await?;
    Ok(answer(&sandbox, &origin))
}

/// `GET /sandbox/{id}/toolbox-proxy-url`.
pub(crate) async fn toolbox_proxy_url(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
) -> Result<Json<wire::ToolboxProxyUrl>, Refusal> {
    state.control().sandboxes().find(caller.principal(), &id_or_name)?;
    Ok(Json(wire::ToolboxProxyUrl { url: origin.toolbox() }))
}

fn answer(sandbox: &Sandbox, origin: &Origin) -> Response {
    let mut response = Json(convert::sandbox(sandbox, origin)).into_response();
    response.extensions_mut().insert(AskedBy(sandbox.spec.organization));
    response.extensions_mut().insert(About(sandbox.spec.id));
    response
}
