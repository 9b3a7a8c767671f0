//! Registries of images that organizations have passwords for. The passwords are encrypted above.

use pitlane_model::{OrganizationId, RegistryId, StoredRegistry};
use rusqlite::named_params;

use crate::row::{Fields, id, rows, text, time};
use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

impl Store {
    /// All registries of all organizations, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn registries(&self) -> Result<Vec<StoredRegistry>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM registries ORDER BY created_at, id")?;
            rows(&mut select, [], registry)
        })
        .await
    }

    /// Adds a registry or replaces the one of this id; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: another one of its organization has this name. Otherwise nothing was written either.
    pub async fn save_registry(&self, registry: StoredRegistry) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut save = transaction.prepare_cached(
                "INSERT INTO registries
                    (id, organization, name, url, host, user, project, sealed, created_at, updated_at)
                 VALUES
                    (:id, :organization, :name, :url, :host, :user, :project, :sealed, :created_at,
                     :updated_at)
                 ON CONFLICT (id) DO UPDATE SET
                    name = excluded.name, url = excluded.url, host = excluded.host,
                    user = excluded.user, project = excluded.project, sealed = excluded.sealed,
                    updated_at = excluded.updated_at",
            )?;
            save.execute(named_params! {
                ":id": registry.id.to_bytes(),
                ":organization": registry.organization.to_bytes(),
                ":name": registry.name,
                ":url": registry.url,
                ":host": registry.host,
                ":user": registry.user,
                ":project": registry.project,
                ":sealed": registry.sealed,
                ":created_at": registry.created_at.as_micros(),
                ":updated_at": registry.updated_at.as_micros(),
            })?;
            pitlane_fault::point("store.registry-saved");
            Ok(())
        })
        .await
    }

    /// Removes a registry; synced. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_registry(&self, id: RegistryId) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute("DELETE FROM registries WHERE id = ?", [id.to_bytes()])?;
            pitlane_fault::point("store.registry-deleted");
            Ok(())
        })
        .await
    }
}

fn registry(row: &Fields<'_>) -> Result<StoredRegistry, ReadError> {
    Ok(StoredRegistry {
        id: RegistryId::from_bytes(id(row, "id")?),
        organization: OrganizationId::from_bytes(id(row, "organization")?),
        name: text(row, "name")?,
        url: text(row, "url")?,
        host: text(row, "host")?,
        user: text(row, "user")?,
        project: text(row, "project")?,
        sealed: row.get("sealed")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
