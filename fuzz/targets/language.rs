//! What a language server sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::language::{
    Capabilities, Incoming, MAX_ENTRIES, Messages, completions, frame, symbols,
};

/// The messages in a stream, and whether it makes sense to its end.
fn all<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut messages = Messages::default();
    let mut found = Vec::new();
    for piece in pieces {
        messages.push(piece);
        loop {
            match messages.take() {
                Ok(Some(message)) => found.push(message.to_vec()),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}

fuzz_target!(|data: &[u8]| {
    let whole = all(std::iter::once(data));
    assert_eq!(all(data.chunks(1)), whole);
    assert_eq!(all(data.chunks(7)), whole);
    assert_eq!(all(std::iter::once(&*frame(data))), (vec![data.to_vec()], true));
    for message in whole.0.iter().map(Vec::as_slice).chain([data]) {
        if let Incoming::Answer { outcome: Ok(result), .. } = Incoming::read(message) {
            look_at(result);
        }
    }
    look_at(&String::from_utf8_lossy(data));
});

fn look_at(result: &str) {
    Capabilities::read(result);
    assert!(completions(result).is_none_or(|list| list.items.len() <= MAX_ENTRIES));
    assert!(symbols(result, "file:///x").is_none_or(|symbols| symbols.len() <= MAX_ENTRIES));
}
