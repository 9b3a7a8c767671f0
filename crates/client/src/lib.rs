//! Rust client of the public API: this server, another one, or Daytona's cloud.
#![forbid(unsafe_code)]
