//! The whole of the platform, put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::{Driver, InventoryError};
use pitlane_store::{ReadError, Store, StoredSandbox, WriteError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::images::{self, Images};
use crate::keys::ring::Ring;
use crate::pools;
use crate::registries;
use crate::sandboxes::{Platform, Story, Timers};
use crate::snapshots::Surroundings;
use crate::volumes;
use crate::{
    Clock, Event, ImageBuilder, Keys, Organizations, Policy, Previews, Random, Registries,
    Sandboxes, ServerSecret, SigningKeys, Snapshots, UploadKeys, Volumes, WarmPools,
};

/// How many events a slow listener may be behind before it misses some.
const EVENT_BACKLOG: usize = 4096;

/// How long a driver may take to say what it has.
const INVENTORY_DEADLINE: Duration = Duration::from_secs(60);

/// What the platform is made of.
#[derive(Debug)]
pub struct Parts {
    /// What survives a restart.
    pub store: Store,
    /// What makes sandboxes.
    pub driver: Arc<dyn Driver>,
    /// What builds images.
    pub builder: Arc<dyn ImageBuilder>,
    /// A folder for the logs of builds, made when there is one.
    pub build_logs: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// Where ids and keys come from.
    pub random: Random,
    /// What other secrets are made from: the same one for the whole life of `store`.
    pub secret: ServerSecret,
    /// What the operator decided.
    pub policy: Policy,
}

/// The platform. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: Keys,
    organizations: Organizations,
    registries: Arc<Registries>,
    snapshots: Arc<Snapshots>,
    sandboxes: Arc<Sandboxes>,
    pools: Arc<WarmPools>,
    volumes: Arc<Volumes>,
    previews: Previews,
    signing_keys: SigningKeys,
    upload_keys: UploadKeys,
    policy: Policy,
    events: broadcast::Sender<Event>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// Why the platform did not start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What survived could not be read.
    #[error("cannot read what an earlier server left")]
    Read(#[from] ReadError),
    /// The driver does not say what it has.
    #[error("cannot find out which sandboxes exist")]
    Inventory(#[from] InventoryError),
    /// The driver took too long to say what it has.
    #[error("the driver did not say in time which sandboxes exist")]
    InventoryDeadline,
}

/// What every part stands on.
#[derive(Debug, Clone)]
struct Ground {
    store: Store,
    driver: Arc<dyn Driver>,
    clock: Clock,
    random: Random,
    policy: Policy,
    events: broadcast::Sender<Event>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Ground {
    async fn registries(&self, secret: &ServerSecret) -> Result<Arc<Registries>, ReadError> {
        let Self { store, driver, clock, random, tasks, .. } = self.clone();
        let secret = secret.clone();
        Registries::load(registries::Surroundings { secret, store, driver, clock, random, tasks })
            .await
    }

    fn images(
        &self,
        registries: &Arc<Registries>,
        builder: Arc<dyn ImageBuilder>,
        logs: PathBuf,
    ) -> Arc<Images> {
        let Self { driver, policy: Policy { builds, patience, .. }, tasks, ending, .. } =
            self.clone();
        Images::new(images::Surroundings {
            driver,
            registries: Arc::clone(registries),
            builder,
            builds,
            deadlines: images::Deadlines { pull: patience.pull, build: patience.build },
            logs,
            tasks,
            ending,
        })
    }

    async fn snapshots(&self, images: &Arc<Images>) -> Result<Arc<Snapshots>, ReadError> {
        let Self { store, driver, clock, random, policy: Policy { maximum, .. }, tasks, .. } =
            self.clone();
        let images = Arc::clone(images);
        Snapshots::load(Surroundings { store, driver, images, clock, random, maximum, tasks }).await
    }

    async fn pools(&self, snapshots: &Arc<Snapshots>) -> Result<Arc<WarmPools>, ReadError> {
        let Self { store, driver, clock, random, policy, tasks, ending, .. } = self.clone();
        let snapshots = Arc::clone(snapshots);
        WarmPools::start(pools::Surroundings {
            store,
            driver,
            clock,
            random,
            policy,
            snapshots,
            tasks,
            ending,
        })
        .await
    }

    async fn volumes(&self, rows: &[StoredSandbox]) -> Result<Arc<Volumes>, ControlError> {
        let Self { store, driver, clock, random, events, tasks, ending, .. } = self.clone();
        let around = volumes::Surroundings { store, driver, clock, random, events, tasks, ending };
        Volumes::load(around, rows).await
    }
}

impl Control {
    /// Starts the platform: adopts the sandboxes that run, finishes or undoes what was half-done, and has what nobody
    /// owns destroyed. Does not wait for any single sandbox.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: nothing was started.
    pub async fn start(parts: Parts) -> Result<Self, ControlError> {
        let Parts { store, driver, builder, build_logs, clock, random, secret, policy } = parts;
        let tasks = TaskTracker::new();
        let ending = CancellationToken::new();
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let ring = Arc::new(Ring::new(store.organizations().await?, store.keys().await?));
        let keys = Keys::start(
            Arc::clone(&ring),
            store.clone(),
            clock.clone(),
            random.clone(),
            tasks.clone(),
            ending.clone(),
        );
        let upload_keys = UploadKeys::new(secret.clone(), Arc::clone(&ring), clock.clone());
        let organizations =
            Organizations::new(ring, store.clone(), clock.clone(), random.clone(), tasks.clone());
        let ground = Ground { store, driver, clock, random, policy, events, tasks, ending };
        // Before anything goes on: what resumed builds make belongs to no row, and is not what an earlier server left.
        let existing = tokio::time::timeout(INVENTORY_DEADLINE, ground.driver.inventory())
            .await
            .map_err(|_elapsed| ControlError::InventoryDeadline)??;
        let registries = ground.registries(&secret).await?;
        let images = ground.images(&registries, builder, build_logs);
        let snapshots = ground.snapshots(&images).await?;
        let pools = ground.pools(&snapshots).await?;
        let Ground { store, driver, clock, random, policy, events, tasks, ending } = ground.clone();
        let rows = store.all_sandboxes().await?;
        let volumes = ground.volumes(&rows).await?;
        // Listens before anything can happen.
        let happening = events.subscribe();
        let sources = (clock.clone(), random.clone());
        let platform = Platform {
            store: store.clone(),
            driver,
            images,
            timers: Timers::new(clock.now()),
            story: Story::default(),
            clock,
            random,
            policy: policy.clone(),
            snapshots: Arc::clone(&snapshots),
            pools: Arc::clone(&pools),
            volumes: Arc::clone(&volumes),
            events: events.clone(),
            tasks: tasks.clone(),
            ending: ending.clone(),
        };
        let sandboxes = Arc::new(Sandboxes::take_over(platform, rows, &existing));
        let previews = Previews::start(
            store.clone(),
            sources.clone(),
            Arc::clone(&sandboxes),
            happening,
            &tasks,
            ending.clone(),
        )
        .await?;
        let signing_keys =
            SigningKeys::start((secret, store.clone()), sources, Arc::clone(&sandboxes)).await?;
        Ok(Self(Arc::new(Inner {
            store,
            keys,
            organizations,
            registries,
            snapshots,
            sandboxes,
            pools,
            volumes,
            previews,
            signing_keys,
            upload_keys,
            policy,
            events,
            tasks,
            ending,
        })))
    }

    /// The sandboxes.
    #[must_use]
    pub fn sandboxes(&self) -> &Sandboxes {
        &self.0.sandboxes
    }

    /// Who may reach ports inside sandboxes.
    #[must_use]
    pub fn previews(&self) -> &Previews {
        &self.0.previews
    }

    /// What makes addresses of files that work without an API key.
    #[must_use]
    pub fn signing_keys(&self) -> &SigningKeys {
        &self.0.signing_keys
    }

    /// What lets clients upload build contexts.
    #[must_use]
    pub fn upload_keys(&self) -> &UploadKeys {
        &self.0.upload_keys
    }

    /// Registries that organizations have passwords for.
    #[must_use]
    pub fn registries(&self) -> &Registries {
        &self.0.registries
    }

    /// What sandboxes start from.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.0.snapshots
    }

    /// Sandboxes that wait for whoever creates one.
    #[must_use]
    pub fn warm_pools(&self) -> &Arc<WarmPools> {
        &self.0.pools
    }

    /// Folders that outlive sandboxes.
    #[must_use]
    pub fn volumes(&self) -> &Arc<Volumes> {
        &self.0.volumes
    }

    /// Who may ask.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Whose everything is.
    #[must_use]
    pub fn organizations(&self) -> &Organizations {
        &self.0.organizations
    }

    /// What the operator decided.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Checks that what must survive a restart can be written.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: nothing can be created until an operator has helped.
    pub async fn check(&self) -> Result<(), WriteError> {
        self.0.store.probe().await
    }

    /// What happens from now on. A listener that falls far behind misses the oldest events and is told so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Refuses further changes, waits up to `deadline` for those under way, and closes the store.
    ///
    /// Sandboxes keep running. What is not finished in time is finished by the next start.
    pub async fn shut_down(&self, deadline: Duration) {
        self.0.ending.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(deadline, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(unfinished = self.0.tasks.len(), "left to the next start");
        }
        self.0.sandboxes.flush().await;
        self.0.keys.flush().await;
        self.0.store.clone().close().await;
    }
}
