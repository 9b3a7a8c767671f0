//! The toolbox's operations.

mod files;
mod git;
mod interpreter;
mod lsp;
mod process;
mod pty;
mod sandbox;
mod session;

use super::operation::Operation;

/// Every operation of the toolbox that is served.
pub(super) fn operations() -> Vec<Operation> {
    [
        process::operations(),
        pty::operations(),
        files::operations(),
        git::operations(),
        interpreter::operations(),
        lsp::operations(),
        sandbox::operations(),
        session::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
