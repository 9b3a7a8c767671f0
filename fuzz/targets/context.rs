//! Messages of interpreter contexts: the same ones, however the bytes come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{ContextMessage, ContextMessages};

/// All messages, and whether something else came after them.
fn read(data: &[u8], size: usize) -> (Vec<ContextMessage>, bool) {
    let (mut messages, mut found) = (ContextMessages::default(), Vec::new());
    for piece in data.chunks(size.max(1)) {
        messages.push(piece);
        loop {
            match messages.take() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else { return };
    assert_eq!(read(data, data.len()), read(data, usize::from(*size)));
});
