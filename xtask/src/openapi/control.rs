//! The control plane's operations.

mod keys;
mod organizations;
mod previews;
mod sandboxes;
mod server;
mod snapshots;

use super::operation::Operation;

/// Every operation of the control plane that is served.
pub(super) fn operations() -> Vec<Operation> {
    [
        server::operations(),
        keys::operations(),
        organizations::operations(),
        sandboxes::operations(),
        previews::operations(),
        snapshots::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
