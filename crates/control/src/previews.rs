//! Previews: who may reach a port inside a sandbox, and the tokens that prove it.
//!
//! There are two kinds of token. One is made from a secret that a sandbox gets anew with every start, and opens one
//! port for as long as the sandbox runs. The other is random, opens one port for a while, and is kept as a hash; it can
//! be revoked. Neither opens anything of another sandbox or another port, and neither outlives its sandbox.
//!
//! What was opened is looked at again while it lasts: see [`Previews::ended`].

mod doors;
mod error;
mod token;

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pitlane_driver::Connection;
use pitlane_model::{OrganizationId, Permission, Sandbox, SandboxId};
use pitlane_store::{PreviewToken, ReadError, Store};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::doors::{Doors, Ground};
pub use self::error::{AdmitError, ExpirePreviewError, PreviewError, VisitError};
use crate::chain::Chain;
use crate::{Clock, Event, Presence, Principal, Random, Sandboxes};

/// How many tokens for a while a sandbox may have.
const MAX_TOKENS: usize = 256;

/// How many connections to a sandbox's ports may be open at a time.
const MAX_VISITS: usize = 256;

/// The port whose tokens open a sandbox's toolbox: the one that clients ask a token for when they want that. Whoever may
/// make a token may use the toolbox with a key as well.
pub const TOOLBOX_PORT: NonZeroU16 = NonZeroU16::MIN;

/// How long a token for a while works.
const LIFETIMES: std::ops::RangeInclusive<u32> = 1..=86_400;

/// How often what is open is looked at again without a reason.
const LOOK: Duration = Duration::from_secs(1);

/// The previews of all sandboxes.
#[derive(Debug)]
pub struct Previews(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    random: Random,
    sandboxes: Arc<Sandboxes>,
    doors: Mutex<Doors>,
    events: Mutex<broadcast::Receiver<Event>>,
    /// Changes whenever something stops being open.
    closings: watch::Sender<u64>,
}

/// Who wants to reach what.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The port.
    pub port: NonZeroU16,
    /// Whose key was shown, if one was.
    pub principal: Option<&'a Principal>,
    /// The tokens that were shown.
    pub tokens: &'a [String],
}

/// A visitor that was let in.
#[derive(Debug, Clone)]
pub struct Admission {
    sandbox: SandboxId,
    organization: OrganizationId,
    port: NonZeroU16,
    ground: Ground,
}

/// A token for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPreview {
    /// Its text.
    pub token: String,
    /// Whose port it opens.
    pub sandbox: SandboxId,
}

/// A connection to a sandbox's daemon, of which one sandbox has only so many.
#[derive(Debug)]
pub struct Passage {
    /// Counts as long as it is held.
    pub place: Place,
    /// The connection.
    pub connection: Connection,
}

/// A place among the connections to a sandbox's ports, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    inner: Arc<Inner>,
    sandbox: SandboxId,
}

impl Previews {
    /// Takes over what an earlier server left, and follows what becomes of sandboxes, in `tasks` until `ending`.
    /// `events` must have been listened to since before sandboxes were taken over.
    pub(crate) async fn start(
        store: Store,
        (clock, random): (Clock, Random),
        sandboxes: Arc<Sandboxes>,
        events: broadcast::Receiver<Event>,
        tasks: &TaskTracker,
        ending: CancellationToken,
    ) -> Result<Self, ReadError> {
        let runs = |id| sandboxes.of_anybody(id).is_some_and(|found| !doors::is_end(found.state));
        let mut doors = Doors::default();
        let mut stale = Vec::new();
        for (id, secret) in store.preview_secrets().await? {
            if runs(id) {
                doors.keep_secret(id, secret);
            } else {
                stale.push(id);
            }
        }
        for token in store.preview_tokens().await? {
            doors.keep_token(token);
        }
        let listener = events.resubscribe();
        let inner = Arc::new(Inner {
            store,
            clock,
            random,
            sandboxes,
            doors: Mutex::new(doors),
            events: Mutex::new(events),
            closings: watch::Sender::new(0),
        });
        inner.forget(stale).await;
        tasks.spawn(follow(Arc::clone(&inner), listener, ending));
        Ok(Self(inner))
    }

