//! JSON as it travels: the control plane, the toolbox and the handshake with the daemon.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod build;
pub mod control;
pub mod handshake;
pub mod toolbox;
