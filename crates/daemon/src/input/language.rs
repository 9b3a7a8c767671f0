//! What language servers send: framing, calls, and the parts of results that clients are told.
//!
//! A language server runs as the sandbox's user, and anybody there can take its place. Whatever it sends is bounded in
//! size and depth, and read leniently: a completion or symbol that makes no sense is left out, and the others count.

mod call;
mod completions;
mod framing;
mod list;
mod place;
mod symbols;
mod uri;

pub use call::{Capabilities, Failure, Incoming};
pub use completions::completions;
pub use framing::{FramingError, MAX_MESSAGE, Messages, frame};
pub use place::{from_code_points, to_code_points};
pub use symbols::symbols;
pub use uri::{paths_of, uri_of};

/// The most completions or symbols that are told of.
pub const MAX_ENTRIES: usize = 10_000;
