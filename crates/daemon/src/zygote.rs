//! Fresh Python interpreters.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::process::{Launch, StartError, Started};
use crate::toolbox::Toolbox;

/// Starts a program in a session and a control group of its own; where it is Python and an interpreter waits for work,
/// that one becomes the program.
pub(crate) async fn start(
    toolbox: &Arc<Toolbox>,
    launch: &Launch,
    [stdout, stderr]: [&OwnedFd; 2],
) -> Result<Started, StartError> {
    std::future::ready(toolbox.processes().start(launch, stdout, stderr)).await
}
