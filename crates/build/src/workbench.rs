//! A build sandbox: made for a step, used for as long as that is worth it, destroyed whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use pitlane_driver::{CreateError, Driver, LaunchSpec};
use pitlane_model::{ImageName, Limits, NetworkPolicy, SandboxId};
use tokio_util::task::TaskTracker;

use crate::conversation::Daemon;

/// Root, by number: an image need not have a list of users.
const ROOT: &str = "0";
/// How often its destruction is tried.
const ATTEMPTS: u32 = 5;

/// A sandbox whose files are those of an image, until a step changes them.
#[derive(Debug)]
pub(crate) struct Workbench {
    driver: Arc<dyn Driver>,
    tasks: TaskTracker,
    id: SandboxId,
    /// The image that its files are.
    pub(crate) image: ImageName,
    /// How large that was when the sandbox was made.
    pub(crate) size_bytes: u64,
    pub(crate) has_network: bool,
}

/// What a build sandbox is like.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) image: ImageName,
    pub(crate) size_bytes: u64,
    pub(crate) limits: Limits,
    pub(crate) has_network: bool,
}

impl Workbench {
    /// Makes one. Dropping the future leaves none.
    pub(crate) async fn make(
        driver: &Arc<dyn Driver>,
        tasks: &TaskTracker,
        wanted: Wanted,
    ) -> Result<Self, CreateError> {
        let id = random_id();
        let Wanted { image, size_bytes, limits, has_network } = wanted;
        let spec = LaunchSpec {
            id,
            image: image.clone(),
            limits,
            network: if has_network { NetworkPolicy::Open } else { NetworkPolicy::Blocked },
            user: ROOT.to_owned(),
            environment: BTreeMap::new(),
            entrypoint: Vec::new(),
            pools: Vec::new(),
            volumes: Vec::new(),
        };
        // From here on it is destroyed when it is dropped.
        let (driver, own_tasks) = (Arc::clone(driver), tasks.clone());
        let made = Self { driver, tasks: own_tasks, id, image, size_bytes, has_network };
        // In a task of its own: if the build is given up meanwhile, it is destroyed when it is there, not before.
        let making = tasks.spawn(async move { made.driver.create(&spec).await.map(|_hello| made) });
        making.await.unwrap_or_else(|cause| Err(CreateError::Host { id, cause: cause.into() }))
    }

    pub(crate) const fn id(&self) -> SandboxId {
        self.id
    }

    pub(crate) fn daemon(&self) -> Daemon<'_> {
        Daemon { driver: &*self.driver, id: self.id }
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        let (driver, id) = (Arc::clone(&self.driver), self.id);
        let destroyed = async move {
            for _ in 0..ATTEMPTS {
                match driver.destroy(id).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(sandbox = %id, %error, "cannot destroy a build sandbox");
                    }
                }
            }
        };
        // Without a runtime the server is ending; the next one destroys what nobody owns.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.spawn_on(destroyed, &runtime);
        }
    }
}

fn random_id() -> SandboxId {
    let mut bytes = [0; 16];
    // The kernel's source does not fail once the machine has started.
    getrandom::fill(&mut bytes).ok();
    SandboxId::from_random(bytes)
}
