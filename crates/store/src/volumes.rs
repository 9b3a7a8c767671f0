//! Volumes.

use pitlane_model::{
    MountPath, OrganizationId, Subpath, Timestamp, Volume, VolumeId, VolumeMount, VolumeName,
    VolumeState,
};
use rusqlite::named_params;

use crate::row::{Fields, id, optional_time, rows, text, time, word};
use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

impl Store {
    /// All volumes of all organizations, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn all_volumes(&self) -> Result<Vec<Volume>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT * FROM volumes ORDER BY created_at, id")?;
            rows(&mut select, [], volume)
        })
        .await
    }

    /// Adds a volume or replaces the one of this id; synced.
    ///
    /// # Errors
    ///
    /// [`WriteError::Taken`]: another one of its organization has this name. Otherwise nothing was written either.
    pub async fn save_volume(&self, volume: Volume) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            let mut save = transaction.prepare_cached(
                "INSERT INTO volumes
                    (id, organization, name, state, error_reason, created_at, updated_at, last_used_at)
                 VALUES
                    (:id, :organization, :name, :state, :error_reason, :created_at, :updated_at,
                     :last_used_at)
                 ON CONFLICT (id) DO UPDATE SET
                    state = excluded.state, error_reason = excluded.error_reason,
                    updated_at = excluded.updated_at, last_used_at = excluded.last_used_at",
            )?;
            save.execute(named_params! {
                ":id": volume.id.to_bytes(),
                ":organization": volume.organization.to_bytes(),
                ":name": volume.name.as_str(),
                ":state": volume.state.as_str(),
                ":error_reason": volume.error_reason,
                ":created_at": volume.created_at.as_micros(),
                ":updated_at": volume.updated_at.as_micros(),
                ":last_used_at": volume.last_used_at.map(Timestamp::as_micros),
            })?;
            pitlane_fault::point("store.volume-saved");
            Ok(())
        })
        .await
    }

    /// Forgets volumes altogether; not synced. Forgetting one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: they are still there.
    pub async fn forget_volumes(&self, volumes: Vec<VolumeId>) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM volumes WHERE id = ?")?;
            for volume in volumes {
                delete.execute([volume.to_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    /// Notes when sandboxes were last made with volumes; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: none was noted.
    pub async fn save_volume_uses(
        &self,
        uses: Vec<(VolumeId, Timestamp)>,
    ) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut update =
                transaction.prepare_cached("UPDATE volumes SET last_used_at = ?2 WHERE id = ?1")?;
            for (id, used_at) in uses {
                update.execute((id.to_bytes(), used_at.as_micros()))?;
            }
            Ok(())
        })
        .await
    }
}

fn volume(row: &Fields<'_>) -> Result<Volume, ReadError> {
    let id = VolumeId::from_bytes(id(row, "id")?);
    let name = text(row, "name")?;
    Ok(Volume {
        id,
        organization: OrganizationId::from_bytes(self::id(row, "organization")?),
        name: if name == id.to_string() {
            VolumeName::from(id)
        } else {
            VolumeName::new(name).map_err(ReadError::value("name"))?
        },
        state: word(row, "state", &VolumeState::ALL, VolumeState::as_str)?,
        error_reason: row.get("error_reason")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
    })
}

/// What is mounted in a sandbox.
pub(crate) fn mounts(row: &Fields<'_>) -> Result<Vec<VolumeMount>, ReadError> {
    const COLUMN: &str = "volumes";
    let list: Vec<(String, String, Option<String>)> =
        serde_json::from_str(&text(row, COLUMN)?).map_err(ReadError::value(COLUMN))?;
    list.into_iter()
        .map(|(volume, path, subpath)| {
            Ok(VolumeMount {
                volume: volume.parse().map_err(ReadError::value(COLUMN))?,
                path: MountPath::new(&path).map_err(ReadError::value(COLUMN))?,
                subpath: subpath
                    .map(|path| Subpath::new(&path))
                    .transpose()
                    .map_err(ReadError::value(COLUMN))?,
            })
        })
        .collect()
}

/// The same as text: a JSON list, which texts cannot fail to become.
pub(crate) fn mounts_text(mounts: &[VolumeMount]) -> String {
    let list = mounts.iter().map(|mount| {
        let subpath = mount.subpath.as_ref().map(Subpath::as_str);
        serde_json::json!([mount.volume.to_string(), mount.path.as_str(), subpath])
    });
    serde_json::Value::from_iter(list).to_string()
}

#[cfg(test)]
mod tests {
    use pitlane_model::{KeyId, Organization};

    use super::*;

    fn volume(number: u8, name: &str, state: VolumeState) -> Volume {
        Volume {
            id: VolumeId::from_random([number; 16]),
            organization: OrganizationId::from_random([1; 16]),
            name: VolumeName::new(name).unwrap(),
            state,
            error_reason: Some("why".to_owned()),
            created_at: Timestamp::from_micros(number.into()),
            updated_at: Timestamp::from_micros(7),
            last_used_at: None,
        }
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        let store = Store::open(&folder.path().join("pitlane.db")).unwrap();
        let organization = Organization {
            id: OrganizationId::from_random([1; 16]),
            name: "one".to_owned(),
            created_at: Timestamp::from_micros(0),
        };
        let key = pitlane_model::ApiKey {
            id: KeyId::from_random([1; 16]),
            organization: organization.id,
            name: "key".to_owned(),
            hash: pitlane_model::KeyHash([1; 32]),
            hint: String::new(),
            permissions: Vec::new(),
            created_at: Timestamp::from_micros(0),
            last_used_at: None,
            expires_at: None,
        };
        store.insert_organization(organization, key).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_volume_is_what_was_saved_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let mut first = volume(1, "ünusual \"name\"", VolumeState::PendingCreate);
        let second = Volume {
            name: VolumeId::from_random([2; 16]).into(),
            ..volume(2, "x", VolumeState::Ready)
        };
        store.save_volume(first.clone()).await.unwrap();
        store.save_volume(second.clone()).await.unwrap();
        first.state = VolumeState::Ready;
        first.error_reason = None;
        store.save_volume(first.clone()).await.unwrap();
        let used = Timestamp::from_micros(9);
        store.save_volume_uses(vec![(first.id, used)]).await.unwrap();
        first.last_used_at = Some(used);
        assert_eq!(store.all_volumes().await.unwrap(), [first.clone(), second.clone()]);
        store.forget_volumes(vec![first.id]).await.unwrap();
        assert_eq!(store.all_volumes().await.unwrap(), [second]);
    }

    #[tokio::test]
    async fn the_name_of_a_volume_is_free_when_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let mut first = volume(1, "name", VolumeState::Ready);
        store.save_volume(first.clone()).await.unwrap();
        let second = volume(2, "name", VolumeState::PendingCreate);
        let refused = store.save_volume(second.clone()).await;
        assert!(matches!(refused, Err(WriteError::Taken)), "{refused:?}");
        first.state = VolumeState::Deleted;
        store.save_volume(first).await.unwrap();
        store.save_volume(second).await.unwrap();
    }
}
