//! The control plane's operations.

mod builds;
mod keys;
mod organizations;
mod previews;
mod registries;
mod sandboxes;
mod server;
mod snapshots;
mod storage;
mod volumes;
mod warm_pools;

use super::operation::Operation;

/// Every operation of the control plane that is served.
pub(super) fn operations() -> Vec<Operation> {
    [
        server::operations(),
        keys::operations(),
        organizations::operations(),
        registries::operations(),
        sandboxes::operations(),
        previews::operations(),
        builds::operations(),
        snapshots::operations(),
        volumes::operations(),
        storage::operations(),
        warm_pools::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
