//! How many uploads go on at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane_model::OrganizationId;

/// The most of one organization: each may have a chunk in memory.
const MAX_OF_ONE: usize = 16;

/// The most of all of them together.
const MAX_OF_ALL: usize = 64;

/// Counts uploads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(Arc<Mutex<HashMap<OrganizationId, usize>>>);

/// An upload's place, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Admission,
    organization: OrganizationId,
}

impl Admission {
    /// A place, if there is one.
    pub(crate) fn enter(&self, organization: OrganizationId) -> Option<Place> {
        let mut counts = self.counts();
        let all: usize = counts.values().sum();
        let own = counts.get(&organization).copied().unwrap_or(0);
        if own >= MAX_OF_ONE || all >= MAX_OF_ALL {
            return None;
        }
        counts.insert(organization, own.saturating_add(1));
        drop(counts);
        Some(Place { admission: self.clone(), organization })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<OrganizationId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        match counts.get_mut(&self.organization) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => {
                counts.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_does_not_take_the_places_of_others() {
        let admission = Admission::default();
        let organization = |number| OrganizationId::from_random([number; 16]);
        let first: Vec<Place> = std::iter::from_fn(|| admission.enter(organization(1))).collect();
        assert_eq!(first.len(), MAX_OF_ONE);
        let second = admission.enter(organization(2)).unwrap();
        drop(first);
        assert!(admission.enter(organization(1)).is_some());
        drop(second);
        assert!(admission.counts().is_empty());
        let all = (0..255).flat_map(|number| {
            let admission = &admission;
            std::iter::from_fn(move || admission.enter(organization(number)))
        });
        assert_eq!(all.collect::<Vec<_>>().len(), MAX_OF_ALL);
    }
}
