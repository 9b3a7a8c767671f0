//! Parsers of what callers send. None of them panics, whatever the bytes.

mod charts;
mod command;
mod counters;
mod disposition;
mod form;
pub mod git;
mod interpreter;
pub mod language;
mod listening;
mod mode;
mod offer;
mod path;
mod pattern;
mod query;
mod range;
mod report;
mod version;

pub use charts::{Charts, MARKER, Marked};
pub use command::{Place, PlainCommand, plain_command};
pub use counters::{cpu_ticks, field};
pub use disposition::{Disposition, attachment, part_of_form};
pub use form::Form;
pub use interpreter::{ContextMessage, ContextMessages, GarbledContext, RunError, RunOutcome};
pub use listening::listening_port;
pub use mode::{ModeError, parse_mode};
pub use offer::{Offer, OfferError};
pub use path::{PathError, names_a_folder, resolve};
pub use pattern::Pattern;
pub use query::Parameters;
pub use range::{Range, RangeError};
pub use report::{Garbled, Report, Reports};
pub use version::ClientVersion;
