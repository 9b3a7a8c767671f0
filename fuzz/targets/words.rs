//! Modes and ranges.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{Range, parse_mode};

fuzz_target!(|input: (u64, &str)| {
    let (length, text) = input;
    if let Ok(mode) = parse_mode(text) {
        assert!(mode <= 0o7777);
        assert_eq!(parse_mode(&format!("{mode:04o}")), Ok(mode));
    }
    if let Ok(Some(range)) = Range::parse(text, length) {
        assert!(range.count > 0 && range.start.checked_add(range.count).is_some_and(|end| end <= length));
    }
});
