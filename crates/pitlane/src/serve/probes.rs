//! What a server needs to be ready beside its database: the launcher and room on the disk.

use std::path::Path;
use std::sync::Arc;

use pitlane_api::Probe;

use super::Maker;

/// Below this the engine makes no sandboxes.
const LEAST_FREE_MIB: u64 = 1024;

/// The probes for a server that keeps its state in `state`.
pub(super) fn of(maker: &Maker, state: &Path) -> Vec<Probe> {
    let mut probes = vec![disk(state)];
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

fn disk(state: &Path) -> Probe {
    let state = state.to_owned();
    Probe {
        name: "disk",
        ask: Arc::new(move || {
            let state = state.clone();
            Box::pin(async move {
                let room = tokio::task::spawn_blocking(move || room(&state));
                room.await.map_err(|error| error.to_string())?
            })
        }),
    }
}

/// Whether there is room for another sandbox.
fn room(state: &Path) -> Result<(), String> {
    let status =
        rustix::fs::statvfs(state).map_err(|errno| format!("cannot be measured: {errno}"))?;
    let free_mib = status.f_bavail.saturating_mul(status.f_frsize) >> 20;
    if free_mib < LEAST_FREE_MIB {
        return Err(format!("{free_mib} MiB are left; new sandboxes need {LEAST_FREE_MIB}"));
    }
    Ok(())
}
