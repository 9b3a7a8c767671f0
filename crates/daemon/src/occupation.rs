//! Whether commands run, for the server that wants to stop a sandbox nobody uses.
//!
//! A command counts until it is over, whether or not anybody waits for it. What it has left running in the background
//! does not, nor do terminals that nobody is attached to, nor the image's entrypoint.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::watch;

use crate::http::{Answer, empty, pipe, with_body};
use crate::toolbox::Toolbox;

/// How many commands run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Occupation(Arc<watch::Sender<usize>>);

/// A command that runs, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Occupied(Arc<watch::Sender<usize>>);

impl Occupation {
    /// A command begins.
    pub(crate) fn begin(&self) -> Occupied {
        self.0.send_modify(|count| *count = count.saturating_add(1));
        Occupied(Arc::clone(&self.0))
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// `GET /pitlane/busy`: 204 when no command runs; otherwise 202 at once, and the end of its empty body when none runs any
/// more.
pub(crate) fn busy(toolbox: &Toolbox) -> Answer {
    let mut count = toolbox.occupation().0.subscribe();
    if *count.borrow_and_update() == 0 {
        return empty(StatusCode::NO_CONTENT);
    }
    let (pipe, body) = pipe();
    toolbox.tasks().spawn(async move {
        tokio::select! {
            // An error is the end of everything.
            _ = count.wait_for(|count| *count == 0) => {}
            () = pipe.closed() => {}
        }
    });
    Ok(with_body(StatusCode::ACCEPTED, "application/octet-stream", body))
}
