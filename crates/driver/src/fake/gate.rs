//! A place where an operation of the fake driver waits until a test lets it go on.

use pitlane_model::SandboxId;
use tokio::sync::oneshot;

use super::{Moment, Operation};

/// Holds one operation. Dropping it lets the operation go on.
#[derive(Debug)]
pub struct Gate {
    arrival: Option<oneshot::Receiver<Option<SandboxId>>>,
    opening: oneshot::Sender<()>,
}

/// The driver's side of a gate.
#[derive(Debug)]
pub(super) struct Hold {
    operation: Operation,
    moment: Moment,
    arrival: oneshot::Sender<Option<SandboxId>>,
    opening: oneshot::Receiver<()>,
}

pub(super) fn pair(operation: Operation, moment: Moment) -> (Hold, Gate) {
    let (arrived, arrival) = oneshot::channel();
    let (open, opening) = oneshot::channel();
    let hold = Hold { operation, moment, arrival: arrived, opening };
    (hold, Gate { arrival: Some(arrival), opening: open })
}

impl Gate {
    /// Waits until an operation is held here, and tells of which sandbox it is; `None` if of none, or if it was told
    /// before.
    pub async fn reached(&mut self) -> Option<SandboxId> {
        self.arrival.take()?.await.ok().flatten()
    }

    /// Lets the operation go on, whether it has arrived or not.
    pub fn open(self) {
        // An operation that was dropped while it waited does not go on.
        let _ = self.opening.send(());
    }
}

impl Hold {
    pub(super) fn is_for(&self, operation: Operation, moment: Moment) -> bool {
        self.operation == operation && self.moment == moment
    }

    pub(super) async fn wait(self, id: Option<SandboxId>) {
        // A gate that was dropped holds nobody.
        let _ = self.arrival.send(id);
        drop(self.opening.await);
    }
}
