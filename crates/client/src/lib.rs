//! Rust client of the public API: this server, another one, or Daytona's cloud.
//!
//! [`Client`] speaks HTTP/1.1 and keeps its connections. Every request but the running of code has a deadline. A request
//! is sent again only where that cannot do harm: one that reads, or that the server turned away for now; every other
//! one that failed may have had its effect. Keys are in no error, log or debug text.
#![forbid(unsafe_code)]

mod builds;
mod connections;
mod endpoint;
mod error;
mod execution;
mod files;
mod git;
mod keys;
mod organizations;
mod patience;
mod registries;
mod remote;
mod request;
mod sandboxes;
mod sessions;
mod snapshots;
mod terminals;
mod volumes;
mod warm_pools;

pub use builds::{BuildLog, ContextArchive};
pub use endpoint::{Endpoint, EndpointError, Key};
pub use error::RequestError;
pub use execution::Execution;
pub use files::{Download, Files, Listing, WriteError};
pub use git::Git;
pub use pitlane_wire::toolbox::FileInfo;
pub use pitlane_wire::toolbox::PtyExit;
pub use pitlane_wire::toolbox::frames::Frame;
pub use pitlane_wire::toolbox::{CodeRunRequest, ExecuteRequest, ExecuteResponse, StreamRequest};
pub use remote::{RemoteAnswer, RemoteTools};
pub use request::Client;
pub use sandboxes::{Direction, Interval, ListSandboxes, Order, PreviewUrl, Resize};
pub use sessions::{LogPart, Sessions};
pub use terminals::{NewTerminal, Terminal, TerminalOutput};
