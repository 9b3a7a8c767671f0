//! How many sandboxes there are.

use std::collections::HashMap;

use pitlane_model::SandboxState;

use super::Sandboxes;

impl Sandboxes {
    /// Counts the sandboxes of all organizations by state. States that none has are left out.
    #[must_use]
    pub fn census(&self) -> HashMap<SandboxState, u32> {
        let mut census = HashMap::new();
        for entry in self.owner.directory.all() {
            *census.entry(entry.state()).or_insert(0) += 1;
        }
        census
    }
}
