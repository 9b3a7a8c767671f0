//! The dispatcher.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use pitlane_client::{Client, RemoteTools};
use pitlane_wire::control::Sandbox;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::bounds::{DOCUMENT, USUAL, bounded};
use crate::capture::Room;
use crate::failure::{Failure, NO_KEY};
use crate::figures::Counted;
use crate::logs::Logs;
use crate::shape::Shape;
use crate::visible::{line, visible, visible_json};
use crate::{
    Answer, Call, Progress, ReadError, Resource, Settings, daytona, execution, file, remote,
    repository, resource, sandbox, session,
};

/// What a caller can ask for: one server, one key, one set of rules. Clones share everything.
#[derive(Debug, Clone)]
pub struct Tools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Option<Client>,
    /// A server that has the tools itself, in place of a client.
    remote: Option<RemoteTools>,
    settings: Settings,
    /// Whether the server has no way of its own to tell outputs as they come.
    is_plain: AtomicBool,
    /// Where sandboxes are that ran something a moment ago, by their ids, which are never given again.
    known: Mutex<HashMap<String, (Sandbox, Instant)>>,
    shared: Arc<Shared>,
}

/// How long a place is believed, and how many are remembered.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const MOST_KNOWN: usize = 1_000;

/// What tools of several callers have in common.
#[derive(Debug, Default)]
struct Shared {
    logs: Logs,
    /// What commands under way have said.
    room: Arc<Room>,
    /// What must be tidied after a call that was dropped.
    cleanups: TaskTracker,
}

/// One call under way.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) client: &'a Client,
    pub(crate) settings: &'a Settings,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) began: Instant,
    inner: &'a Arc<Inner>,
}

impl Tools {
    /// Tools that work through this client.
    #[must_use]
    pub fn new(client: Client, settings: Settings) -> Self {
        Self::made(Some(client), settings, Arc::default())
    }

    /// Tools of somebody who has no key yet: every call is answered with how to give one.
    #[must_use]
    pub fn without_key(settings: Settings) -> Self {
        Self::made(None, settings, Arc::default())
    }

    /// Tools that another server has: calls are passed on to it as they are, once they are understood and allowed here.
    /// What it keeps of outputs is read there.
    #[must_use]
    pub fn of_remote(remote: RemoteTools, settings: Settings) -> Self {
        Self::of(None, Some(remote), settings, Arc::default())
    }

    /// The same tools for another key or server: what is kept of outputs and the rules are shared.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        let settings = self.inner.settings.clone();
        Self::made(Some(client), settings, Arc::clone(&self.inner.shared))
    }

    fn made(client: Option<Client>, settings: Settings, shared: Arc<Shared>) -> Self {
        let client = client.map(|client| client.with_retries(settings.retry_count));
        Self::of(client, None, settings, shared)
    }

    fn of(
        client: Option<Client>,
        remote: Option<RemoteTools>,
        settings: Settings,
        shared: Arc<Shared>,
    ) -> Self {
        let (is_plain, known) = (AtomicBool::new(false), Mutex::default());
        Self { inner: Arc::new(Inner { client, remote, settings, is_plain, known, shared }) }
    }

    /// How they behave.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Does what was asked for. What fails is an answer, too. Dropping the future ends the command it runs.
    pub async fn call(&self, call: Call, progress: &dyn Progress) -> Answer {
        self.call_until(call, progress, std::future::pending()).await
    }

    /// Like [`Self::call`]; when `end` comes first, the command is ended and the answer says so.
    pub async fn call_until(
        &self,
        call: Call,
        progress: &dyn Progress,
        end: impl Future<Output = ()>,
    ) -> Answer {
        let counted = Counted::begin(call.name());
        let shape = Shape::of(&call);
        // Daytona's own tools answer with JSON as text.
        let is_json = matches!(call, Call::Daytona(_));
        let attempted = tokio::select! {
            biased;
            attempted = self.attempt(call, progress) => attempted,
            () = end => Err(ended()),
        };
        let answer = match attempted {
            Ok(answer) => answer,
            Err(failure) => {
                tracing::debug!(tool = shape.tool(), why = %failure.message, "failed");
                shape.failed(failure)
            }
        };
        counted.end(&answer);
        let answer = bounded(answer, if is_json { DOCUMENT } else { USUAL });
        let text = if is_json { visible_json(&answer.text) } else { visible(&answer.text) };
        Answer { text, ..answer }
    }

    /// Reads a file of a sandbox, or what a command said, from an address on.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: see its variants.
    pub async fn read(&self, uri: &str) -> Result<Resource, ReadError> {
        let failed = |why: String| ReadError::Backend { uri: uri.to_owned(), why };
        if let Some(remote) = &self.inner.remote {
            return Err(failed(format!("it is at {}", remote.url())));
        }
        let context = self.context(&()).ok_or_else(|| failed(NO_KEY.to_owned()))?;
        let limit = self.inner.settings.timeout;
        let read = tokio::time::timeout(limit, Box::pin(resource::read(context, uri))).await;
        read.unwrap_or_else(|_elapsed| {
            Err(failed(format!("it took longer than {} s", limit.as_secs())))
        })
    }

    /// Waits until everything is tidied that was left by calls that were dropped, or until the time is over. No call may
    /// begin any more.
    pub async fn finish(&self, patience: Duration) {
        let cleanups = &self.inner.shared.cleanups;
        cleanups.close();
        if tokio::time::timeout(patience, cleanups.wait()).await.is_err() {
            tracing::warn!("sessions of commands that were ended are left in their sandboxes");
        }
    }

    async fn attempt(&self, call: Call, progress: &dyn Progress) -> Result<Answer, Failure> {
        let (needed, has) = (call.permission(), self.inner.settings.permission);
        if needed > has {
            let name = call.name();
            let message = format!("{name} needs the permission '{needed}', and here is '{has}'");
            return Err(Failure::new(message).next("Ask the user to allow it."));
        }
        if let Some(remote) = &self.inner.remote {
            return Box::pin(remote::call(remote, &self.inner.settings, &call)).await;
        }
        let context = self.context(progress).ok_or_else(|| Failure::whole(NO_KEY))?;
        let limit = self.inner.settings.timeout;
        let late = || {
            let message = format!("it took longer than {} s", limit.as_secs());
            Failure::new(message).next("It may have had its effect: look before doing it again.")
        };
        // These keep what was said until their time was over.
        let has_own_limit =
            matches!(call, Call::ExecuteCode(_) | Call::ExecuteShell(_) | Call::Daytona(_));
        let work = dispatch(context, call);
        if has_own_limit {
            return work.await;
        }
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    pub(crate) fn context<'a>(&'a self, progress: &'a dyn Progress) -> Option<Context<'a>> {
        let client = self.inner.client.as_ref()?;
        let (settings, began) = (&self.inner.settings, Instant::now());
        Some(Context { client, settings, progress, began, inner: &self.inner })
    }
}

