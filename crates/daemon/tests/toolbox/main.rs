//! The daemon as its callers see it: an ordinary process behind a Unix socket.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod busy;
mod cancel;
mod code;
mod contents;
mod daemon;
mod description;
mod end;
mod environment;
mod execute;
mod files;
mod git;
mod greedy;
mod interpreter;
mod kept;
mod lsp;
mod model;
mod patient;
mod plain;
mod privileged;
mod pty;
mod rights;
mod session;
mod stream;
mod system;
mod transfer;
mod trees;
mod tunnel;
mod zygote;
