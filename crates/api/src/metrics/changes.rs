//! How long sandboxes take to change and what happens to them, read off the events that are sent anyway.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{counter, histogram};
use pitlane_control::Event;
use pitlane_model::{Sandbox, SandboxId, SandboxState, Timestamp};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{CHANGE_FAILURES, CHANGE_SECONDS, MEMORY_KILLS};

/// Measures changes until the platform ends.
pub(super) async fn follow(mut happening: Receiver<Event>) {
    let mut changes = Changes::default();
    loop {
        match happening.recv().await {
            Ok(event) => changes.note(&event),
            // When those under way began is not known any more.
            Err(RecvError::Lagged(_)) => changes.begun.clear(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The changes under way, with when they began.
#[derive(Debug, Default)]
struct Changes {
    begun: HashMap<SandboxId, Timestamp>,
}

impl Changes {
    fn note(&mut self, event: &Event) {
        match event {
            Event::SandboxCreated { sandbox } => self.begin(sandbox, sandbox.created_at),
            Event::VolumeCreated { .. } | Event::VolumeStateUpdated { .. } => {}
            Event::MemoryRanOut { killed, .. } => counter!(MEMORY_KILLS).increment(*killed),
            Event::SandboxStateUpdated { sandbox, old, new } => {
                let begun = self.begun.remove(&sandbox.spec.id);
                let ended = change(*old);
                match new {
                    SandboxState::Error | SandboxState::BuildFailed => {
                        counter!(CHANGE_FAILURES, "change" => ended.unwrap_or("none")).increment(1);
                    }
                    _ if is_end(*old, *new) => {
                        if let (Some(change), Some(begun)) = (ended, begun) {
                            let took = between(begun, sandbox.updated_at);
                            histogram!(CHANGE_SECONDS, "change" => change)
                                .record(took.as_secs_f64());
                        }
                    }
                    _ => {}
                }
                if change(*new).is_some() {
                    self.begin(sandbox, sandbox.updated_at);
                }
            }
        }
    }

    fn begin(&mut self, sandbox: &Sandbox, at: Timestamp) {
        self.begun.insert(sandbox.spec.id, at);
    }
}

/// The change that a sandbox of this state is in.
fn change(state: SandboxState) -> Option<&'static str> {
    match state.as_str() {
        "pending_build" => Some("queue"),
        "building_snapshot" => Some("build"),
        "pulling_snapshot" => Some("pull"),
        "creating" => Some("create"),
        "starting" => Some("start"),
        "stopping" => Some("stop"),
        "archiving" => Some("archive"),
        "restoring" => Some("restore"),
        "resizing" => Some("resize"),
        "snapshotting" => Some("snapshot"),
        "destroying" => Some("destroy"),
        _ => None,
    }
}

/// Whether a change did what it was meant to.
fn is_end(old: SandboxState, new: SandboxState) -> bool {
    matches!(
        (old.as_str(), new.as_str()),
        ("pending_build", "building_snapshot")
            | ("pending_build" | "building_snapshot" | "pulling_snapshot", "creating")
            | ("creating" | "starting" | "restoring" | "resizing", "started")
            | ("stopping" | "resizing", "stopped")
            | ("snapshotting", "started" | "stopped")
            | ("archiving", "archived")
            | ("destroying", "destroyed")
    )
}

/// A clock that was set back in between makes it nothing.
fn between(begun: Timestamp, ended: Timestamp) -> Duration {
    let micros = ended.as_micros().saturating_sub(begun.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_on_the_way_to_another_is_a_change_and_no_other_is() {
        for state in SandboxState::ALL {
            assert_eq!(change(state).is_some(), state.is_transient(), "{}", state.as_str());
        }
    }
}
