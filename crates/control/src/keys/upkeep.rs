//! What happens to keys without anybody asking: their time ends, when they were used is written down, and the rows of
//! revoked ones go, if they did not at once.

use std::sync::Arc;
use std::time::Duration;

use pitlane_store::Store;
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use crate::{Chain, Clock};

/// How far behind the rows may be, and how late an ending may be noticed after the clock was set.
const PERIOD: Duration = Duration::from_secs(5);

/// Ends what was opened with keys when their time is over, and writes uses down every few seconds, until `ending`.
pub(super) async fn keep(ring: Arc<Ring>, store: Store, clock: Clock, ending: CancellationToken) {
    let mut endings = ring.endings();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        endings.mark_unchanged();
        let next = ring.end_expired(clock.now()).unwrap_or(PERIOD);
        tokio::select! {
            () = ending.cancelled() => return,
            _ = ticks.tick() => flush(&ring, &store).await,
            () = tokio::time::sleep(next) => {}
            // A key came in whose end may be the next.
            Ok(()) = endings.changed() => {}
        }
    }
}

/// Removes rows of revoked keys that could not be removed before, and writes down when keys were last used.
pub(super) async fn flush(ring: &Ring, store: &Store) {
    for id in ring.unforgotten() {
        match store.delete_key(id).await {
            Ok(()) => ring.forgotten(id),
            Err(error) => {
                tracing::warn!(key = %id, error = %Chain(&error), "a revoked key not forgotten yet");
            }
        }
    }
    let uses = ring.unsaved_uses();
    if uses.is_empty() {
        return;
    }
    match store.save_key_uses(uses.clone()).await {
        Ok(()) => ring.saved_uses(&uses),
        Err(error) => tracing::warn!(error = %Chain(&error), "use of keys not kept yet"),
    }
}

#[cfg(test)]
mod tests {
    use pitlane_model::{ApiKey, KeyHash, KeyId, Organization, OrganizationId, Timestamp};

    use super::*;

    #[tokio::test]
    async fn a_revoked_key_whose_row_is_left_is_forgotten_later() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("pitlane.db")).unwrap();
        let created_at = Timestamp::from_micros(1);
        let organization = Organization {
            id: OrganizationId::from_random([1; 16]),
            name: "default".to_owned(),
            created_at,
        };
        let key = ApiKey {
            id: KeyId::from_random([1; 16]),
            organization: organization.id,
            name: "gone".to_owned(),
            hash: KeyHash([1; 32]),
            hint: String::new(),
            permissions: Vec::new(),
            created_at,
            expires_at: None,
            last_used_at: None,
        };
        store.insert_organization(organization.clone(), key.clone()).await.unwrap();
        let ring = Ring::new(vec![organization.clone()], vec![key.clone()]);
        // As when the database takes no writes just then: the row stays.
        assert_eq!(ring.expel(organization.id, "gone"), Some(key.id));
        assert_eq!(ring.expel(organization.id, "gone"), Some(key.id));
        assert_eq!(store.keys().await.unwrap(), vec![key]);

        flush(&ring, &store).await;

        assert_eq!(store.keys().await.unwrap(), Vec::new());
        assert_eq!(ring.expel(organization.id, "gone"), None);
    }
}
