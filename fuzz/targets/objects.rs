//! Lists of a volume's objects, from whatever a storage answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pitlane_objects::fuzzing::list(bytes));
