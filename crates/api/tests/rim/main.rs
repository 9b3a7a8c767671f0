//! The rim over real TCP, with the platform above a fake driver.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and its helpers with it"
)]

mod bad_input;
mod control_plane;
mod coverage;
mod daemon;
mod event_channel;
mod http;
mod log;
mod raw;
mod server;
mod smuggling;
mod toolbox;
