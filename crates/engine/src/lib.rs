//! The Linux driver: launcher, prepared slots, sandboxes; usable as a library.
#![forbid(unsafe_code)]
