//! Snapshots that are taken of sandboxes.

use axum::extract::State as FromState;
use axum::response::Response;
use pitlane_control::SnapshotSandbox;
use pitlane_wire::control as wire;

use super::answer;
use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::refusal::Refusal;
use crate::state::State;

/// `POST /sandbox/{idOrName}/snapshot`: answers when it is taken, or with a sandbox that is `snapshotting` if that takes
/// long.
pub(crate) async fn snapshot(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    Named(id_or_name): Named<String>,
    Json(body): Json<wire::CreateSandboxSnapshot>,
) -> Result<Response, Refusal> {
    let request =
        SnapshotSandbox { name: body.name, has_memory: body.include_memory.unwrap_or(false) };
    let sandboxes = state.control().sandboxes();
    let sandbox = sandboxes.snapshot(caller.principal(), &id_or_name, request).await?;
    Ok(answer(&sandbox, &origin))
}
