//! Dockerfiles: no text ends the parser, and what is understood has a stage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_build::Builder;

fuzz_target!(|text: &str| {
    match Builder::check(text) {
        Ok(plan) => assert!(plan.stages() > 0),
        Err(error) => assert!(error.line() > 0 && !error.reason().is_empty()),
    }
});
