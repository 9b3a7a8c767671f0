//! What a session's shell tells, and the versions that clients say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{ClientVersion, Garbled, Report, Reports};

/// The reports in pieces of a size, up to the first that is none.
fn read(bytes: &[u8], size: usize) -> (Vec<Report>, Result<(), Garbled>) {
    let (mut reports, mut found) = (Reports::default(), Vec::new());
    for mut piece in bytes.chunks(size) {
        loop {
            match reports.next_report(&mut piece) {
                Ok(Some(report)) => found.push(report),
                Ok(None) => break,
                Err(garbled) => return (found, Err(garbled)),
            }
        }
    }
    (found, Ok(()))
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(read(bytes, 1), read(bytes, bytes.len().max(1)));
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(version) = ClientVersion::parse(text)
    {
        assert_eq!(ClientVersion::parse(&format!("v{}", text.trim().trim_start_matches('v'))), Some(version));
    }
});
