//! The rim over real TCP, with the platform above a fake driver.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and its helpers with it"
)]

mod bad_input;
mod builds;
mod connections;
mod control_plane;
mod coverage;
mod crowd;
mod daemon;
mod errors;
mod event_channel;
mod health;
mod http;
mod isolation;
mod lifecycle;
mod lists;
mod log;
mod metrics;
mod permissions;
mod preview;
mod rate_limits;
mod raw;
mod registries;
mod revocation;
mod routes;
mod server;
mod signed;
mod smuggling;
mod toolbox;
mod unread;
