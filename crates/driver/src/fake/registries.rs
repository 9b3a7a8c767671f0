//! Registries that a fake driver pretends to ask: those that want a password, and what they gave for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use pitlane_model::{ImageOwner, ImageReference, RegistryLogin};

use super::images::Images;
use crate::{PrepareImageError, PreparedImage};

#[derive(Default)]
pub(super) struct Registries {
    guarded: BTreeMap<String, RegistryLogin>,
    owned: BTreeMap<(ImageOwner, String), PreparedImage>,
}

impl Registries {
    pub(super) fn guard(&mut self, login: RegistryLogin) {
        self.guarded.insert(login.registry.clone(), login);
    }

    pub(super) fn is_guarded(&self, reference: &ImageReference) -> bool {
        reference.in_full().registry().is_some_and(|registry| self.guarded.contains_key(registry))
    }

    pub(super) fn find(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        self.owned.get(&(owner, reference.in_full().to_string())).cloned()
    }

    /// Pretends to pull for a password; `None` if it is another one.
    pub(super) fn pull(
        &mut self,
        images: &mut Images,
        owner: ImageOwner,
        login: &RegistryLogin,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        let wanted = self.guarded.get(&login.registry)?;
        if (&wanted.user, &wanted.password) != (&login.user, &login.password) {
            return None;
        }
        let prepared = images.prepare_unnamed(reference)?;
        self.owned.insert((owner, reference.in_full().to_string()), prepared.clone());
        Some(prepared)
    }
}

/// Only what is public, and encrypted.
pub(super) fn admits(registry: &str, is_encrypted: bool) -> Result<(), String> {
    let host = registry.split(':').next().unwrap_or(registry);
    let is_private = host == "localhost"
        || host.parse().is_ok_and(|it: Ipv4Addr| it.is_private() || it.is_loopback());
    match (is_private, is_encrypted) {
        (true, _) => Err("its address is not public, and the operator has not allowed it".into()),
        (false, false) => Err("it would be asked without encryption".into()),
        (false, true) => Ok(()),
    }
}

pub(super) fn refused(reference: &ImageReference) -> PrepareImageError {
    let reason = format!("its registry lets nobody without other credentials read {reference}");
    PrepareImageError::Refused { image: reference.to_string(), reason }
}
