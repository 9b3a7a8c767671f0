//! The pools of a machine on which sandboxes wait as soon as they are wanted.

use std::collections::BTreeMap;

use crate::{
    Claims, LaunchSpec, NoRoomError, PoolKey, PoolReport, PoolStatus, PoolTrouble, WantedPool,
};

/// How many sandboxes wait, and how many came from there.
#[derive(Debug, Default)]
pub(super) struct Pools {
    wanted: BTreeMap<PoolKey, WantedPool>,
    /// How many may wait in all; any number if it is not said.
    pub(super) most: Option<u64>,
    general: Claims,
    own: Claims,
}

impl Pools {
    pub(super) fn room(&self, others: u64, more: u64) -> Result<(), NoRoomError> {
        let left = self.most.unwrap_or(u64::MAX).saturating_sub(others);
        if more > left { Err(NoRoomError::Count { more, left }) } else { Ok(()) }
    }

    pub(super) fn keep(&mut self, wanted: Vec<WantedPool>) {
        self.wanted = wanted.into_iter().map(|pool| (pool.key, pool)).collect();
    }

    /// Counts where a sandbox came from.
    pub(super) fn claim(&mut self, spec: &LaunchSpec) {
        let report = self.report();
        for key in &spec.pools {
            let is_alike = self.wanted.get(key).is_some_and(|pool| {
                pool.count > 0
                    && pool.image == spec.image
                    && pool.limits.disk_gib() == spec.limits.disk_gib()
            });
            if !is_alike {
                continue;
            }
            let is_ready = report.pools.iter().any(|status| status.key == *key && status.ready > 0);
            let claims = match key {
                PoolKey::General => &mut self.general,
                PoolKey::Own(_) => &mut self.own,
            };
            if is_ready {
                claims.hits += 1;
                return;
            }
            claims.misses += 1;
        }
    }

    pub(super) fn report(&self) -> PoolReport {
        let wanted: u64 = self.wanted.values().map(|pool| u64::from(pool.count)).sum();
        let trouble = self.room(0, wanted).err();
        let mut left = self.most.unwrap_or(u64::MAX);
        let status = |pool: &WantedPool| {
            let ready = u32::try_from(left.min(pool.count.into())).unwrap_or(0);
            left -= u64::from(ready);
            PoolStatus {
                key: pool.key,
                wanted: pool.count,
                ready,
                trouble: trouble.filter(|_| ready < pool.count).map(PoolTrouble::Room),
            }
        };
        PoolReport {
            pools: self.wanted.values().map(status).collect(),
            general: self.general,
            own: self.own,
        }
    }
}
