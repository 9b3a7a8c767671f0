//! All contexts of the sandbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use pitlane_wire::toolbox::{CreateContextRequest, InterpreterContext};
use tokio::sync::oneshot;

use super::context::Context;
use crate::clock::Moment;
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// What runs without a context's name belong to.
pub(super) const DEFAULT: &str = "default";
/// How many there may be at once beside the default one. Each is a Python.
const MOST_CONTEXTS: usize = 64;

/// The contexts there are.
#[derive(Debug, Default)]
pub(crate) struct Contexts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    default: Option<Arc<Context>>,
    /// With the order in which they were made.
    by_id: HashMap<String, (u64, Arc<Context>)>,
    made: u64,
}

impl Contexts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context that a run names. The default one is made when it is first needed.
    pub(super) fn find(&self, toolbox: &Arc<Toolbox>, id: &str) -> Option<Arc<Context>> {
        let mut state = self.lock();
        if !matches!(id, "" | DEFAULT) {
            return state.by_id.get(id).map(|(_, context)| Arc::clone(context));
        }
        let default = state.default.get_or_insert_with(|| {
            let folder = toolbox.work_dir().to_owned();
            Context::new(toolbox, DEFAULT.to_owned(), folder, Moment::now().rfc3339(), None)
        });
        Some(Arc::clone(default))
    }

    /// Makes a context and waits until it is ready.
    pub(super) async fn create(
        &self,
        toolbox: &Arc<Toolbox>,
        request: CreateContextRequest,
    ) -> Result<InterpreterContext, Refusal> {
        match request.language.as_deref() {
            None | Some("" | "python") => {}
            Some(other) => {
                let message = format!("unsupported language {other:?}: contexts speak python");
                return Err(Refusal::bad_request(message));
            }
        }
        let folder = match request.cwd.as_deref() {
            None | Some("") => toolbox.work_dir().to_owned(),
            Some(folder) => toolbox.absolute(folder).to_string_lossy().into_owned(),
        };
        if folder.contains('\0') {
            return Err(Refusal::bad_request("cwd contains a NUL"));
        }
        let id = new_id()?;
        let (ready, started) = oneshot::channel();
        let context = {
            let mut state = self.lock();
            if state.by_id.len() >= MOST_CONTEXTS {
                let message = format!(
                    "the sandbox has {MOST_CONTEXTS} interpreter contexts: delete one first"
                );
                let status = StatusCode::TOO_MANY_REQUESTS;
                return Err(Refusal::new(status, "TOO_MANY_CONTEXTS", message));
            }
            let created_at = Moment::now().rfc3339();
            let context = Context::new(toolbox, id.clone(), folder, created_at, Some(ready));
            let order = state.made;
            state.made = order.wrapping_add(1);
            state.by_id.insert(id.clone(), (order, Arc::clone(&context)));
            context
        };
        let started = started
            .await
            .unwrap_or_else(|_deleted| Err(Refusal::internal("the context was deleted")));
        match started {
            Ok(()) => Ok(context.shown()),
            Err(refusal) => {
                self.lock().by_id.remove(&id);
                context.delete().await;
                Err(refusal)
            }
        }
    }

    /// Those that were made by request, the oldest first.
    pub(super) fn list(&self) -> Vec<InterpreterContext> {
        let state = self.lock();
        let mut all: Vec<_> = state.by_id.values().collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, context)| context.shown()).collect()
    }

    /// Ends a context with everything it started.
    pub(super) async fn delete(&self, id: &str) -> Result<(), Refusal> {
        if id == DEFAULT {
            return Err(Refusal::bad_request("the default context cannot be deleted"));
        }
        let found = self.lock().by_id.remove(id);
        let (_, context) = found.ok_or_else(|| {
            let message = unknown(id);
            Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        })?;
        context.delete().await;
        Ok(())
    }
}

/// The sentence about a context that there is not.
pub(super) fn unknown(id: &str) -> String {
    let short: String = id.chars().take(64).collect();
    format!("there is no interpreter context {short}")
}

/// A random UUID.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Refusal::internal(format!("no random numbers: {error}")))?;
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{number:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| digits.get(from..to).unwrap_or_default());
    Ok(parts.join("-"))
}
