//! The dispatcher.

use std::sync::Arc;

use pitlane_client::Client;
use serde_json::json;

use crate::{Answer, Call, Progress, ReadError, Resource, Settings};

/// What a caller can ask for: one server, one key, one set of rules. Clones share everything.
#[derive(Debug, Clone)]
pub struct Tools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    settings: Settings,
}

impl Tools {
    /// Tools that work through this client.
    #[must_use]
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { client, settings }) }
    }

    /// The same tools for another key or server: what is kept of outputs and the rules are shared.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        Self::new(client, self.inner.settings.clone())
    }

    /// How they behave.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Does what was asked for. What fails is an answer, too. Dropping the future ends the command it runs.
    pub async fn call(&self, call: Call, progress: &dyn Progress) -> Answer {
        progress.report(0.0, None, call.name());
        let _reached = self.inner.client.endpoint();
        let message = format!("{} is not available yet", call.name());
        std::future::ready(()).await;
        Answer { failed: true, ..Answer::new(json!({ "message": message }), message) }
    }

    /// Reads a file of a sandbox, or what a command said, from a piece's address on.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: see its variants.
    pub async fn read(&self, uri: &str) -> Result<Resource, ReadError> {
        std::future::ready(()).await;
        Err(ReadError::NotFound { uri: uri.to_owned(), why: String::from("not available yet") })
    }
}
