//! What a server needs to be ready beside its database: the launcher and room on the disk.

use std::path::Path;
use std::sync::Arc;

use pitlane_api::Probe;
use pitlane_engine::{RESERVE_BYTES, Room};

use super::Maker;

/// The probes for a server that keeps its state in `state`.
pub(super) fn of(maker: &Maker, state: &Path, overcommit: u32) -> Vec<Probe> {
    let mut probes = vec![disk(state, overcommit)];
    if let Maker::Engine(engine) = maker {
        let engine = Arc::clone(engine);
        probes.push(Probe {
            name: "launcher",
            ask: Arc::new(move || {
                let engine = Arc::clone(&engine);
                Box::pin(async move {
                    engine.check_launcher().await.map_err(|error| {
                        tracing::debug!(%error, "the launcher does not answer");
                        "does not answer; no sandbox can start while it does not".to_owned()
                    })
                })
            }),
        });
    }
    probes
}

fn disk(state: &Path, overcommit: u32) -> Probe {
    let state = state.to_owned();
    Probe {
        name: "disk",
        ask: Arc::new(move || {
            let state = state.clone();
            Box::pin(async move {
                let room = tokio::task::spawn_blocking(move || room(&state, overcommit));
                room.await.map_err(|error| error.to_string())?
            })
        }),
    }
}

/// Whether there is room for another sandbox.
fn room(state: &Path, overcommit: u32) -> Result<(), String> {
    let room = Room::of(state).map_err(|cause| format!("cannot be measured: {cause}"))?;
    if room.free == 0 {
        return Err(format!("less than {} MiB are left", RESERVE_BYTES >> 20));
    }
    if !room.has_room(0, overcommit) {
        return Err(format!(
            "{} GiB are promised to sandboxes and {} MiB are left, {overcommit} times of which may be promised",
            room.promised >> 30,
            room.free >> 20
        ));
    }
    Ok(())
}
