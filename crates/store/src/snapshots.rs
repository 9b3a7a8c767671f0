//! Snapshots.

use pitlane_model::{
    ImageName, OrganizationId, SandboxId, Snapshot, SnapshotId, SnapshotState, Timestamp,
};
use rusqlite::named_params;

use crate::row::{
    Fields, SNAPSHOT_STATES, build, build_text, id, image, json_list, limits, optional_time, rows,
    text, text_list, time, word,
};
use crate::store::Survives;
use crate::{
    ReadError, SnapshotFilter, SnapshotSlice, SnapshotSort, SnapshotSortField, SortDirection,
    Store, WriteError,
};

impl Store {
    /// All snapshots of all organizations.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn all_snapshots(&self) -> Result<Vec<Snapshot>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM snapshots ORDER BY created_at, id")?;
            rows(&mut select, [], snapshot)
        })
        .await
    }

    /// A page of the snapshots that `organization` may use: its own and those for everybody.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn snapshots(
        &self,
        organization: OrganizationId,
        filter: SnapshotFilter,
        order: SnapshotSort,
        skip: u64,
        limit: u32,
    ) -> Result<SnapshotSlice, ReadError> {
        const WHERE: &str = "(organization IS NULL OR organization = :organization)
            AND (:part IS NULL OR instr(lower(name), lower(:part)) > 0)
            AND (:source IS NULL OR source_sandbox = :source)";
        let field = match order.field {
            SnapshotSortField::Name => "name",
            SnapshotSortField::State => "state",
            SnapshotSortField::LastUsedAt => "coalesce(last_used_at, -1)",
            SnapshotSortField::CreatedAt => "created_at",
        };
        let direction = match order.direction {
            SortDirection::Ascending => "ASC",
            SortDirection::Descending => "DESC",
        };
        self.read(move |transaction| {
            let part = filter.name_part.filter(|part| !part.is_empty());
            let organization = organization.to_bytes();
            let source = filter.source_sandbox.map(SandboxId::to_bytes);
            let total = transaction.query_row(
                &format!("SELECT count(*) FROM snapshots WHERE {WHERE}"),
                named_params! { ":organization": organization, ":part": part, ":source": source },
                |row| row.get::<_, i64>(0),
            )?;
            let mut select = transaction.prepare_cached(&format!(
                "SELECT * FROM snapshots WHERE {WHERE}
                 ORDER BY {field} {direction}, id {direction} LIMIT :limit OFFSET :skip"
            ))?;
            let parameters = named_params! {
                ":organization": organization,
                ":part": part,
                ":source": source,
                ":limit": limit,
                ":skip": i64::try_from(skip).unwrap_or(i64::MAX),
            };
            let items = rows(&mut select, parameters, snapshot)?;
            Ok(SnapshotSlice { items, total: total.unsigned_abs() })
        })
        .await
    }

    /// Adds a snapshot or replaces the one of this id; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: another one has this name. Otherwise nothing was written either.
    pub async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut save = transaction.prepare_cached(
                "INSERT INTO snapshots
                    (id, organization, name, reference, source_sandbox, build, image, entrypoint, user, state, cpu_count, memory_gib, disk_gib,
                     process_count, size_bytes, error_reason, created_at, updated_at, last_used_at)
                 VALUES
                    (:id, :organization, :name, :reference, :source_sandbox, :build, :image, :entrypoint, :user, :state, :cpu_count, :memory_gib, :disk_gib,
                     :process_count, :size_bytes, :error_reason, :created_at, :updated_at,
                     :last_used_at)
                 ON CONFLICT (id) DO UPDATE SET
                    name = excluded.name, reference = excluded.reference, build = excluded.build,
                    image = excluded.image, entrypoint = excluded.entrypoint,
                    user = excluded.user, state = excluded.state,
                    cpu_count = excluded.cpu_count, memory_gib = excluded.memory_gib,
                    disk_gib = excluded.disk_gib, process_count = excluded.process_count,
                    size_bytes = excluded.size_bytes, error_reason = excluded.error_reason,
                    updated_at = excluded.updated_at, last_used_at = excluded.last_used_at",
            )?;
            save.execute(named_params! {
                ":id": snapshot.id.to_bytes(),
                ":organization": snapshot.organization.map(OrganizationId::to_bytes),
                ":name": snapshot.name,
                ":reference": snapshot.reference.to_string(),
                ":source_sandbox": snapshot.source_sandbox.map(SandboxId::to_bytes),
                ":build": build_text(snapshot.build.as_deref()),
                // Empty for one that has not been here.
                ":image": snapshot.image.as_ref().map_or("", ImageName::as_str),
                ":entrypoint": json_list(&snapshot.entrypoint),
                ":user": snapshot.user,
                ":state": snapshot.state.as_str(),
                ":cpu_count": snapshot.limits.cpu_count(),
                ":memory_gib": snapshot.limits.memory_gib(),
                ":disk_gib": snapshot.limits.disk_gib(),
                ":process_count": snapshot.limits.process_count(),
                ":size_bytes": snapshot.size_bytes.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
                ":error_reason": snapshot.error_reason,
                ":created_at": snapshot.created_at.as_micros(),
                ":updated_at": snapshot.updated_at.as_micros(),
                ":last_used_at": snapshot.last_used_at.map(Timestamp::as_micros),
            })?;
            Ok(())
        })
        .await
    }

    /// Removes a snapshot; synced. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_snapshot(&self, id: SnapshotId) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM snapshots WHERE id = ?")?;
            delete.execute([id.to_bytes()])?;
            Ok(())
        })
        .await
    }

    /// Notes when sandboxes last started from snapshots; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: none was noted.
    pub async fn save_snapshot_uses(
        &self,
        uses: Vec<(SnapshotId, Timestamp)>,
    ) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut update = transaction
                .prepare_cached("UPDATE snapshots SET last_used_at = ?2 WHERE id = ?1")?;
            for (id, used_at) in uses {
                update.execute((id.to_bytes(), used_at.as_micros()))?;
            }
            Ok(())
        })
        .await
    }
}

fn snapshot(row: &Fields<'_>) -> Result<Snapshot, ReadError> {
    Ok(Snapshot {
        id: SnapshotId::from_bytes(id(row, "id")?),
        organization: row.get::<Option<[u8; 16]>>("organization")?.map(OrganizationId::from_bytes),
        name: text(row, "name")?,
        reference: text(row, "reference")?.parse().map_err(ReadError::value("reference"))?,
        source_sandbox: row.get::<Option<[u8; 16]>>("source_sandbox")?.map(SandboxId::from_bytes),
        build: build(row)?,
        image: image(row)?,
        entrypoint: text_list(row, "entrypoint")?,
        user: row.get("user")?,
        state: word(row, "state", &SNAPSHOT_STATES, SnapshotState::as_str)?,
        limits: limits(row)?,
        size_bytes: row.get::<Option<i64>>("size_bytes")?.map(i64::unsigned_abs),
        error_reason: row.get("error_reason")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
    })
}
