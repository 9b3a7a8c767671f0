//! When a sandbox stops, is archived or goes away by itself.

/// A number of minutes.
pub type Minutes = u32;

/// The timers of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    /// Stops after so long without activity; 0 means never. All intervals count from the last activity: a use, a
    /// change that somebody asked for, the end of its processes.
    pub auto_stop: Minutes,
    /// Archives so long after stopping; 0 means [`Self::LONGEST_BEFORE_ARCHIVE`].
    pub auto_archive: Minutes,
    /// Deletes so long after stopping; 0 deletes on stop (ephemeral), `None` never.
    pub auto_delete: Option<Minutes>,
    /// Deletes so long after creation; 0 means never.
    pub ttl: Minutes,
}

impl Lifecycle {
    /// Stop after 15 idle minutes, archive after 7 days, never delete.
    pub const DEFAULT: Self =
        Self { auto_stop: 15, auto_archive: 10_080, auto_delete: None, ttl: 0 };

    /// How long a sandbox stays stopped at most before it is archived: 30 days.
    pub const LONGEST_BEFORE_ARCHIVE: Minutes = 43_200;

    /// How long after stopping it is archived.
    #[must_use]
    pub const fn archive_after(self) -> Minutes {
        if self.auto_archive == 0 { Self::LONGEST_BEFORE_ARCHIVE } else { self.auto_archive }
    }

    /// Whether the sandbox goes away when it stops.
    #[must_use]
    pub const fn is_ephemeral(self) -> bool {
        matches!(self.auto_delete, Some(0))
    }
}
