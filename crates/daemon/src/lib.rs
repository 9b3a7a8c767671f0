//! What the daemon makes of bytes that others send: forms, queries, paths, ranges, patterns.
//!
//! The daemon itself is a program beside this library. The parsers are apart from it so that they can be fuzzed (see
//! `fuzz/`); none of them touches a file or waits for anything but its input.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod input;
