//! A context on its way in.

use bytes::Bytes;

use crate::context::Context;
use crate::contexts::Contexts;
use crate::error::{FinishError, ReceiveError};
use crate::etag::Etag;
use crate::intake::Intake;
use crate::key::ContextKey;

/// A context as it comes, in one piece. Dropping it removes what has come.
#[derive(Debug)]
pub struct Draft {
    pub(crate) contexts: Contexts,
    pub(crate) key: ContextKey,
    pub(crate) intake: Intake,
}

impl Draft {
    /// Takes the next bytes. Dropping the future loses the draft: drop that as well.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: nothing more comes of this draft.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ReceiveError> {
        self.intake.write(bytes).await
    }

    /// Makes it the context of its key, in place of an earlier one unless there was to be none.
    ///
    /// It is synced when this returns. Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`FinishError`]: the key has what it had before.
    pub async fn finish(self, only_if_absent: bool) -> Result<Context, FinishError> {
        let Self { contexts, key, intake } = self;
        let received = intake.receive().await?;
        let etag = Etag::of_digest(received.digest);
        contexts.place(key, etag, received, only_if_absent).await
    }
}
