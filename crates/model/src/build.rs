//! How an image is built.

use std::collections::BTreeMap;

/// What an image is built from: all that a caller says of it, and nothing of the machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Build {
    /// The text of a Dockerfile.
    pub dockerfile: String,
    /// The names of the archives that hold the files it copies, in the object storage of its organization. Of files
    /// that are in several, the last one counts.
    pub contexts: Vec<String>,
    /// Values of `ARG` by name.
    pub arguments: BTreeMap<String, String>,
    /// The stage that is wanted; the last one if none is named.
    pub target: Option<String>,
    /// Whether every step is done anew, whatever is known of it.
    pub no_cache: bool,
}
