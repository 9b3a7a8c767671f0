//! Queries of lists of sandboxes, and the cursors in them: read or refused, never a panic, and every cursor that a
//! list could give is the one that it takes back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| pitlane_api::fuzzing::list_query(text));
