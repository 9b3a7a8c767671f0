//! `GET /sandbox/{idOrName}/log`: what became of a sandbox. Not of the reference.

use std::time::Duration;

use axum::extract::State as FromState;
use pitlane_model::StoryLine;
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::date;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// The longest that a caller may wait for the next line.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Answers the changes of its state that are kept, or those after the line of the number `after`. Without any, waits up
/// to `wait` seconds, 60 at most, for the next one.
pub(crate) async fn story(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
    query: Query,
) -> Result<Json<wire::SandboxLog>, Refusal> {
    let after = query.parsed("after")?.unwrap_or(0);
    let wait = Duration::from_secs(query.parsed("wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    // Listens before it looks, so that nothing happens in between.
    let mut happening = state.control().events();
    let sandboxes = state.control().sandboxes();
    let read = || sandboxes.story(caller.principal(), &id_or_name, after);
    let mut lines = read().await?;
    if lines.is_empty() && !wait.is_zero() {
        let id = sandboxes.find(caller.principal(), &id_or_name)?.spec.id;
        let changed = async {
            // One that was missed may have been its.
            while happening
                .recv()
                .await
                .is_ok_and(|event| event.sandbox().is_none_or(|sandbox| sandbox.spec.id != id))
            {
            }
        };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
            () = state.ending().cancelled() => {}
        }
        lines = read().await?;
    }
    let items = lines.into_iter().map(|(number, line)| line_of(number, line));
    Ok(Json(wire::SandboxLog { items: items.collect() }))
}

fn line_of(number: u64, line: StoryLine) -> wire::SandboxLogLine {
    wire::SandboxLogLine {
        number,
        at: date::text(line.at),
        state: line.state.as_str().to_owned(),
        by: line.actor.as_str().to_owned(),
        reason: line.reason,
    }
}
