//! Snapshots: those there are, those that are taken of sandboxes, and whether sandboxes may start from them.

use http::Method;
use pitlane_wire::control::{CreateSandboxSnapshot, PaginatedSnapshots, Sandbox, Snapshot};

use crate::request::segment;
use crate::{Client, RequestError};

/// How many come at once.
const PAGE: u32 = 200;

impl Client {
    /// Lists all snapshots that the caller's organization may use, or those that were taken of one sandbox.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn snapshots(&self, of_sandbox: Option<&str>) -> Result<Vec<Snapshot>, RequestError> {
        let source =
            of_sandbox.map_or_else(String::new, |id| format!("&sourceSandboxId={}", segment(id)));
        let mut all = Vec::new();
        for page in 1u32.. {
            let path = format!("/snapshots?limit={PAGE}&page={page}{source}");
            let found: PaginatedSnapshots = self.get(&path).await?;
            let is_last = u64::from(page) >= found.total_pages;
            all.extend(found.items);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Takes a snapshot of a sandbox, by id or name. It may not be taken yet in the answer: then the sandbox is
    /// `snapshotting`.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 400: the name is none, or the sandbox's state does not allow it. With 404: there is
    /// no such sandbox. With 409: there is a snapshot of this name, or the sandbox is being changed. With 507: the
    /// machine's disk is full.
    pub async fn snapshot_sandbox(
        &self,
        sandbox: &str,
        name: &str,
    ) -> Result<Sandbox, RequestError> {
        let wish = CreateSandboxSnapshot { name: name.to_owned(), include_memory: None };
        let path = format!("/sandbox/{}/snapshot", segment(sandbox));
        self.call(Method::POST, &path, Some(&wish)).await
    }

    /// Lets sandboxes start from a snapshot again.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such snapshot. With 400: they may.
    pub async fn activate_snapshot(&self, id_or_name: &str) -> Result<Snapshot, RequestError> {
        let path = format!("/snapshots/{}/activate", segment(id_or_name));
        self.call(Method::POST, &path, None::<&()>).await
    }

    /// Keeps sandboxes from starting from a snapshot.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such snapshot. With 400: they may not.
    pub async fn deactivate_snapshot(&self, id_or_name: &str) -> Result<(), RequestError> {
        self.act(Method::POST, &format!("/snapshots/{}/deactivate", segment(id_or_name))).await
    }
}
