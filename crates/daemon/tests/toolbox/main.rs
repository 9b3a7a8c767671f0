//! The daemon as its callers see it: an ordinary process behind a Unix socket.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod cancel;
mod code;
mod daemon;
mod description;
mod end;
mod environment;
mod execute;
mod files;
mod privileged;
mod stream;
mod transfer;
