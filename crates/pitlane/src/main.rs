//! The pitlane binary.
#![forbid(unsafe_code)]
fn main() {}
