//! Sandboxes: made, found, listed, started, stopped, connected to, deleted.
//!
//! Every sandbox is in memory, so that nothing but the order of lists is read from the database. What a caller may ask next is decided at
//! once, by the state machine in `model`; the work itself is done by the sandbox's [`owner`], one piece after another,
//! and goes on when the caller goes away.

mod activity;
mod behind;
mod busy;
mod census;
mod directory;
mod entry;
mod error;
mod flush;
mod list;
mod owner;
mod request;
mod resize;
mod restart;
mod snapshot;
mod story;
mod timers;
mod update;

use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::{Connection, Driver, Existing};
use pitlane_model::{
    Actor, Build, DesiredState, ImageName, ImageReference, Limits, OrganizationId, Permission,
    Sandbox, SandboxId, SandboxName, SandboxSpec, SandboxState, Snapshot, SnapshotId,
    SnapshotState, Transition, TransitionError,
};
use pitlane_store::{Store, StoredSandbox};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::activity::Activity;
use self::behind::Behind;
use self::directory::Directory;
use self::entry::{Change, Entry, Reply};
pub use self::error::{
    BuildLogError, ChangeError, ConnectError, CreateError, DeleteError, FindError, ListError,
    ResizeError, SnapshotSandboxError, UpdateError,
};
use self::owner::Owner;
pub use self::request::{CreateSandbox, ListSandboxes, PageSandboxes, RequestedLimits, Source};
pub use self::snapshot::SnapshotSandbox;
use self::story::Because;
pub(crate) use self::story::Story;
pub use self::story::StoryError;
pub(crate) use self::timers::Timers;
pub use self::update::Update;
use crate::images::{self, Awaited, BuildLog, Images, Need, Wanted};
use crate::{Clock, Event, Policy, Principal, Random, Snapshots, Volumes, WarmPools};

/// How long a start may take before it is answered with what the sandbox is by then.
pub const ANSWER_AFTER: Duration = Duration::from_secs(30);

/// Where the outcome of a change comes.
type Answer = oneshot::Receiver<Result<Arc<Sandbox>, ChangeError>>;

/// What sandboxes need from around them.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) images: Arc<Images>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) policy: Policy,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) pools: Arc<WarmPools>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) timers: Timers,
    pub(crate) story: Story,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// What a sandbox starts from, in what a sandbox needs to know of it.
#[derive(Debug)]
struct Origin {
    about: About,
    image: OriginImage,
}

/// Its image.
#[derive(Debug)]
enum OriginImage {
    Here(ImageName),
    Awaited { awaited: Box<Awaited>, need: Option<Need> },
}

/// What is known of it.
#[derive(Debug, Clone)]
struct About {
    /// The snapshot, unless it is an image alone.
    snapshot: Option<SnapshotId>,
    name: String,
    build: Option<Arc<Build>>,
    entrypoint: Vec<String>,
    user: Option<String>,
    limits: Limits,
}

impl About {
    /// An image alone.
    fn of(reference: &ImageReference, build: Option<Arc<Build>>) -> Self {
        Self {
            snapshot: None,
            name: reference.to_string(),
            build,
            entrypoint: Vec::new(),
            user: None,
            limits: Limits::DEFAULT,
        }
    }
}

/// Whether whoever connects to a sandbox counts as using it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is not idle meanwhile.
    Noticed,
    /// It may be idle all the same.
    Unnoticed,
}

/// The sandboxes of all organizations.
#[derive(Debug)]
pub struct Sandboxes {
    owner: Owner,
}

impl Sandboxes {
    /// Takes over what an earlier server left, and starts what goes on by itself.
    pub(crate) fn take_over(
        platform: Platform,
        rows: Vec<StoredSandbox>,
        existing: &[Existing],
    ) -> Self {
        let owner = Owner {
            platform: Arc::new(platform),
            directory: Arc::new(Directory::new()),
            behind: Behind::default(),
        };
        restart::reconcile(&owner, rows, existing);
        owner.platform.tasks.spawn(owner::watch_reports(owner.clone()));
        owner.platform.tasks.spawn(flush::keep_flushing(owner.clone()));
        owner.platform.tasks.spawn(story::keep_writing(owner.clone()));
        owner.platform.tasks.spawn(timers::act_on_deadlines(owner.clone()));
        Self { owner }
    }

