//! Rust client of the public API: this server, another one, or Daytona's cloud.
//!
//! [`Client`] speaks HTTP/1.1 and keeps its connections. Every request but the running of code has a deadline; nothing
//! is sent twice, so a failed request may have had its effect. Keys are in no error, log or debug text.
#![forbid(unsafe_code)]

mod connections;
mod endpoint;
mod error;
mod execution;
mod keys;
mod request;
mod sandboxes;

pub use endpoint::{Endpoint, EndpointError, Key};
pub use error::RequestError;
pub use execution::Execution;
pub use pitlane_wire::toolbox::frames::Frame;
pub use pitlane_wire::toolbox::{CodeRunRequest, ExecuteRequest, StreamRequest};
pub use request::Client;
pub use sandboxes::ListSandboxes;
