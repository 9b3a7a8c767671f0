//! Warm pools, as their organizations asked for them.

use pitlane_model::{OrganizationId, WarmPool, WarmPoolId};
use rusqlite::named_params;

use crate::row::{Fields, id, rows, text, time};
use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

impl Store {
    /// All pools of all organizations, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn warm_pools(&self) -> Result<Vec<WarmPool>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM warm_pools ORDER BY created_at, id")?;
            rows(&mut select, [], warm_pool)
        })
        .await
    }

    /// Adds a pool or replaces the one of this id; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: its organization has one of this snapshot and region already. Otherwise nothing was
    /// written either.
    pub async fn save_warm_pool(&self, pool: WarmPool) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut save = transaction.prepare_cached(
                "INSERT INTO warm_pools
                    (id, organization, snapshot, target, size, created_at, updated_at)
                 VALUES (:id, :organization, :snapshot, :target, :size, :created_at, :updated_at)
                 ON CONFLICT (id) DO UPDATE SET
                    size = excluded.size, updated_at = excluded.updated_at",
            )?;
            save.execute(named_params! {
                ":id": pool.id.to_bytes(),
                ":organization": pool.organization.to_bytes(),
                ":snapshot": pool.snapshot,
                ":target": pool.target,
                ":size": pool.size,
                ":created_at": pool.created_at.as_micros(),
                ":updated_at": pool.updated_at.as_micros(),
            })?;
            Ok(())
        })
        .await
    }

    /// Removes a pool; synced. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_warm_pool(&self, id: WarmPoolId) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM warm_pools WHERE id = ?")?;
            delete.execute([id.to_bytes()])?;
            Ok(())
        })
        .await
    }
}

fn warm_pool(row: &Fields<'_>) -> Result<WarmPool, ReadError> {
    Ok(WarmPool {
        id: WarmPoolId::from_bytes(id(row, "id")?),
        organization: OrganizationId::from_bytes(id(row, "organization")?),
        snapshot: text(row, "snapshot")?,
        target: text(row, "target")?,
        size: row.get("size")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
