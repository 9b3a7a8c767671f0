//! The framing of bodies in signed chunks: the same however it is cut, and no chunk passes that is too large to gather.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_s3::chunks::Chunks;

/// As many bytes as a line before a chunk can tell of, and more than may pass.
const MAX_CHUNK_BYTES: usize = 16 << 20;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let whole = Chunks::default().observe(&bytes);
    let mut chunks = Chunks::default();
    let mut rest = &bytes[..];
    let mut cuts = cuts.iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let length = usize::from(*cuts.next().unwrap_or(&1)).clamp(1, rest.len().max(1));
        let (piece, behind) = rest.split_at_checked(length.min(rest.len())).filter(|(piece, _)| !piece.is_empty())?;
        rest = behind;
        Some(piece)
    });
    let cut = pieces.map(|piece| chunks.observe(piece)).find(Result::is_err).unwrap_or(Ok(()));
    assert_eq!(whole, cut);
    // What passes says of its first chunk no more than may be gathered.
    let line = bytes.split(|byte| matches!(byte, b'\r' | b';')).next().unwrap_or_default();
    let size = std::str::from_utf8(line).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    if whole.is_ok() && bytes.contains(&b'\n') {
        assert!(size.is_some_and(|size| size <= MAX_CHUNK_BYTES));
    }
});
