//! Organizations and their API keys.

use pitlane_model::{ApiKey, KeyHash, KeyId, OrganizationId, Timestamp};
use rusqlite::{Row, Transaction, named_params};

use crate::row::{id, optional_time, permission_words, permissions, rows, text, time};
use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

/// An owner of keys, snapshots and sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

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

    /// Adds an organization and its first key, both or none; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: there is one of this name. Otherwise nothing was written either.
    pub async fn insert_organization(
        &self,
        organization: Organization,
        first_key: ApiKey,
    ) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute(
                "INSERT INTO organizations (id, name, created_at) VALUES (:id, :name, :created_at)",
                named_params! {
                    ":id": organization.id.to_bytes(),
                    ":name": organization.name,
                    ":created_at": organization.created_at.as_micros(),
                },
            )?;
            insert_key(transaction, &first_key)
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
            Ok(())
        })
        .await
    }
}

fn insert_key(transaction: &Transaction<'_>, key: &ApiKey) -> Result<(), WriteError> {
    transaction.execute(
        "INSERT INTO api_keys
            (id, organization, name, hash, hint, permissions, created_at, expires_at)
         VALUES (:id, :organization, :name, :hash, :hint, :permissions, :created_at, :expires_at)",
        named_params! {
            ":id": key.id.to_bytes(),
            ":organization": key.organization.to_bytes(),
            ":name": key.name,
            ":hash": key.hash.0,
            ":hint": key.hint,
            ":permissions": permission_words(&key.permissions),
            ":created_at": key.created_at.as_micros(),
            ":expires_at": key.expires_at.map(Timestamp::as_micros),
        },
    )?;
    Ok(())
}

fn organization(row: &Row<'_>) -> Result<Organization, ReadError> {
    Ok(Organization {
        id: OrganizationId::from_bytes(id(row, "id")?),
        name: text(row, "name")?,
        created_at: time(row, "created_at")?,
    })
}

fn key(row: &Row<'_>) -> Result<ApiKey, ReadError> {
    Ok(ApiKey {
        id: KeyId::from_bytes(id(row, "id")?),
        organization: OrganizationId::from_bytes(id(row, "organization")?),
        name: text(row, "name")?,
        hash: KeyHash(row.get("hash")?),
        hint: text(row, "hint")?,
        permissions: permissions(row)?,
        created_at: time(row, "created_at")?,
        expires_at: optional_time(row, "expires_at")?,
    })
}
