//! Warm pools: sandboxes that wait for whoever creates one.
//!
//! What is wanted is a function of the pools' rows and of what their snapshots are by now. A task works it out anew
//! whenever either changes, and tells the driver, which does the rest. A sandbox that waits has no row, no id and no
//! owner; nobody sees it.

mod error;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pitlane_driver::{Claims, Driver, PoolKey, PoolStatus, WantedPool};
use pitlane_model::{
    ImageName, Limits, NetworkPolicy, OrganizationId, Permission, SandboxSpec, Snapshot,
    SnapshotState, WarmPool, WarmPoolId,
};
use pitlane_store::{ReadError, Store, WriteError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::{ChangePoolError, CreatePoolError};
use crate::keys::finished;
use crate::{Clock, Policy, Principal, Random, Snapshots};

/// What a caller wants to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePool {
    /// The snapshot, by id or name.
    pub snapshot: String,
    /// The region; the server's if it is not said.
    pub target: Option<String>,
    /// How many.
    pub size: u32,
}

/// A pool, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolView {
    /// What was asked for.
    pub pool: WarmPool,
    /// How many wait.
    pub ready: u32,
    /// What the snapshot's sandboxes may use; none while there is no such snapshot.
    pub limits: Option<Limits>,
    /// Their user.
    pub user: String,
    /// Why not all of them wait.
    pub error_reason: Option<String>,
}

/// Pools in numbers: the one for everybody, or all others together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolFigures {
    /// How many sandboxes wait.
    pub ready: u64,
    /// How many are to.
    pub wanted: u64,
    /// How many creates found one waiting.
    pub hits: u64,
    /// How many could have, and did not.
    pub misses: u64,
}

/// The warm pools of all organizations.
#[derive(Debug)]
pub struct WarmPools {
    around: Surroundings,
    /// In the order in which they were made.
    pools: RwLock<Vec<WarmPool>>,
    /// Which pools whose creates may take from.
    routes: RwLock<HashMap<OrganizationId, Vec<Route>>>,
    /// What the driver was last told.
    wanted: Mutex<Vec<WantedPool>>,
    /// Whoever changes which pools there are has the turn.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What pools need from around them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) policy: Policy,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// For which creates a pool is.
#[derive(Debug)]
struct Route {
    key: PoolKey,
    image: ImageName,
    disk_gib: u32,
    target: String,
}

impl WarmPools {
    /// How many pools an organization may have.
    pub const MAX_PER_ORGANIZATION: usize = 100;

    /// Takes over the pools of an earlier server, and keeps them in step with their snapshots.
    pub(crate) async fn start(around: Surroundings) -> Result<Arc<Self>, ReadError> {
        let pools = around.store.warm_pools().await?;
        let pools = Arc::new(Self {
            around,
            pools: RwLock::new(pools),
            routes: RwLock::default(),
            wanted: Mutex::default(),
            turn: Arc::default(),
        });
        pools.fall_in_step();
        let task = Arc::clone(&pools);
        pools.around.tasks.spawn(async move { task.stay_in_step().await });
        Ok(pools)
    }

    /// Makes a pool, which is filled at once.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// See [`CreatePoolError`]: none was made.
    pub async fn create(
        self: &Arc<Self>,
        principal: &Principal,
        request: CreatePool,
    ) -> Result<PoolView, CreatePoolError> {
        principal.require(Permission::WriteSandboxes)?;
        let CreatePool { snapshot, target, size } = request;
        if !(1..=WarmPool::MAX_SIZE).contains(&size) {
            return Err(CreatePoolError::Size);
        }
        let found = self.around.snapshots.lookup(principal.organization, &snapshot);
        let found = found.ok_or(CreatePoolError::UnknownSnapshot { name: snapshot })?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let is_own = |pool: &&WarmPool| pool.organization == principal.organization;
        if self.read().iter().filter(is_own).count() >= Self::MAX_PER_ORGANIZATION {
            return Err(CreatePoolError::TooMany);
        }
        self.around.driver.room_to_wait(self.demand(None), size.into()).await?;
        let now = self.around.clock.now();
        let pool = WarmPool {
            id: WarmPoolId::from_random(self.around.random.bytes()?),
            organization: principal.organization,
            snapshot: found.name,
            target: target.unwrap_or_else(|| self.around.policy.target.clone()),
            size,
            created_at: now,
            updated_at: now,
        };
        let (pools, row) = (Arc::clone(self), pool.clone());
        let kept = self.around.tasks.spawn(async move {
            pools.around.store.save_warm_pool(row.clone()).await?;
            pools.write().push(row);
            pools.fall_in_step();
            drop(turn);
            Ok(())
        });
        match finished(kept).await {
            Ok(()) => {}
            Err(WriteError::Taken) => {
                return Err(CreatePoolError::Exists {
                    snapshot: pool.snapshot,
                    target: pool.target,
                });
            }
            Err(cause) => return Err(CreatePoolError::Store { cause }),
        }
        tracing::info!(pool = %pool.id, snapshot = pool.snapshot, size, "made a warm pool");
        Ok(self.view(pool))
    }

