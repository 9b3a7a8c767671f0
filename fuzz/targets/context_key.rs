//! Keys of build contexts: written as they were read, and safe as names on a disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_storage::{ContextKey, Etag};

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<ContextKey>() {
        assert_eq!(key.to_string(), text);
        let hash = key.hash.as_str();
        assert!(!hash.is_empty() && hash.len() <= 128);
        assert!(hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }
    if let Ok(etag) = text.parse::<Etag>() {
        assert_eq!(etag.to_string(), text);
    }
});