    /// Creates a sandbox and returns when it is usable; or at once, if its image has to be built or pulled first.
    ///
    /// Then it is `pending_build` or `pulling_snapshot` in the answer, and becomes usable by itself. Dropping the future
    /// does not undo it: it becomes usable all the same, and can be found by its name.
    ///
    /// # Errors
    ///
    /// See [`CreateError`]: nothing is left, unless a variant says so.
    pub async fn create(
        &self,
        principal: &Principal,
        request: CreateSandbox,
    ) -> Result<Arc<Sandbox>, CreateError> {
        principal.require(Permission::WriteSandboxes)?;
        self.refuse_when_ending(CreateError::ShuttingDown)?;
        let origin = self.origin(principal.organization, &request).await?;
        let (image, awaited, need, state) = match origin.image {
            OriginImage::Here(image) => (Some(image), None, None, SandboxState::Creating),
            OriginImage::Awaited { awaited, need } => {
                let state = match origin.about.build {
                    Some(_) => SandboxState::PendingBuild,
                    None => SandboxState::PullingSnapshot,
                };
                (None, Some(*awaited), need, state)
            }
        };
        let About { snapshot, entrypoint, .. } = origin.about.clone();
        let volumes = request.volumes.clone();
        let mut spec = self.specify(principal.organization, request, origin.about)?;
        if image.is_some() && spec.user.is_empty() {
            spec.user.clone_from(&self.platform().policy.default_user);
        }
        // From here on it has them until it is withdrawn or goes.
        spec.volumes = self.platform().volumes.claim(principal.organization, spec.id, &volumes)?;
        let id = spec.id;
        let now = self.platform().clock.now();
        if let Some(snapshot) = snapshot {
            self.platform().snapshots.used(snapshot, now);
        }
        let row = StoredSandbox {
            sandbox: Sandbox {
                spec,
                state,
                desired: DesiredState::Started,
                error_reason: None,
                daemon_version: None,
                created_at: now,
                updated_at: now,
                last_activity_at: now,
            },
            image,
            entrypoint,
            is_told: awaited.is_some(),
            revision: 0,
        };
        let entry = Arc::new(Entry::new(row, &self.platform().clock));
        entry.desk().need = need;
        let (reply, answer) = oneshot::channel();
        if let Err(name) = self.owner.admit(&entry, awaited, reply) {
            self.platform().volumes.release(id);
            return Err(CreateError::NameTaken { name });
        }
        answer.await.unwrap_or(Err(CreateError::ShuttingDown))
    }

    /// What was written while the image of a sandbox was built, or is being written.
    ///
    /// # Errors
    ///
    /// See [`BuildLogError`].
    pub fn build_log(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<BuildLog, BuildLogError> {
        let sandbox = self.find(principal, id_or_name)?;
        let spec = &sandbox.spec;
        match spec.snapshot.parse() {
            Ok(reference) if spec.build.is_some() => {
                Ok(self.platform().images.log(spec.organization, &reference))
            }
            _ => Err(BuildLogError::NotBuilt { id: spec.id }),
        }
    }

    /// Finds a sandbox of the caller's organization by id, else by name.
    ///
    /// # Errors
    ///
    /// [`FindError::NotFound`]: there is none, or none any more.
    pub fn find(&self, principal: &Principal, id_or_name: &str) -> Result<Arc<Sandbox>, FindError> {
        self.entry(principal, id_or_name).map(|entry| entry.view())
    }

    /// Starts a stopped or archived sandbox on the disk it had. Starting a started one succeeds.
    ///
    /// Returns when it is usable, or after [`ANSWER_AFTER`] with what it is then. Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn start(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let entry = self.changeable(principal, id_or_name)?;
        let claimed = self.claim(&entry, Transition::Start, |reply| Change::Start { reply });
        match claimed {
            Err(TransitionError::Illegal { from: SandboxState::Started, .. }) => {
                entry.used.touch();
                Ok(entry.view())
            }
            claimed => outcome(&entry, claimed?).await,
        }
    }