/// What is said of a call that had not ended when whoever serves it had to.
fn ended() -> Failure {
    Failure::new("this server stops, and what it waited for was ended")
        .next("It may have had its effect: look before doing it again.")
}

/// One future of all operations is too large for a stack.
fn dispatch(context: Context<'_>, call: Call) -> BoxFuture<'_, Result<Answer, Failure>> {
    match call {
        Call::CreateSandbox(asked) => Box::pin(sandbox::create(context, asked)),
        Call::ExecuteCode(asked) => Box::pin(execution::code(context, asked)),
        Call::ExecuteShell(asked) => Box::pin(execution::shell(context, asked)),
        Call::FileOperation(asked) => Box::pin(file::operate(context, asked)),
        Call::GitOperation(asked) => Box::pin(repository::operate(context, asked)),
        Call::ListSandboxes(_) => Box::pin(sandbox::list(context)),
        Call::DeleteSandbox(asked) => Box::pin(sandbox::delete(context, asked.sandbox_id)),
        Call::GetSandboxInfo(asked) => Box::pin(sandbox::info(context, asked.sandbox_id)),
        Call::GetPreviewUrl(asked) => Box::pin(sandbox::preview(context, asked)),
        Call::ExecSession(asked) => Box::pin(session::operate(context, asked)),
        Call::Daytona(asked) => Box::pin(daytona::call(context, asked)),
    }
}

impl Context<'_> {
    pub(crate) fn logs(&self) -> &Logs {
        &self.inner.shared.logs
    }

    /// Room for what commands under way say.
    pub(crate) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.inner.shared.room)
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.inner.is_plain.load(Ordering::Relaxed)
    }

    pub(crate) fn set_plain(&self) {
        self.inner.is_plain.store(true, Ordering::Relaxed);
    }

    /// Where a sandbox is that was used a moment ago.
    pub(crate) fn known(&self, id: &str) -> Option<Sandbox> {
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (sandbox, since) = known.get(id)?;
        (since.elapsed() < KNOWN_FOR).then(|| sandbox.clone())
    }

    pub(crate) fn remember(&self, sandbox: &Sandbox) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(sandbox.core.id.clone(), (sandbox.clone(), Instant::now()));
    }

    pub(crate) fn forget(&self, id: &str) {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Tells how long it has been, and what happens.
    pub(crate) fn report(&self, message: &str) {
        self.progress.report(self.began.elapsed().as_secs_f64(), None, &line(message));
    }

    /// Does something although nobody waits for it any more.
    pub(crate) fn clean_up(&self, work: impl FnOnce(Client) -> BoxFuture<'static, ()>) {
        if tokio::runtime::Handle::try_current().is_ok() {
            drop(self.inner.shared.cleanups.spawn(work(self.client.clone())));
        }
    }
}
