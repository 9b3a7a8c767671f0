//! What git writes, read: its output for programs, and in its errors the few words that say what went wrong.

mod commits;
mod failure;
mod origin;
mod remotes;
mod settings;
mod status;

pub use commits::commits;
pub use failure::{GitFailure, failure, without_secrets};
pub use origin::origin;
pub use remotes::remotes;
pub use settings::{Setting, settings};
pub use status::{WorkingTree, status};

/// Text as far as it is UTF-8; the rest is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
