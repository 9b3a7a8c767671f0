//! The terminals of the sandbox, by name.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use pitlane_wire::toolbox::PtyListResponse;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::asked::Asked;
use super::terminal::Terminal;
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// How many there are at most. The sandbox's kernel has 256, and other programs make some, too.
const MAX_TERMINALS: usize = 128;

/// What the variables of all of them may take, in bytes; then only short ones are taken.
const MOST_VARIABLES: usize = 8 << 20;
const SHORT: usize = 64 << 10;

/// How long clients have to hear that the sandbox stops: stopping does not wait for those that do not listen.
const FAREWELL: Duration = Duration::from_millis(250);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Terminals {
    all: Mutex<BTreeMap<String, Arc<Terminal>>>,
    hang_up: CancellationToken,
    clients: TaskTracker,
    /// How much of all outputs is kept for clients that lie behind.
    ahead: Arc<AtomicUsize>,
}

impl Terminals {
    /// Makes a terminal and starts its shell, unless that is to be later.
    pub(super) fn create(
        &self,
        toolbox: &Arc<Toolbox>,
        asked: Asked,
    ) -> Result<Arc<Terminal>, Refusal> {
        let mut all = self.lock();
        if all.contains_key(&asked.id) {
            let message = format!("PTY session {} already exists", asked.id);
            return Err(Refusal::new(StatusCode::CONFLICT, "CONFLICT", message));
        }
        if all.len() >= MAX_TERMINALS {
            let message = format!("{MAX_TERMINALS} terminals are open already: end one first");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_TERMINALS", message));
        }
        let variables = all.values().map(|terminal| terminal.weight()).sum::<usize>();
        if asked.weight() > SHORT && variables.saturating_add(asked.weight()) > MOST_VARIABLES {
            let message = "the variables of the sandbox's terminals are too long together";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_TERMINALS", message));
        }
        let terminal = Arc::new(Terminal::new(toolbox, asked, &self.ahead)?);
        if !terminal.is_lazy() {
            terminal.start(toolbox)?;
        }
        all.insert(terminal.id().to_owned(), Arc::clone(&terminal));
        Ok(terminal)
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<Terminal>, Refusal> {
        self.lock().get(id).cloned().ok_or_else(|| unknown(id))
    }

    /// Takes a terminal out; it still runs.
    pub(super) fn remove(&self, id: &str) -> Result<Arc<Terminal>, Refusal> {
        self.lock().remove(id).ok_or_else(|| unknown(id))
    }

    /// Takes this terminal out, and no other one that has its name by now.
    pub(super) fn forget(&self, terminal: &Arc<Terminal>) {
        let mut all = self.lock();
        if all.get(terminal.id()).is_some_and(|found| Arc::ptr_eq(found, terminal)) {
            all.remove(terminal.id());
        }
    }

    pub(super) fn list(&self) -> PtyListResponse {
        PtyListResponse { sessions: self.lock().values().map(|terminal| terminal.info()).collect() }
    }

    /// Hangs all of them up, as when lines are cut: shells end then, which do not end when asked to.
    pub(crate) fn hang_up(&self) {
        self.hang_up.cancel();
    }

    /// The owner of the tasks that serve clients.
    pub(super) const fn clients(&self) -> &TaskTracker {
        &self.clients
    }

    /// Waits until every client has heard of the end, or has had its time for that.
    pub(crate) async fn farewell(&self) {
        self.clients.close();
        timeout(FAREWELL, self.clients.wait()).await.ok();
    }

    pub(super) async fn hung_up(&self) {
        self.hang_up.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Terminal>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("PTY session {id} not found"))
}
