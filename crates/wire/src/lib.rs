//! JSON as it travels: the control plane, the toolbox and the handshake with the daemon.
#![forbid(unsafe_code)]

pub mod control;
