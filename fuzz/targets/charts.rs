//! What a program writes, with lines about figures in it: any bytes, cut anywhere, are the same text and figures, and no
//! byte of text is lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::Marked;

fn told(pieces: &[&[u8]]) -> (Vec<u8>, String) {
    let mut marked = Marked::default();
    let mut text = Vec::new();
    for piece in pieces {
        text.extend(marked.push(piece));
    }
    let (rest, charts) = marked.finish();
    text.extend(rest);
    let (charts, note) = charts.finish();
    (text, format!("{charts:?} {note:?}"))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let pieces: Vec<_> = bytes.chunks(usize::from(size).max(1)).collect();
    assert_eq!(told(&pieces), told(&[bytes]));
});
