//! The Daytona-compatible HTTP and WebSocket rim.
//!
//! The one crate that knows our HTTP: routes, who is asking, status codes, dates and numbers as they travel. It
//! decides nothing about sandboxes; [`pitlane_control::Control`] does. Three things live on one port: the control
//! plane under `/api`, the event channel under `/api/socket.io/`, and every sandbox's toolbox under `/toolbox/{id}/`,
//! which is passed on to the daemon inside as bytes.
#![forbid(unsafe_code)]

mod address;
mod authentication;
mod beside;
mod body;
mod build;
mod bypass;
mod configuration;
mod convert;
mod date;
mod events;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod keys;
mod metrics;
mod organizations;
mod patient;
mod preview;
mod query;
mod rate_limit;
mod reference;
mod refusal;
mod registries;
mod request;
mod router;
mod sandboxes;
mod server;
mod signing;
mod snapshots;
mod state;
mod status;
mod storage;
mod toolbox;
mod unread;
mod volumes;
mod warm_pools;

pub use address::{PublicUrl, PublicUrlError};
pub use health::{Probe, Question};
pub use metrics::{InstallMetricsError, METRICS, Metric, MetricKind, Metrics};
pub use rate_limit::{Allowance, ParseRateLimitError, RateLimit, RateLimits};
pub use server::Door;
pub use state::{ApiSettings, ObjectStorage};
