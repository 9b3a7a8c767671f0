//! Sandboxes of a server.

use http::Method;
use pitlane_wire::control::{CreateSandbox, Sandbox, SandboxListItem, SandboxPage};

use crate::request::segment;
use crate::{Client, RequestError};

/// Which sandboxes to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListSandboxes {
    /// Only those with all of these labels.
    pub labels: Vec<(String, String)>,
    /// Only those in one of these states; in any if empty.
    pub states: Vec<String>,
}

/// A page as large as servers give.
const PAGE: u32 = 100;

impl Client {
    /// Creates a sandbox and returns when it can be used, or in the state the server left it in.
    ///
    /// Dropping the future does not undo what the server has begun.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: there may be a sandbox unless it is [`RequestError::Refused`] or
    /// [`RequestError::Unreachable`].
    pub async fn create_sandbox(&self, wish: &CreateSandbox) -> Result<Sandbox, RequestError> {
        self.call(Method::POST, "/sandbox", Some(wish)).await
    }

    /// Finds a sandbox by id or name.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.get(&format!("/sandbox/{}", segment(id_or_name))).await
    }

    /// Lists sandboxes, all pages of them.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the list is not complete.
    pub async fn sandboxes(
        &self,
        which: &ListSandboxes,
    ) -> Result<Vec<SandboxListItem>, RequestError> {
        let mut query = format!("?limit={PAGE}");
        if !which.labels.is_empty() {
            let labels: serde_json::Map<_, _> = which
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            let labels = serde_json::Value::Object(labels).to_string();
            query.push_str(&format!("&labels={}", segment(&labels)));
        }
        for state in &which.states {
            query.push_str(&format!("&states={}", segment(state)));
        }
        let mut sandboxes = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: SandboxPage = self.get(&format!("/sandbox{query}{cursor}")).await?;
            // A server that gives cursors without sandboxes would keep us for ever.
            let is_last = page.items.is_empty();
            sandboxes.extend(page.items);
            match page.next_cursor.filter(|_| !is_last) {
                Some(next) => cursor = format!("&cursor={}", segment(&next)),
                None => return Ok(sandboxes),
            }
        }
    }

    /// Starts a stopped sandbox; starting a running one changes nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or there is none.
    pub async fn start_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::POST, &format!("/sandbox/{}/start", segment(id_or_name)), None)
            .await
    }

    /// Stops a sandbox and keeps its disk.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or there is none.
    pub async fn stop_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::POST, &format!("/sandbox/{}/stop", segment(id_or_name)), None)
            .await
    }

    /// Deletes a sandbox with all that is in it. The server goes on freeing it after the answer.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn delete_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::DELETE, &format!("/sandbox/{}", segment(id_or_name)), None).await
    }
}