    /// The pools of the caller's organization, the oldest first.
    #[must_use]
    pub fn list(&self, principal: &Principal) -> Vec<PoolView> {
        let own: Vec<WarmPool> = self
            .read()
            .iter()
            .filter(|pool| pool.organization == principal.organization)
            .cloned()
            .collect();
        let statuses = self.statuses();
        own.into_iter().map(|pool| self.view_with(pool, &statuses)).collect()
    }

    /// Has another number of sandboxes wait in a pool from now on; 0 keeps the pool and lets none wait.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// See [`ChangePoolError`]: it is as before.
    pub async fn resize(
        self: &Arc<Self>,
        principal: &Principal,
        id: &str,
        size: u32,
    ) -> Result<PoolView, ChangePoolError> {
        principal.require(Permission::WriteSandboxes)?;
        if size > WarmPool::MAX_SIZE {
            return Err(ChangePoolError::Size);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let mut pool = self.own(principal, id)?;
        if size > pool.size {
            let others = self.demand(Some(pool.id)).saturating_add(pool.size.into());
            let more = u64::from(size - pool.size);
            self.around.driver.room_to_wait(others, more).await?;
        }
        pool.size = size;
        pool.updated_at = self.around.clock.now();
        let (pools, row) = (Arc::clone(self), pool.clone());
        let kept = self.around.tasks.spawn(async move {
            pools.around.store.save_warm_pool(row.clone()).await?;
            if let Some(present) = pools.write().iter_mut().find(|pool| pool.id == row.id) {
                *present = row;
            }
            pools.fall_in_step();
            drop(turn);
            Ok(())
        });
        finished(kept).await.map_err(|cause| ChangePoolError::Store { cause })?;
        Ok(self.view(pool))
    }

    /// Removes a pool and frees what waits in it. Sandboxes that came from it stay.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// See [`ChangePoolError`]: it is as before.
    pub async fn delete(
        self: &Arc<Self>,
        principal: &Principal,
        id: &str,
    ) -> Result<(), ChangePoolError> {
        principal.require(Permission::WriteSandboxes)?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let id = self.own(principal, id)?.id;
        let pools = Arc::clone(self);
        let deleted = self.around.tasks.spawn(async move {
            pools.around.store.delete_warm_pool(id).await?;
            pools.write().retain(|pool| pool.id != id);
            pools.fall_in_step();
            drop(turn);
            Ok(())
        });
        finished(deleted).await.map_err(|cause| ChangePoolError::Store { cause })?;
        tracing::info!(pool = %id, "removed a warm pool");
        Ok(())
    }

    /// The pool for everybody, then all others together.
    #[must_use]
    pub fn figures(&self) -> [PoolFigures; 2] {
        let report = self.around.driver.pools();
        let sum = |claims: Claims, is_in: &dyn Fn(&PoolKey) -> bool| {
            let pools = || report.pools.iter().filter(|pool| is_in(&pool.key));
            PoolFigures {
                ready: pools().map(|pool| u64::from(pool.ready)).sum(),
                wanted: pools().map(|pool| u64::from(pool.wanted)).sum(),
                hits: claims.hits,
                misses: claims.misses,
            }
        };
        [
            sum(report.general, &|key| *key == PoolKey::General),
            sum(report.own, &|key| *key != PoolKey::General),
        ]
    }

    /// From which pools a sandbox may come: those of its organization, then the one for everybody.
    pub(crate) fn sources(&self, spec: &SandboxSpec, image: &ImageName) -> Vec<PoolKey> {
        // Those that wait have a network.
        if spec.network != NetworkPolicy::Open {
            return Vec::new();
        }
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let own = routes.get(&spec.organization).map_or(&[][..], Vec::as_slice);
        own.iter()
            .filter(|route| {
                route.image == *image
                    && route.disk_gib == spec.limits.disk_gib()
                    && route.target == spec.target
            })
            .map(|route| route.key)
            .chain([PoolKey::General])
            .collect()
    }

    async fn stay_in_step(&self) {
        loop {
            tokio::select! {
                () = self.around.ending.cancelled() => return,
                () = self.around.snapshots.changed() => self.fall_in_step(),
            }
        }
    }

    /// Works out what is wanted, and tells the driver if that is something else than before.
    fn fall_in_step(&self) {
        // Held to the end: whoever is last tells what is newest.
        let mut told = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let general = self.general().map(|snapshot| {
            let Snapshot { image, limits, .. } = snapshot;
            (PoolKey::General, image, limits, self.around.policy.prepared)
        });
        let mut wanted: Vec<WantedPool> = Vec::new();
        let mut routes: HashMap<OrganizationId, Vec<Route>> = HashMap::new();
        if let Some((key, Some(image), limits, count)) = general {
            wanted.push(WantedPool { key, image, limits, count });
        }
        for pool in self.read().iter() {
            let Ok((image, limits)) = self.source(pool) else { continue };
            let key = PoolKey::Own(pool.id);
            let (disk_gib, target) = (limits.disk_gib(), pool.target.clone());
            let route = Route { key, image: image.clone(), disk_gib, target };
            routes.entry(pool.organization).or_default().push(route);
            wanted.push(WantedPool { key, image, limits, count: pool.size });
        }
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
        if *told != wanted {
            self.around.driver.keep_ready(wanted.clone());
            *told = wanted;
        }
    }

    /// The snapshot of sandboxes that name none, if they can start from it.
    fn general(&self) -> Option<Snapshot> {
        let Surroundings { snapshots, policy, .. } = &self.around;
        snapshots.general(&policy.default_snapshot).filter(|row| row.state == SnapshotState::Active)
    }

    /// What a pool's sandboxes are made of by now, or why they are not.
    fn source(&self, pool: &WarmPool) -> Result<(ImageName, Limits), String> {
        let WarmPool { organization, snapshot: name, .. } = pool;
        let found = self.around.snapshots.lookup(*organization, name);
        match found {
            None => Err(format!("there is no snapshot {name}")),
            Some(Snapshot { state: SnapshotState::Active, image: Some(image), limits, .. }) => {
                Ok((image, limits))
            }
            Some(Snapshot { state, .. }) => Err(format!("snapshot {name} is {}", state.as_str())),
        }
    }

    /// How many are to wait in all pools but this one, those of snapshots that cannot be used just now included.
    fn demand(&self, but: Option<WarmPoolId>) -> u64 {
        let pools = self.read();
        let own = pools.iter().filter(|pool| Some(pool.id) != but).map(|pool| pool.size.into());
        own.fold(u64::from(self.around.policy.prepared), u64::saturating_add)
    }

    fn own(&self, principal: &Principal, id: &str) -> Result<WarmPool, ChangePoolError> {
        let not_found = || ChangePoolError::NotFound { id: id.to_owned() };
        let wanted: WarmPoolId = id.parse().ok().ok_or_else(not_found)?;
        let is_it =
            |pool: &&WarmPool| pool.id == wanted && pool.organization == principal.organization;
        self.read().iter().find(is_it).cloned().ok_or_else(not_found)
    }

    fn view(&self, pool: WarmPool) -> PoolView {
        self.view_with(pool, &self.statuses())
    }

    fn view_with(&self, pool: WarmPool, statuses: &BTreeMap<PoolKey, PoolStatus>) -> PoolView {
        let found = self.around.snapshots.lookup(pool.organization, &pool.snapshot);
        let status = statuses.get(&PoolKey::Own(pool.id));
        let trouble = || status?.trouble.as_ref().map(ToString::to_string);
        PoolView {
            ready: status.map_or(0, |status| status.ready),
            error_reason: self.source(&pool).err().or_else(trouble),
            user: found
                .as_ref()
                .and_then(|row| row.user.clone())
                .unwrap_or_else(|| self.around.policy.default_user.clone()),
            limits: found.map(|row| row.limits),
            pool,
        }
    }

    fn statuses(&self) -> BTreeMap<PoolKey, PoolStatus> {
        let report = self.around.driver.pools();
        report.pools.into_iter().map(|status| (status.key, status)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<WarmPool>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<WarmPool>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }
}