    /// The token that opens a port of a sandbox until it stops: always the same one.
    ///
    /// # Errors
    ///
    /// See [`PreviewError`].
    pub async fn token(
        &self,
        principal: &Principal,
        id_or_name: &str,
        port: NonZeroU16,
    ) -> Result<(Arc<Sandbox>, String), PreviewError> {
        principal.require(Permission::WriteSandboxes)?;
        let sandbox = self.0.sandboxes.find(principal, id_or_name)?;
        let id = sandbox.spec.id;
        self.0.catch_up();
        let fresh = pitlane_store::PreviewSecret(self.0.random.bytes()?);
        let (secret, is_saved) = self.0.doors().secret_or(id, fresh);
        if !is_saved {
            let saved = self.0.store.save_preview_secret(id, secret).await;
            saved.map_err(|cause| PreviewError::Store { id, cause })?;
            self.0.doors().saved_secret(id, secret);
        }
        Ok((sandbox, token::of(secret, id, port)))
    }

    /// Makes a token that opens a port of a sandbox for some seconds.
    ///
    /// # Errors
    ///
    /// See [`PreviewError`].
    pub async fn sign(
        &self,
        principal: &Principal,
        id_or_name: &str,
        port: NonZeroU16,
        seconds: u32,
    ) -> Result<SignedPreview, PreviewError> {
        principal.require(Permission::WriteSandboxes)?;
        if !LIFETIMES.contains(&seconds) {
            return Err(PreviewError::Lifetime);
        }
        let id = self.0.sandboxes.find(principal, id_or_name)?.spec.id;
        let now = self.0.clock.now();
        let text = token::random(&self.0.random)?;
        let hash = token::hash_of(&text);
        let expires_at = now.after(Duration::from_secs(seconds.into()));
        let token = PreviewToken { sandbox: id, hash, port, expires_at };
        self.0.doors().add_token(token.clone(), now, MAX_TOKENS)?;
        if let Err(cause) = self.0.store.insert_preview_token(token, now).await {
            self.0.doors().remove_token(id, port, &hash);
            return Err(PreviewError::Store { id, cause });
        }
        Ok(SignedPreview { token: text, sandbox: id })
    }

    /// Revokes a token that was made for a while. It opens nothing any more when this returns, whatever it returns.
    ///
    /// # Errors
    ///
    /// See [`ExpirePreviewError`].
    pub async fn expire(
        &self,
        principal: &Principal,
        id_or_name: &str,
        port: NonZeroU16,
        text: &str,
    ) -> Result<(), ExpirePreviewError> {
        principal.require(Permission::WriteSandboxes)?;
        let id = self.0.sandboxes.find(principal, id_or_name)?.spec.id;
        let hash = token::hash_of(text);
        if !self.0.doors().remove_token(id, port, &hash) {
            return Err(ExpirePreviewError::NotFound);
        }
        self.0.closed();
        let deleted = self.0.store.delete_preview_token(id, hash).await;
        deleted.map_err(|cause| ExpirePreviewError::Store { id, cause })
    }

    /// Lets a visitor in: anybody to a public sandbox, else whoever shows a key of its organization or a token.
    ///
    /// # Errors
    ///
    /// See [`AdmitError`], which tells whoever has no key nothing about what there is.
    pub fn admit(&self, visit: Visit<'_>) -> Result<Admission, AdmitError> {
        self.0.catch_up();
        let Visit { sandbox: id, port, principal, tokens } = visit;
        let found = self.0.sandboxes.of_anybody(id);
        let admission = |sandbox: &Sandbox, ground| Admission {
            sandbox: id,
            organization: sandbox.spec.organization,
            port,
            ground,
        };
        let Some(sandbox) = found else {
            return Err(principal.map_or(AdmitError::Refused, |_| AdmitError::NotFound { id }));
        };
        if sandbox.spec.is_public {
            return Ok(admission(&sandbox, Ground::Public));
        }
        let own = principal.filter(|who| who.organization == sandbox.spec.organization);
        if own.is_some_and(|who| who.may(Permission::WriteSandboxes)) {
            return Ok(admission(&sandbox, Ground::Key));
        }
        let now = self.0.clock.now();
        let doors = self.0.doors();
        let opened = tokens.iter().find_map(|text| doors.opened_by(id, port, text, now));
        match (opened, principal, own) {
            (Some(ground), _, _) => Ok(admission(&sandbox, ground)),
            (None, None, _) => Err(AdmitError::Refused),
            (None, Some(_), None) => Err(AdmitError::NotFound { id }),
            (None, Some(_), Some(own)) => {
                own.require(Permission::WriteSandboxes)?;
                Err(AdmitError::Refused)
            }
        }
    }

    /// Lets a client into a sandbox's toolbox that shows a token for [`TOOLBOX_PORT`]: browsers can show no key when they
    /// open a WebSocket. A token for another port opens nothing here, and neither does it that a sandbox is public.
    #[must_use]
    pub fn admit_to_toolbox(&self, id: SandboxId, tokens: &[String]) -> Option<Admission> {
        self.0.catch_up();
        let sandbox = self.0.sandboxes.of_anybody(id)?;
        let now = self.0.clock.now();
        let doors = self.0.doors();
        let open = |text: &String| doors.opened_by(id, TOOLBOX_PORT, text, now);
        let ground = tokens.iter().find_map(open)?;
        let organization = sandbox.spec.organization;
        Some(Admission { sandbox: id, organization, port: TOOLBOX_PORT, ground })
    }

