//! The toolbox daemon.
#![forbid(unsafe_code)]
fn main() {}
