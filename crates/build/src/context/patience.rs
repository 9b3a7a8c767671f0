//! How long files are looked for: patterns and names may be made so that it would take hours.

use std::time::{Duration, Instant};

/// For what one instruction copies, and for reading the archives. A thousand patterns for 200,000 files take a minute.
const MOST: Duration = Duration::from_secs(120);

/// Time that is left for looking for files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

impl Patience {
    /// All there is.
    pub(super) fn new() -> Self {
        Self::of(MOST)
    }

    pub(super) fn of(time: Duration) -> Self {
        Self { until: Instant::now().checked_add(time) }
    }

    /// Whether there is some left; the error says that there is not.
    pub(super) fn check(self) -> Result<(), String> {
        match self.until.is_some_and(|until| Instant::now() < until) {
            true => Ok(()),
            false => Err(format!(
                "it takes longer than {} s to look for its files: there are too many patterns for so many names",
                MOST.as_secs()
            )),
        }
    }
}
