//! Sandboxes.

mod list;

use pitlane_model::{
    DesiredState, Environment, ImageName, Lifecycle, OrganizationId, Sandbox, SandboxId,
    SandboxName, SandboxSpec, SandboxState, Timestamp,
};
use rusqlite::{Transaction, named_params};

use crate::row::{
    DESIRED, Fields, NETWORKS, SANDBOX_STATES, build, build_text, id, image, json, json_list,
    limits, network_word, rows, text, text_list, texts, time, word,
};
use crate::store::Survives;
use crate::volumes::{mounts, mounts_text};
use crate::{ReadError, Store, WriteError};

/// A sandbox's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSandbox {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The image its disk lies over: another one would break it, whatever its snapshot becomes. None while its image is
    /// not here.
    pub image: Option<ImageName>,
    /// The program, with its arguments, that runs in it beside everything else; empty for none.
    pub entrypoint: Vec<String>,
    /// Whether its caller was told of it before it was ready.
    pub is_told: bool,
    /// Grows with every change, so that a write that comes too late changes nothing.
    pub revision: u64,
}

impl Store {
    /// All sandboxes of all organizations, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn all_sandboxes(&self) -> Result<Vec<StoredSandbox>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM sandboxes ORDER BY created_at, id")?;
            rows(&mut select, [], |row| {
                let revision: i64 = row.get("revision")?;
                Ok(StoredSandbox {
                    sandbox: sandbox(row)?,
                    image: image(row)?,
                    entrypoint: text_list(row, "entrypoint")?,
                    is_told: row.get("is_told")?,
                    revision: revision.unsigned_abs(),
                })
            })
        })
        .await
    }

    /// Adds a sandbox; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: its organization has a sandbox of this name. Otherwise nothing was written either.
    pub async fn insert_sandbox(&self, row: StoredSandbox) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| insert(transaction, &row)).await
    }

    /// Writes down what may change of a sandbox; not synced.
    ///
    /// Changes nothing when the row is gone or already has this revision or a later one.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: nothing was written.
    pub async fn update_sandbox(&self, row: StoredSandbox) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| update(transaction, &row)).await
    }

    /// Removes a sandbox; not synced. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_sandbox(&self, id: SandboxId) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM sandboxes WHERE id = ?")?;
            delete.execute([id.to_bytes()])?;
            pitlane_fault::point("store.sandbox-deleted");
            Ok(())
        })
        .await
    }

    /// Notes when sandboxes were last used, all in one transaction; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: none was noted.
    pub async fn save_activity(
        &self,
        activity: Vec<(SandboxId, Timestamp)>,
    ) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut update = transaction.prepare_cached(
                "UPDATE sandboxes SET last_activity_at = ?2 WHERE id = ?1 AND last_activity_at < ?2",
            )?;
            for (id, at) in activity {
                update.execute((id.to_bytes(), at.as_micros()))?;
            }
            pitlane_fault::point("store.activity-saved");
            Ok(())
        })
        .await
    }
}

fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn insert(transaction: &Transaction<'_>, row: &StoredSandbox) -> Result<(), WriteError> {
    let StoredSandbox { sandbox, image, entrypoint, is_told, revision } = row;
    let spec = &sandbox.spec;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO sandboxes
            (id, organization, name, snapshot, image, user, environment, labels, cpu_count,
             memory_gib, disk_gib, process_count, auto_stop, auto_archive, auto_delete, ttl,
             network, is_public, target, state, desired, error_reason, daemon_version, created_at,
             updated_at, last_activity_at, entrypoint, build, is_told, volumes, revision)
         VALUES
            (:id, :organization, :name, :snapshot, :image, :user, :environment, :labels, :cpu_count,
             :memory_gib, :disk_gib, :process_count, :auto_stop, :auto_archive, :auto_delete, :ttl,
             :network, :is_public, :target, :state, :desired, :error_reason, :daemon_version,
             :created_at, :updated_at, :last_activity_at, :entrypoint, :build, :is_told, :volumes, :revision)",
    )?;
    insert.execute(named_params! {
        ":id": spec.id.to_bytes(),
        ":organization": spec.organization.to_bytes(),
        ":name": spec.name.as_str(),
        ":snapshot": spec.snapshot,
        // Empty for one that has not been here.
        ":image": image.as_ref().map_or("", ImageName::as_str),
        ":user": spec.user,
        ":environment": json(spec.environment.variables()),
        ":labels": json(&spec.labels),
        ":cpu_count": spec.limits.cpu_count(),
        ":memory_gib": spec.limits.memory_gib(),
        ":disk_gib": spec.limits.disk_gib(),
        ":process_count": spec.limits.process_count(),
        ":auto_stop": spec.lifecycle.auto_stop,
        ":auto_archive": spec.lifecycle.auto_archive,
        ":auto_delete": spec.lifecycle.auto_delete,
        ":ttl": spec.lifecycle.ttl,
        ":network": network_word(spec.network),
        ":is_public": spec.is_public,
        ":target": spec.target,
        ":state": sandbox.state.as_str(),
        ":desired": sandbox.desired.as_str(),
        ":error_reason": sandbox.error_reason,
        ":daemon_version": sandbox.daemon_version,
        ":created_at": sandbox.created_at.as_micros(),
        ":updated_at": sandbox.updated_at.as_micros(),
        ":last_activity_at": sandbox.last_activity_at.as_micros(),
        ":entrypoint": json_list(entrypoint),
        ":build": build_text(spec.build.as_deref()),
        ":is_told": is_told,
        ":volumes": mounts_text(&spec.volumes),
        ":revision": number(*revision),
    })?;
    pitlane_fault::point("store.sandbox-inserted");
    Ok(())
}

