//! Queries, paths and patterns.
#![no_main]

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{Parameters, Pattern, names_a_folder, resolve};

fuzz_target!(|query: &str| {
    let parameters = Parameters::parse(query);
    let path = parameters.bytes("path").unwrap_or_default();
    if let Ok(resolved) = resolve(path, Path::new("/srv"), Path::new("/home/user")) {
        let bytes = resolved.as_os_str().as_bytes();
        assert!(resolved.is_absolute() && bytes.len() < 4096 && !bytes.contains(&0));
        assert!(path.starts_with(b"~") || bytes.ends_with(path));
        let last = path.rsplit(|byte| *byte == b'/').next();
        let is_folder = last.is_some_and(|last| matches!(last, b"" | b"." | b".."));
        assert!(!is_folder || names_a_folder(&resolved) || path.starts_with(b"~"));
    }
    if let (Some(pattern), Some(name)) = (parameters.text("pattern"), parameters.text("path")) {
        let _is_match: bool = Pattern::new(&pattern).matches(&name);
    }
});
