//! `GET /sandbox/{idOrName}/log`: what became of a sandbox. Not of the reference.

use axum::extract::State as FromState;
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::date;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// Answers the changes of its state that are kept, or those after the line of the number `after`.
pub(crate) async fn story(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Json<wire::SandboxLog>, Refusal> {
    let after = query.parsed("after")?.unwrap_or(0);
    let sandboxes = state.control().sandboxes();
    let lines = sandboxes.story(caller.principal(), &id_or_name, after).await?;
    let items = lines.into_iter().map(|(number, line)| wire::SandboxLogLine {
        number,
        at: date::text(line.at),
        state: line.state.as_str().to_owned(),
        by: line.actor.as_str().to_owned(),
        reason: line.reason,
    });
    Ok(Json(wire::SandboxLog { items: items.collect() }))
}
