//! What became of sandboxes. Goes with their rows.

use pitlane_model::{Actor, SandboxId, SandboxState, StoryLine, Timestamp};

use crate::store::Survives;
use crate::{ReadError, Store, WriteError};

impl Store {
    /// How many lines of each sandbox are kept: the last ones.
    pub const STORY_LINES: u32 = 200;

    /// Adds lines in their order; those of sandboxes without a row are left out. Not synced.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: none was added.
    pub async fn append_story(&self, lines: Vec<StoryLine>) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, move |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO sandbox_log (sandbox, at, state, actor, reason)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM sandboxes WHERE id = ?1)",
            )?;
            let mut trim = transaction.prepare_cached(
                "DELETE FROM sandbox_log WHERE sandbox = ?1 AND number <=
                 (SELECT number FROM sandbox_log WHERE sandbox = ?1
                  ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            )?;
            for line in &lines {
                let id = line.sandbox.to_bytes();
                let (state, actor) = (line.state.as_str(), line.actor.as_str());
                insert.execute((id, line.at.as_micros(), state, actor, line.reason.as_deref()))?;
                trim.execute((id, Self::STORY_LINES))?;
                pitlane_fault::point("store.story-appended");
            }
            Ok(())
        })
        .await
    }

    /// The lines of a sandbox after the one of this number, each with its own, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn story(
        &self,
        sandbox: SandboxId,
        after: u64,
    ) -> Result<Vec<(u64, StoryLine)>, ReadError> {
        self.read(move |transaction| {
            let mut select = transaction.prepare_cached(
                "SELECT number, at, state, actor, reason FROM sandbox_log
                 WHERE sandbox = ?1 AND number > ?2 ORDER BY number",
            )?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let mut rows = select.query((sandbox.to_bytes(), after))?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                let (state, actor): (String, String) = (row.get(2)?, row.get(3)?);
                let state = SandboxState::ALL.into_iter().find(|known| known.as_str() == state);
                let line = StoryLine {
                    sandbox,
                    at: Timestamp::from_micros(row.get(1)?),
                    state: state.ok_or("no state").map_err(ReadError::value("state"))?,
                    actor: Actor::from_word(&actor)
                        .ok_or("no actor")
                        .map_err(ReadError::value("actor"))?,
                    reason: row.get(4)?,
                };
                lines.push((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), line));
            }
            Ok(lines)
        })
        .await
    }
}