    /// Ends every process of a sandbox and returns when it is stopped; an ephemeral one is then destroyed.
    ///
    /// `force` skips the while that processes get to end by themselves. Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn stop(
        &self,
        principal: &Principal,
        id_or_name: &str,
        force: bool,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let entry = self.changeable(principal, id_or_name)?;
        let answer = self.claim(&entry, Transition::Stop, |reply| Change::Stop { force, reply })?;
        answer.await.unwrap_or(Err(ChangeError::ShuttingDown))
    }

    /// Has the disk of a stopped sandbox packed away, which is then still under way.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn archive(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let entry = self.changeable(principal, id_or_name)?;
        if entry.view().spec.lifecycle.is_ephemeral() {
            return Err(ChangeError::Ephemeral);
        }
        // It takes longer than anybody should wait for an answer.
        drop(self.claim(&entry, Transition::Archive, |reply| Change::Archive { reply })?);
        Ok(entry.view())
    }

    /// Mends a sandbox that failed, and starts it if `is_to_run`: one that was never made is made.
    ///
    /// Returns when it is usable, or after [`ANSWER_AFTER`] with what it is then. Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Unrecoverable`]: delete it. Otherwise see the variants.
    pub async fn recover(
        &self,
        principal: &Principal,
        id_or_name: &str,
        is_to_run: bool,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let entry = self.changeable(principal, id_or_name)?;
        let sandbox = entry.view();
        if sandbox.state == SandboxState::Error && !sandbox.is_recoverable() {
            let reason = sandbox.error_reason.clone().unwrap_or_default();
            return Err(ChangeError::Unrecoverable { id: entry.id, reason });
        }
        let answer =
            self.claim(&entry, Transition::Recover, |reply| Change::Recover { is_to_run, reply })?;
        outcome(&entry, answer).await
    }

    /// Has a sandbox destroyed with everything it holds.
    ///
    /// Returns when it can no longer be used, its name is free and its row says so; what it holds is freed
    /// afterwards, also if this server ends before. Deleting one that is on its way out succeeds.
    ///
    /// # Errors
    ///
    /// See [`DeleteError`].
    pub async fn delete(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Arc<Sandbox>, DeleteError> {
        principal.require(Permission::DeleteSandboxes)?;
        let entry = self.entry(principal, id_or_name)?;
        self.refuse_when_ending(DeleteError::ShuttingDown)?;
        entry.desk().because = Because::of(Actor::Caller);
        match self.owner.condemn(&entry) {
            Some((sandbox, saved)) => {
                let saved = saved.await.unwrap_or(Err(pitlane_store::WriteError::Closed));
                saved.map_err(|cause| DeleteError::Store { id: sandbox.spec.id, cause })?;
                Ok(sandbox)
            }
            None => Ok(entry.view()),
        }
    }

    /// Opens a byte stream to the daemon of an organization's sandbox. If it is noticed, the sandbox is in use for as
    /// long as the stream is open.
    ///
    /// Touches no database and waits for nothing but the driver.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotRunning`]: start it first. Otherwise see the variants.
    pub async fn connect(
        &self,
        organization: OrganizationId,
        id: SandboxId,
        presence: Presence,
    ) -> Result<Connection, ConnectError> {
        let entry = self.owned(organization, id)?;
        match presence {
            Presence::Noticed => {
                // Counted before its state is asked for: the timer that stops it looks the other way round.
                let activity = Activity::begin(&entry.used);
                Ok(activity.over(self.open(&entry).await?))
            }
            Presence::Unnoticed => self.open(&entry).await,
        }
    }

    fn owned(
        &self,
        organization: OrganizationId,
        id: SandboxId,
    ) -> Result<Arc<Entry>, ConnectError> {
        self.owner.directory.by_id(organization, id).ok_or(ConnectError::NotFound { id })
    }

    async fn open(&self, entry: &Arc<Entry>) -> Result<Connection, ConnectError> {
        let id = entry.id;
        let refusal = {
            let desk = entry.desk();
            let sandbox = desk.sandbox();
            let state = sandbox.state;
            (!sandbox.is_usable()).then_some(ConnectError::NotRunning { id, state })
        };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        match self.platform().driver.connect(id).await {
            Ok(connection) => Ok(connection),
            Err(pitlane_driver::ConnectError::NotRunning { .. }) => {
                self.owner.suspect_exit(entry, None);
                Err(ConnectError::NotRunning { id, state: SandboxState::Stopped })
            }
            Err(pitlane_driver::ConnectError::Host { cause, .. }) => {
                Err(ConnectError::Host { id, cause })
            }
        }
    }

    /// Notes that a caller uses a sandbox.
    ///
    /// # Errors
    ///
    /// [`FindError::NotFound`]: there is none.
    pub fn touch(&self, principal: &Principal, id_or_name: &str) -> Result<(), FindError> {
        self.entry(principal, id_or_name)?.used.touch();
        Ok(())
    }

    /// The sandbox of this id, whoever owns it, unless it is on its way out.
    pub(crate) fn of_anybody(&self, id: SandboxId) -> Option<Arc<Sandbox>> {
        use SandboxState as S;
        let found = self.owner.directory.any(id)?.view();
        (!matches!(found.state, S::Destroying | S::Destroyed)).then_some(found)
    }

    /// Writes down what is only in memory so far.
    pub(crate) async fn flush(&self) {
        flush::flush(&self.owner).await;
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.owner.platform
    }

    fn entry(&self, principal: &Principal, id_or_name: &str) -> Result<Arc<Entry>, FindError> {
        self.owner
            .directory
            .find(principal.organization, id_or_name)
            .ok_or_else(|| FindError::NotFound { id_or_name: id_or_name.to_owned() })
    }

    /// The sandbox, if the caller may change it and there is still time.
    fn changeable(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Arc<Entry>, ChangeError> {
        principal.require(Permission::WriteSandboxes)?;
        let entry = self.entry(principal, id_or_name)?;
        self.refuse_when_ending(ChangeError::ShuttingDown)?;
        Ok(entry)
    }

    /// Decides a change, and answers where its outcome will come.
    fn claim(
        &self,
        entry: &Arc<Entry>,
        transition: Transition,
        change: impl FnOnce(Reply<ChangeError>) -> Change,
    ) -> Result<Answer, TransitionError> {
        let (reply, answer) = oneshot::channel();
        self.owner.claim(entry, transition, || change(reply))?;
        Ok(answer)
    }

    fn refuse_when_ending<E>(&self, error: E) -> Result<(), E> {
        if self.platform().ending.is_cancelled() { Err(error) } else { Ok(()) }
    }

    /// What a sandbox starts from.
    async fn origin(
        &self,
        organization: OrganizationId,
        request: &CreateSandbox,
    ) -> Result<Origin, CreateError> {
        let Platform { policy, snapshots, .. } = self.platform();
        let wanted = match &request.source {
            Source::Image(reference) => return self.origin_of_image(organization, reference).await,
            Source::Build(build) => return self.origin_of_build(organization, build).await,
            Source::Snapshot(_) if request.limits != RequestedLimits::default() => {
                return Err(CreateError::LimitsWithSnapshot);
            }
            Source::Snapshot(wanted) => wanted,
            Source::DefaultSnapshot => &policy.default_snapshot,
        };
        let found = snapshots
            .lookup(organization, wanted)
            .ok_or_else(|| CreateError::UnknownSnapshot { name: wanted.to_owned() })?;
        let Snapshot { id, name, state, image, entrypoint, user, limits, .. } = found;
        match (state, image) {
            (SnapshotState::Active, Some(image)) => Ok(Origin {
                about: About { snapshot: Some(id), name, build: None, entrypoint, user, limits },
                image: OriginImage::Here(image),
            }),
            _ => Err(CreateError::SnapshotNotActive { name, state }),
        }
    }

    /// An image by its name: from this machine, else pulled.
    async fn origin_of_image(
        &self,
        organization: OrganizationId,
        reference: &ImageReference,
    ) -> Result<Origin, CreateError> {
        let Platform { images, .. } = self.platform();
        let mut about = About::of(reference, None);
        if reference.is_own() {
            // Such a name would show what others have built.
            let reason = format!("image {reference} is unknown");
            return Err(CreateError::Image { reason });
        }
        if let Some(found) = images.find(organization, reference).await {
            about.entrypoint = found.config.program();
            about.user = found.config.user;
            return Ok(Origin { about, image: OriginImage::Here(found.image) });
        }
        if !reference.is_exact() {
            let reason = format!("image {reference} needs a tag other than latest, or a digest");
            return Err(CreateError::Image { reason });
        }
        let wanted = Wanted { organization, reference: reference.clone(), build: None };
        let awaited = Box::new(images.want(wanted)?);
        Ok(Origin { about, image: OriginImage::Awaited { awaited, need: None } })
    }

    /// An image that is built.
    async fn origin_of_build(
        &self,
        organization: OrganizationId,
        build: &Build,
    ) -> Result<Origin, CreateError> {
        let images = Arc::clone(&self.platform().images);
        let refused = |reason| CreateError::Image { reason };
        images.builder().check(organization, build).await.map_err(refused)?;
        let reference = images::name_of_build(organization, build)
            .map_err(|error| refused(error.to_string()))?;
        let build = Arc::new(build.clone());
        let about = About::of(&reference, Some(Arc::clone(&build)));
        let need = Some(images.need(reference.clone()));
        let wanted = Wanted { organization, reference, build: Some(build) };
        let awaited = Box::new(images.want(wanted)?);
        Ok(Origin { about, image: OriginImage::Awaited { awaited, need } })
    }

    /// Completes a request: nothing is defaulted below this.
    fn specify(
        &self,
        organization: OrganizationId,
        request: CreateSandbox,
        origin: About,
    ) -> Result<SandboxSpec, CreateError> {
        let Platform { policy, random, .. } = self.platform();
        let limits = Limits::new(
            request.limits.cpu_count.unwrap_or(origin.limits.cpu_count()),
            request.limits.memory_gib.unwrap_or(origin.limits.memory_gib()),
            request.limits.disk_gib.unwrap_or(origin.limits.disk_gib()),
            origin.limits.process_count(),
        )?;
        limits.check_within(policy.maximum)?;
        let id = SandboxId::from_random(random.bytes()?);
        let name = match request.name {
            Some(name) => name,
            None => SandboxName::from(id),
        };
        Ok(SandboxSpec {
            id,
            organization,
            name,
            snapshot: origin.name,
            build: origin.build,
            user: request.user.or(origin.user).unwrap_or_default(),
            environment: request.environment,
            labels: request.labels,
            limits,
            lifecycle: request.lifecycle,
            network: request.network,
            is_public: request.is_public,
            volumes: Vec::new(),
            target: request.target.unwrap_or_else(|| policy.target.clone()),
        })
    }
}

/// Waits for the outcome of a change, but not longer than an HTTP client does.
async fn outcome(entry: &Entry, answer: Answer) -> Result<Arc<Sandbox>, ChangeError> {
    match tokio::time::timeout(ANSWER_AFTER, answer).await {
        Ok(answer) => answer.unwrap_or(Err(ChangeError::ShuttingDown)),
        Err(_elapsed) => Ok(entry.view()),
    }
}
