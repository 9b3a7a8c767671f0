//! Frames of a stream: the same ones, however the bytes come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_wire::toolbox::frames::{Decoder, Frame};

fn read(data: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in data.chunks(size.max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, decoder.is_empty())
}

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else { return };
    assert_eq!(read(data, data.len()), read(data, usize::from(*size)));
});