/// Id, organization and the like never change. The image, and what it says, comes once.
fn update(transaction: &Transaction<'_>, row: &StoredSandbox) -> Result<(), WriteError> {
    let StoredSandbox { sandbox, image, entrypoint, is_told: _, revision } = row;
    let spec = &sandbox.spec;
    let mut update = transaction.prepare_cached(
        "UPDATE sandboxes SET
            name = :name, image = :image, user = :user, entrypoint = :entrypoint, labels = :labels, cpu_count = :cpu_count, memory_gib = :memory_gib,
            disk_gib = :disk_gib, process_count = :process_count, auto_stop = :auto_stop, auto_archive = :auto_archive,
            auto_delete = :auto_delete, ttl = :ttl, network = :network, is_public = :is_public,
            state = :state, desired = :desired, error_reason = :error_reason,
            daemon_version = :daemon_version, updated_at = :updated_at,
            last_activity_at = max(last_activity_at, :last_activity_at), revision = :revision
         WHERE id = :id AND revision < :revision",
    )?;
    update.execute(named_params! {
        ":id": spec.id.to_bytes(),
        ":name": spec.name.as_str(),
        ":image": image.as_ref().map_or("", ImageName::as_str),
        ":user": spec.user,
        ":entrypoint": json_list(entrypoint),
        ":labels": json(&spec.labels),
        ":cpu_count": spec.limits.cpu_count(),
        ":memory_gib": spec.limits.memory_gib(),
        ":disk_gib": spec.limits.disk_gib(),
        ":process_count": spec.limits.process_count(),
        ":auto_stop": spec.lifecycle.auto_stop,
        ":auto_archive": spec.lifecycle.auto_archive,
        ":auto_delete": spec.lifecycle.auto_delete,
        ":ttl": spec.lifecycle.ttl,
        ":network": network_word(spec.network),
        ":is_public": spec.is_public,
        ":state": sandbox.state.as_str(),
        ":desired": sandbox.desired.as_str(),
        ":error_reason": sandbox.error_reason,
        ":daemon_version": sandbox.daemon_version,
        ":updated_at": sandbox.updated_at.as_micros(),
        ":last_activity_at": sandbox.last_activity_at.as_micros(),
        ":revision": number(*revision),
    })?;
    pitlane_fault::point("store.sandbox-updated");
    Ok(())
}

fn sandbox(row: &Fields<'_>) -> Result<Sandbox, ReadError> {
    let spec = SandboxSpec {
        id: SandboxId::from_bytes(id(row, "id")?),
        organization: OrganizationId::from_bytes(id(row, "organization")?),
        name: SandboxName::new(text(row, "name")?).map_err(ReadError::value("name"))?,
        snapshot: text(row, "snapshot")?,
        build: build(row)?,
        user: text(row, "user")?,
        environment: Environment::new(texts(row, "environment")?)
            .map_err(ReadError::value("environment"))?,
        labels: texts(row, "labels")?,
        limits: limits(row)?,
        lifecycle: Lifecycle {
            auto_stop: row.get("auto_stop")?,
            auto_archive: row.get("auto_archive")?,
            auto_delete: row.get("auto_delete")?,
            ttl: row.get("ttl")?,
        },
        network: word(row, "network", &NETWORKS, network_word)?,
        is_public: row.get("is_public")?,
        volumes: mounts(row)?,
        target: text(row, "target")?,
    };
    Ok(Sandbox {
        spec,
        state: word(row, "state", &SANDBOX_STATES, SandboxState::as_str)?,
        desired: word(row, "desired", &DESIRED, DesiredState::as_str)?,
        error_reason: row.get("error_reason")?,
        daemon_version: row.get("daemon_version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        last_activity_at: time(row, "last_activity_at")?,
    })
}

#[cfg(test)]
mod tests;
