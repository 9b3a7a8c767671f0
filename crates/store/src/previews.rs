//! What previews are opened with: a secret for each sandbox, and tokens for one port and for a while.
//!
//! All of it goes with the sandbox's row.

use std::fmt;
use std::num::NonZeroU16;

use pitlane_model::{SandboxId, Timestamp};
use rusqlite::named_params;

use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

/// What the tokens of a sandbox's previews are made with. Never printed by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PreviewSecret(pub [u8; 32]);

impl fmt::Debug for PreviewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreviewSecret(…)")
    }
}

/// A token for one port of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewToken {
    /// Whose port it opens.
    pub sandbox: SandboxId,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Which port it opens.
    pub port: NonZeroU16,
    /// From when on it opens nothing.
    pub expires_at: Timestamp,
}

impl Store {
    /// The secrets of all sandboxes that have one.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn preview_secrets(&self) -> Result<Vec<(SandboxId, PreviewSecret)>, ReadError> {
        self.read(|transaction| {
            let mut select =
                transaction.prepare_cached("SELECT sandbox, secret FROM preview_secrets")?;
            let found = select.query_map([], |row| {
                Ok((SandboxId::from_bytes(row.get(0)?), PreviewSecret(row.get(1)?)))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Gives a sandbox a secret in place of the one it had; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it has the one it had.
    pub async fn save_preview_secret(
        &self,
        sandbox: SandboxId,
        secret: PreviewSecret,
    ) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            transaction.execute(
                "INSERT INTO preview_secrets (sandbox, secret) VALUES (?1, ?2)
                 ON CONFLICT (sandbox) DO UPDATE SET secret = ?2",
                (sandbox.to_bytes(), secret.0),
            )?;
            pitlane_fault::point("store.preview-secret-saved");
            Ok(())
        })
        .await
    }

    /// Takes secrets away, all in one transaction; not synced. Taking one away that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: they are still there.
    pub async fn delete_preview_secrets(&self, of: Vec<SandboxId>) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut delete =
                transaction.prepare_cached("DELETE FROM preview_secrets WHERE sandbox = ?")?;
            for sandbox in of {
                delete.execute([sandbox.to_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    /// All tokens of all sandboxes.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn preview_tokens(&self) -> Result<Vec<PreviewToken>, ReadError> {
        self.read(|transaction| {
            let mut select = transaction
                .prepare_cached("SELECT sandbox, hash, port, expires_at FROM preview_tokens")?;
            let found = select.query_map([], |row| {
                Ok(PreviewToken {
                    sandbox: SandboxId::from_bytes(row.get(0)?),
                    hash: row.get(1)?,
                    port: row.get(2)?,
                    expires_at: Timestamp::from_micros(row.get(3)?),
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Adds a token, and forgets those of its sandbox whose time was over at `now`; not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it was not added.
    pub async fn insert_preview_token(
        &self,
        token: PreviewToken,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            transaction.execute(
                "DELETE FROM preview_tokens WHERE sandbox = ? AND expires_at <= ?",
                (token.sandbox.to_bytes(), now.as_micros()),
            )?;
            transaction.execute(
                "INSERT INTO preview_tokens (sandbox, hash, port, expires_at)
                 VALUES (:sandbox, :hash, :port, :expires_at)",
                named_params! {
                    ":sandbox": token.sandbox.to_bytes(),
                    ":hash": token.hash,
                    ":port": token.port.get(),
                    ":expires_at": token.expires_at.as_micros(),
                },
            )?;
            pitlane_fault::point("store.preview-token-inserted");
            Ok(())
        })
        .await
    }

    /// Removes a token; synced, so that no power cut brings it back. Removing one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: it is still there.
    pub async fn delete_preview_token(
        &self,
        sandbox: SandboxId,
        hash: [u8; 32],
    ) -> Result<(), WriteError> {
        self.write(Survives::PowerCut, move |transaction| {
            transaction.execute(
                "DELETE FROM preview_tokens WHERE sandbox = ? AND hash = ?",
                (sandbox.to_bytes(), hash),
            )?;
            pitlane_fault::point("store.preview-token-deleted");
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_sandbox_that_is_not_there_has_no_previews() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("pitlane.db")).unwrap();
        let sandbox = SandboxId::from_random([7; 16]);
        assert!(store.save_preview_secret(sandbox, PreviewSecret([1; 32])).await.is_err());
        let token = PreviewToken {
            sandbox,
            hash: [2; 32],
            port: NonZeroU16::MIN,
            expires_at: Timestamp::from_micros(9),
        };
        assert!(store.insert_preview_token(token, Timestamp::from_micros(1)).await.is_err());
        store.delete_preview_token(sandbox, [2; 32]).await.unwrap();
        store.delete_preview_secrets(vec![sandbox]).await.unwrap();
        assert_eq!(store.preview_tokens().await.unwrap(), []);
        assert_eq!(store.preview_secrets().await.unwrap(), []);
    }
}
