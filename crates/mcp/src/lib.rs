//! The MCP rim, over stdio and HTTP, and LangSwarm's REST rim over the tools.
//!
//! MCP has two eras, and both are spoken: revisions with an `initialize` handshake, and 2026-07-28, which has none. What a
//! tool does is decided in `pitlane-tools`; here it is listed, called, watched, cancelled and told. Of callers nothing is
//! kept but connections, unfinished calls and tasks, all with bounds and ends.
#![forbid(unsafe_code)]

mod access;
mod call;
mod caller;
mod conformance;
mod gate;
mod http_rim;
mod intake;
pub mod langswarm;
mod metrics;
mod places;
mod prompts;
mod question;
mod resources;
mod seal;
mod server;
mod sessions;
mod settings;
mod stdio;
mod tasks;
mod well_known;

pub use axum::Router;

pub use access::{Access, AccessError, Keys, OpenWith, Opening};
pub use http_rim::router;
pub use metrics::{METRICS, Metric, MetricKind, describe_metrics};
pub use server::{Server, StartError};
pub use settings::Settings;
pub use stdio::{ServeError, serve_stdio};
