//! What changes a sandbox beside starting and stopping it.

use axum::extract::State as FromState;
use axum::response::Response;
use http::StatusCode;
use pitlane_control::{RequestedLimits, Update};
use pitlane_model::Minutes;
use pitlane_wire::control as wire;

use super::{answer, wish};
use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::{Json, Named, Whole};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// `POST /sandbox/{idOrName}/archive`: answers at once; the sandbox is then on its way.
pub(crate) async fn archive(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
) -> Result<Response, Refusal> {
    let sandbox = state.control().sandboxes().archive(caller.principal(), &id_or_name)?;
    Ok(answer(&sandbox, &origin))
}

/// `POST /sandbox/{idOrName}/recover`: answers when it is mended.
pub(crate) async fn recover(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let is_to_run = !query.parsed("skipStart")?.unwrap_or(false);
    let sandboxes = state.control().sandboxes();
    let sandbox = sandboxes.recover(caller.principal(), &id_or_name, is_to_run).await?;
    Ok(answer(&sandbox, &origin))
}

/// `POST /sandbox/{idOrName}/resize`: answers when it has the limits.
pub(crate) async fn resize(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
    Json(body): Json<wire::ResizeSandbox>,
) -> Result<Response, Refusal> {
    let wanted =
        RequestedLimits { cpu_count: body.cpu, memory_gib: body.memory, disk_gib: body.disk };
    let sandboxes = state.control().sandboxes();
    let sandbox = sandboxes.resize(caller.principal(), &id_or_name, wanted).await?;
    Ok(answer(&sandbox, &origin))
}

/// `PUT /sandbox/{idOrName}/labels`.
pub(crate) async fn labels(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    Json(body): Json<wire::SandboxLabels>,
) -> Result<Json<wire::SandboxLabels>, Refusal> {
    let update = Update::Labels(wish::labels(body.labels)?);
    let sandboxes = state.control().sandboxes();
    let sandbox = sandboxes.update(caller.principal(), &id_or_name, update).await?;
    Ok(Json(wire::SandboxLabels { labels: sandbox.spec.labels.clone() }))
}

/// `POST /sandbox/{idOrName}/public/{isPublic}`.
pub(crate) async fn public(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, is_public)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let is_public = match &*is_public {
        "true" => true,
        "false" => false,
        _ => return Err(Refusal::bad_request("isPublic must be true or false")),
    };
    update(&state, &caller, &origin, &id_or_name, Update::Public(is_public)).await
}

/// `POST /sandbox/{idOrName}/autostop/{interval}`.
pub(crate) async fn auto_stop(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, interval)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let interval = Update::AutoStop(minutes("interval", &interval)?);
    update(&state, &caller, &origin, &id_or_name, interval).await
}

/// `POST /sandbox/{idOrName}/autopause/{interval}`: never is what it always is, since no sandbox can be paused here.
pub(crate) async fn auto_pause(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, interval)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let sandbox = state.control().sandboxes().find(caller.principal(), &id_or_name)?;
    if minutes("interval", &interval)? > 0 {
        return Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "sandboxes of this class cannot be paused: use the auto-stop interval, which keeps the disk",
        ));
    }
    Ok(answer(&sandbox, &origin))
}

/// `POST /sandbox/{idOrName}/autoarchive/{interval}`.
pub(crate) async fn auto_archive(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, interval)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let interval = Update::AutoArchive(minutes("interval", &interval)?);
    update(&state, &caller, &origin, &id_or_name, interval).await
}

/// `POST /sandbox/{idOrName}/autodelete/{interval}`. A negative interval means never.
pub(crate) async fn auto_delete(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, interval)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let interval = match interval.parse::<i64>() {
        Ok(interval) if interval < 0 => None,
        _ => Some(minutes("interval", &interval)?),
    };
    update(&state, &caller, &origin, &id_or_name, Update::AutoDelete(interval)).await
}

/// `POST /sandbox/{idOrName}/ttl/{ttlMinutes}`.
pub(crate) async fn ttl(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named((id_or_name, ttl)): Named<(String, String)>,
) -> Result<Response, Refusal> {
    let ttl = Update::Ttl(minutes("ttlMinutes", &ttl)?);
    update(&state, &caller, &origin, &id_or_name, ttl).await
}

/// `POST /sandbox/{id}/last-activity`. What the body says changes nothing; it need not be there.
pub(crate) async fn last_activity(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    Whole(body): Whole,
) -> Result<StatusCode, Refusal> {
    let is_read =
        body.is_empty() || serde_json::from_slice::<wire::UpdateLastActivity>(&body).is_ok();
    if !is_read {
        return Err(Refusal::bad_request("the body is not valid: it may be left out"));
    }
    state.control().sandboxes().touch(caller.principal(), &id_or_name)?;
    Ok(StatusCode::CREATED)
}

async fn update(
    state: &State,
    caller: &Caller,
    origin: &Origin,
    id_or_name: &str,
    update: Update,
) -> Result<Response, Refusal> {
    let sandboxes = state.control().sandboxes();
    let sandbox = sandboxes.update(caller.principal(), id_or_name, update).await?;
    Ok(answer(&sandbox, origin))
}

fn minutes(name: &str, text: &str) -> Result<Minutes, Refusal> {
    text.parse().map_err(|_not_a_number| {
        Refusal::bad_request(format!(
            "{name} must be a number of minutes from 0 to {}",
            Minutes::MAX
        ))
    })
}