    /// Whether a visitor would still be let in on the same ground. A key's time is not looked at here.
    #[must_use]
    pub fn is_open(&self, admission: &Admission) -> bool {
        self.0.catch_up();
        let Some(sandbox) = self.0.sandboxes.of_anybody(admission.sandbox) else { return false };
        match &admission.ground {
            Ground::Public => sandbox.spec.is_public,
            Ground::Key => true,
            Ground::Secret(_) | Ground::Token { .. } => {
                let now = self.0.clock.now();
                self.0.doors().is_open(admission.sandbox, admission.port, &admission.ground, now)
            }
        }
    }

    /// Waits until a visitor would not be let in on the same ground any more. A key's time is not looked at here.
    pub async fn ended(&self, admission: &Admission) {
        let mut closings = self.0.closings.subscribe();
        while self.is_open(admission) {
            tokio::select! {
                _ = closings.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// How much longer the token works with which a visitor came in; `None` if that has no time of its own.
    #[must_use]
    pub fn time_left(&self, admission: &Admission) -> Option<Duration> {
        match &admission.ground {
            Ground::Token { expires_at, .. } => Some(expires_at.since(self.0.clock.now())),
            Ground::Public | Ground::Key | Ground::Secret(_) => None,
        }
    }

    /// Connects a visitor to the sandbox's daemon.
    ///
    /// # Errors
    ///
    /// See [`VisitError`].
    pub async fn connect(
        &self,
        admission: &Admission,
        presence: Presence,
    ) -> Result<Passage, VisitError> {
        let id = admission.sandbox;
        if !self.0.doors().enter(id, MAX_VISITS) {
            return Err(VisitError::Full { id });
        }
        let place = Place { inner: Arc::clone(&self.0), sandbox: id };
        let connection = self.0.sandboxes.connect(admission.organization, id, presence).await?;
        Ok(Passage { place, connection })
    }
}

impl Admission {
    /// The sandbox.
    #[must_use]
    pub const fn sandbox(&self) -> SandboxId {
        self.sandbox
    }

    /// Whose it is.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> NonZeroU16 {
        self.port
    }

    /// Whether anybody would have been let in.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self.ground, Ground::Public)
    }

    /// Whether a key opened it.
    #[must_use]
    pub const fn is_by_key(&self) -> bool {
        matches!(self.ground, Ground::Key)
    }

    /// Whether a token opened it.
    #[must_use]
    pub const fn is_by_token(&self) -> bool {
        matches!(self.ground, Ground::Secret(_) | Ground::Token { .. })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.doors().leave(self.sandbox);
    }
}

impl Inner {
    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) {
        self.closings.send_modify(|count| *count += 1);
    }

    /// Takes note of what has happened to sandboxes: nobody is told or let in by what was true before that.
    fn catch_up(&self) {
        let mut ended = Vec::new();
        {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                match events.try_recv() {
                    Ok(event) => ended.extend(self.doors().note(&event)),
                    Err(TryRecvError::Lagged(_)) => {
                        let found = |id| self.sandboxes.of_anybody(id);
                        let runs = |id| found(id).is_some_and(|is| !doors::is_end(is.state));
                        let known = self.doors().known();
                        let gone = known.into_iter().filter(|id| !runs(*id));
                        ended.extend(gone.inspect(|id| self.doors().lose_secret(*id)));
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
        }
        if !ended.is_empty() {
            self.closed();
        }
    }

    /// Forgets secrets for good.
    async fn forget(&self, of: Vec<SandboxId>) {
        if of.is_empty() {
            return;
        }
        if let Err(error) = self.store.delete_preview_secrets(of).await {
            tracing::warn!(error = %Chain(&error), "secrets of previews not forgotten yet");
        }
    }
}

/// Follows what becomes of sandboxes, so that nothing waits for somebody to ask.
async fn follow(
    inner: Arc<Inner>,
    mut events: broadcast::Receiver<Event>,
    ending: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            () = ending.cancelled() => return,
            event = events.recv() => event,
        };
        inner.catch_up();
        match event {
            // One that has a secret again has written it over the old one.
            Ok(event) => {
                let ended = doors::ended_in(&event).filter(|id| !inner.doors().has_secret(*id));
                inner.forget(ended.into_iter().collect()).await;
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
