//! With what the signing keys of files were made anew. It goes with the sandbox's row.

use pitlane_model::SandboxId;

use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

/// What one rotation of a sandbox's signing key was made with. Not a secret: it makes no key by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SigningSalt {
    /// How many rotations there were, this one among them.
    pub rotation: u32,
    /// Random bytes.
    pub bytes: [u8; 32],
}

impl Store {
    /// The last rotations of all sandboxes that had any.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn signing_salts(&self) -> Result<Vec<(SandboxId, SigningSalt)>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT sandbox, rotation, salt FROM signing_salts")?;
            let found = select.query_map([], |row| {
                let salt = SigningSalt { rotation: row.get(1)?, bytes: row.get(2)? };
                Ok((SandboxId::from_bytes(row.get(0)?), salt))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Notes a rotation; synced, so that no power cut brings the earlier key back. Changes nothing if a later one was
    /// noted already, or the sandbox has no row any more.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: the earlier one is still there.
    pub async fn save_signing_salt(
        &self,
        sandbox: SandboxId,
        salt: SigningSalt,
    ) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute(
                "INSERT INTO signing_salts (sandbox, rotation, salt)
                 SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM sandboxes WHERE id = ?1)
                 ON CONFLICT (sandbox) DO UPDATE SET rotation = ?2, salt = ?3 WHERE rotation < ?2",
                (sandbox.to_bytes(), salt.rotation, salt.bytes),
            )?;
            pitlane_fault::point("store.signing-salt-saved");
            Ok(())
        })
        .await
    }
}
