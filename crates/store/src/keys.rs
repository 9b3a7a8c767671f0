//! Organizations and their API keys.

use pitlane_model::{ApiKey, KeyHash, KeyId, Organization, OrganizationId, Timestamp};
use rusqlite::{Transaction, named_params};

use crate::row::{Fields, id, optional_time, permission_words, permissions, rows, text, time};
use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

impl Store {
    /// All organizations, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn organizations(&self) -> Result<Vec<Organization>, ReadError> {
        self.read(|transaction| {
            let mut select = transaction
                .prepare_cached("SELECT * FROM organizations ORDER BY created_at, id")?;
            rows(&mut select, [], organization)
        })
        .await
    }

    /// Adds an organization, with its first key if one is given: both or none; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: there is one of this name. Otherwise nothing was written either.
    pub async fn insert_organization(
        &self,
        organization: Organization,
        first_key: impl Into<Option<ApiKey>>,
    ) -> Result<(), WriteError> {
        let first_key = first_key.into();
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute(
                "INSERT INTO organizations (id, name, created_at) VALUES (:id, :name, :created_at)",
                named_params! {
                    ":id": organization.id.to_bytes(),
                    ":name": organization.name,
                    ":created_at": organization.created_at.as_micros(),
                },
            )?;
            pitlane_fault::point("store.organization-inserted");
            first_key.map_or(Ok(()), |key| insert_key(transaction, &key))
        })
        .await
    }

    /// Removes an organization that owns nothing but keys and passwords of registries, and those with it; synced. Removing one that does not
    /// exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError::InUse`]: it still has sandboxes or snapshots. Otherwise nothing was removed either.
    pub async fn delete_organization(&self, id: OrganizationId) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute("DELETE FROM api_keys WHERE organization = ?", [id.to_bytes()])?;
            transaction
                .execute("DELETE FROM registries WHERE organization = ?", [id.to_bytes()])?;
            let deleted = "DELETE FROM volumes WHERE organization = ? AND state = 'deleted'";
            transaction.execute(deleted, [id.to_bytes()])?;
            transaction.execute("DELETE FROM organizations WHERE id = ?", [id.to_bytes()])?;
            Ok(())
        })
        .await
    }

    /// All keys of all organizations.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM api_keys ORDER BY created_at, id")?;
            rows(&mut select, [], key)
        })
        .await
    }

    /// Adds a key; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: its organization has a key of this name. Otherwise nothing was written either.
    pub async fn insert_key(&self, key: ApiKey) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| insert_key(transaction, &key)).await
    }

    /// Removes a key; synced. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_key(&self, id: KeyId) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute("DELETE FROM api_keys WHERE id = ?", [id.to_bytes()])?;
            pitlane_fault::point("store.key-deleted");
            Ok(())
        })
        .await
    }

    /// Notes when keys were last shown, all in one transaction; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: none was noted.
    pub async fn save_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| save_uses(transaction, uses)).await
    }
}

fn save_uses(
    transaction: &Transaction<'_>,
    uses: Vec<(KeyId, Timestamp)>,
) -> Result<(), WriteError> {
    let mut update = transaction.prepare_cached(
        "UPDATE api_keys SET last_used_at = ?2
         WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)",
    )?;
    for (id, at) in uses {
        update.execute((id.to_bytes(), at.as_micros()))?;
    }
    pitlane_fault::point("store.key-uses-saved");
    Ok(())
}

fn insert_key(transaction: &Transaction<'_>, key: &ApiKey) -> Result<(), WriteError> {
    transaction.execute(
        "INSERT INTO api_keys
            (id, organization, name, hash, hint, permissions, created_at, expires_at, last_used_at)
         VALUES (:id, :organization, :name, :hash, :hint, :permissions, :created_at, :expires_at,
                 :last_used_at)",
        named_params! {
            ":id": key.id.to_bytes(),
            ":organization": key.organization.to_bytes(),
            ":name": key.name,
            ":hash": key.hash.0,
            ":hint": key.hint,
            ":permissions": permission_words(&key.permissions),
            ":created_at": key.created_at.as_micros(),
            ":expires_at": key.expires_at.map(Timestamp::as_micros),
            ":last_used_at": key.last_used_at.map(Timestamp::as_micros),
        },
    )?;
    pitlane_fault::point("store.key-inserted");
    Ok(())
}

fn organization(row: &Fields<'_>) -> Result<Organization, ReadError> {
    Ok(Organization {
        id: OrganizationId::from_bytes(id(row, "id")?),
        name: text(row, "name")?,
        created_at: time(row, "created_at")?,
    })
}

fn key(row: &Fields<'_>) -> Result<ApiKey, ReadError> {
    Ok(ApiKey {
        id: KeyId::from_bytes(id(row, "id")?),
        organization: OrganizationId::from_bytes(id(row, "organization")?),
        name: text(row, "name")?,
        hash: KeyHash(row.get("hash")?),
        hint: text(row, "hint")?,
        permissions: permissions(row)?,
        created_at: time(row, "created_at")?,
        expires_at: optional_time(row, "expires_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
    })
}
