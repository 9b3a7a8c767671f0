//! Signing keys: what makes addresses of files that work without an API key.
//!
//! A sandbox's signing key is made from the server's own secret, the sandbox's id and, once it was rotated, random
//! bytes of that rotation. So nothing is kept that would have to be hidden but that one secret, which is not in the
//! database. The key is for whoever may write to the sandbox; what it has signed is for whoever was given the address.
//!
//! A signature covers the method, the path as it was written and the time from which on it does nothing. What has begun in
//! time may go on, but rotation ends that, too: see [`SigningKeys::ended`].

mod error;
mod secret;
mod signature;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pitlane_model::{OrganizationId, Permission, SandboxId};
use pitlane_store::{ReadError, SigningSalt, Store};
use tokio::sync::watch;

pub use self::error::{RotateSigningKeyError, SigningKeyError};
pub use self::secret::ServerSecret;
pub use self::signature::{FileAction, FileSignature};
use crate::{Clock, Principal, Random, Sandboxes};

/// What signing keys are made for, so that the server's secret makes nothing twice.
const PURPOSE: &[u8] = b"pitlane file signing key 1";

/// From how many rotated sandboxes on those are looked for that are gone.
const FIRST_SWEEP: usize = 1024;

/// A signing key's text. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(String);

impl SigningKey {
    /// The text itself, for whoever may sign.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The signing keys of all sandboxes.
#[derive(Debug)]
pub struct SigningKeys {
    secret: ServerSecret,
    store: Store,
    clock: Clock,
    random: Random,
    sandboxes: Arc<Sandboxes>,
    rotations: Mutex<Rotations>,
    /// Changes with every rotation.
    turns: watch::Sender<()>,
}

/// The last rotation of each sandbox that had any.
#[derive(Debug, Default)]
struct Rotations {
    salts: HashMap<SandboxId, SigningSalt>,
    next_sweep: usize,
}

/// Somebody who was let in by a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileAdmission {
    sandbox: SandboxId,
    organization: OrganizationId,
    /// How many rotations there had been.
    rotation: u32,
}

impl FileAdmission {
    /// The sandbox.
    #[must_use]
    pub const fn sandbox(&self) -> SandboxId {
        self.sandbox
    }

    /// Whose sandbox it is.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }
}

impl SigningKeys {
    /// Takes over what an earlier server left.
    pub(crate) async fn start(
        (secret, store): (ServerSecret, Store),
        (clock, random): (Clock, Random),
        sandboxes: Arc<Sandboxes>,
    ) -> Result<Self, ReadError> {
        let salts = store.signing_salts().await?.into_iter().collect();
        let rotations = Mutex::new(Rotations { salts, next_sweep: FIRST_SWEEP });
        let turns = watch::Sender::new(());
        Ok(Self { secret, store, clock, random, sandboxes, rotations, turns })
    }

    /// The key that signs addresses of a sandbox's files: the same one until it is rotated.
    ///
    /// # Errors
    ///
    /// See [`SigningKeyError`].
    pub fn key(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<SigningKey, SigningKeyError> {
        principal.require(Permission::WriteSandboxes)?;
        let id = self.sandboxes.find(principal, id_or_name)?.spec.id;
        Ok(self.key_of(id))
    }

    /// Gives a sandbox another key: what the one before has signed lets nobody in any more when this returns, whatever
    /// it returns.
    ///
    /// # Errors
    ///
    /// See [`RotateSigningKeyError`].
    pub async fn rotate(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<SigningKey, RotateSigningKeyError> {
        principal.require(Permission::WriteSandboxes)?;
        let id = self.sandboxes.find(principal, id_or_name)?.spec.id;
        let bytes = self.random.bytes()?;
        let salt = self.rotations().add(id, bytes, |id| self.sandboxes.of_anybody(id).is_some());
        self.turns.send_replace(());
        pitlane_fault::point("rotate.decided");
        let saved = self.store.save_signing_salt(id, salt).await;
        pitlane_fault::point("rotate.row-written");
        saved.map_err(|cause| RotateSigningKeyError::Store { id, cause })?;
        Ok(self.key_from(id, salt))
    }

    /// Lets somebody in who has a signature; `None` tells nothing about what there is, nor does the time it takes.
    #[must_use]
    pub fn admit(
        &self,
        sandbox: SandboxId,
        signature: &FileSignature<'_>,
    ) -> Option<FileAdmission> {
        let salt = self.salt_of(sandbox);
        let is_genuine = signature.is_made_with(self.key_from(sandbox, salt).expose());
        let found = self.sandboxes.of_anybody(sandbox)?;
        let is_in_time = !signature.is_over(self.clock.now());
        let organization = found.spec.organization;
        let rotation = salt.rotation;
        (is_genuine && is_in_time).then_some(FileAdmission { sandbox, organization, rotation })
    }

    /// Waits until the key that let somebody in is rotated.
    pub async fn ended(&self, admission: &FileAdmission) {
        let mut turns = self.turns.subscribe();
        while self.salt_of(admission.sandbox).rotation == admission.rotation {
            // The sender is as old as this.
            if turns.changed().await.is_err() {
                return;
            }
        }
    }

    fn key_of(&self, id: SandboxId) -> SigningKey {
        self.key_from(id, self.salt_of(id))
    }

    fn salt_of(&self, id: SandboxId) -> SigningSalt {
        self.rotations().salts.get(&id).copied().unwrap_or_default()
    }

    /// All that is hashed has one length, so that no key is also that of something longer.
    fn key_from(&self, id: SandboxId, salt: SigningSalt) -> SigningKey {
        let key = self.secret.derive(PURPOSE, &[&id.to_bytes(), &salt.bytes]);
        SigningKey(URL_SAFE_NO_PAD.encode(key))
    }

    fn rotations(&self) -> MutexGuard<'_, Rotations> {
        self.rotations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rotations {
    /// Notes a rotation, and now and then forgets sandboxes that are gone.
    fn add(
        &mut self,
        id: SandboxId,
        bytes: [u8; 32],
        is_there: impl Fn(SandboxId) -> bool,
    ) -> SigningSalt {
        if self.salts.len() >= self.next_sweep {
            self.salts.retain(|id, _| is_there(*id));
            self.next_sweep = (self.salts.len() * 2).max(FIRST_SWEEP);
        }
        let salt = self.salts.entry(id).or_default();
        *salt = SigningSalt { rotation: salt.rotation.saturating_add(1), bytes };
        *salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_counted_and_what_is_gone_is_forgotten() {
        let mut rotations = Rotations { next_sweep: FIRST_SWEEP, ..Rotations::default() };
        let id = |number: u128| SandboxId::from_random(number.to_be_bytes());
        for number in 0..5000 {
            let id = id(number);
            let is_there = |other| other == id;
            assert_eq!(rotations.add(id, [1; 32], is_there).rotation, 1);
            assert_eq!(rotations.add(id, [2; 32], is_there).rotation, 2);
            assert_eq!(rotations.salts[&id].bytes, [2; 32]);
        }
        assert!(rotations.salts.len() <= FIRST_SWEEP);
    }
}
