//! Addresses of toolbox requests: the caller's key stays outside, and so does what only the server may ask a daemon.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| pitlane_api::fuzzing::toolbox_target(text));
