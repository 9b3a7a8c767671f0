//! How large the chunks of a signed stream are, before the library gathers them.
//!
//! The library holds a chunk in memory until its signature is checked, however large the client says that it is going to
//! be. So lengths are read here first. A stream that can be read in two ways is refused:
//! `1 to 8 hexadecimal digits [;extension] CR LF, that many bytes, CR LF, …, 0 [;extension] CR LF, trailers`.

/// The most bytes of one chunk.
const MAX_CHUNK_BYTES: u32 = 16 << 20;

/// The longest line before a chunk, in bytes.
const MAX_LINE_BYTES: usize = 256;

/// Watches the framing of a stream of chunks.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The line before a chunk, so far.
    Line(Vec<u8>),
    /// So many bytes of the chunk are to come.
    Data(u32),
    /// What is to come behind the chunk's bytes.
    Ending(&'static [u8]),
    /// Behind the last chunk, where the library counts.
    Trailers,
}

impl Default for State {
    fn default() -> Self {
        Self::Line(Vec::new())
    }
}

/// Why a stream of chunks is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// It is not written as chunks are.
    #[error("the chunks of the body are malformed")]
    Malformed,
    /// Send smaller ones.
    #[error("a chunk of the body has more than {MAX_CHUNK_BYTES} bytes")]
    TooLarge,
}

impl Chunks {
    /// Looks at the next bytes.
    ///
    /// # Errors
    ///
    /// [`ChunkError`]: nothing of these bytes may be passed on.
    pub fn observe(&mut self, mut bytes: &[u8]) -> Result<(), ChunkError> {
        while let Some((&first, behind)) = bytes.split_first() {
            match &mut self.state {
                State::Line(line) => {
                    line.push(first);
                    if first == b'\n' {
                        self.state = after_line(line)?;
                    } else if line.len() >= MAX_LINE_BYTES {
                        return Err(ChunkError::Malformed);
                    }
                    bytes = behind;
                }
                State::Data(left) => {
                    let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(*left);
                    let taken = usize::try_from(here).unwrap_or(usize::MAX);
                    bytes = bytes.get(taken..).unwrap_or_default();
                    *left = left.saturating_sub(here);
                    if *left == 0 {
                        self.state = State::Ending(b"\r\n");
                    }
                }
                State::Ending(wanted) => {
                    let Some((&next, rest)) = wanted.split_first() else { break };
                    if first != next {
                        return Err(ChunkError::Malformed);
                    }
                    self.state =
                        if rest.is_empty() { State::default() } else { State::Ending(rest) };
                    bytes = behind;
                }
                State::Trailers => break,
            }
        }
        Ok(())
    }
}

/// What comes behind a line.
fn after_line(line: &[u8]) -> Result<State, ChunkError> {
    let line = line.strip_suffix(b"\r\n").ok_or(ChunkError::Malformed)?;
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let size = std::str::from_utf8(digits).ok().filter(|_| is_number && !line.contains(&b'\r'));
    let size = size.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match size.ok_or(ChunkError::Malformed)? {
        0 => Ok(State::Trailers),
        size if size > MAX_CHUNK_BYTES => Err(ChunkError::TooLarge),
        size => Ok(State::Data(size)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(pieces: &[&[u8]]) -> Result<(), ChunkError> {
        let mut chunks = Chunks::default();
        pieces.iter().try_for_each(|piece| chunks.observe(piece))
    }

    #[test]
    fn a_stream_that_can_be_read_in_two_ways_is_refused() {
        for (stream, wanted) in [
            (&b"5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\n\r\n"[..], Ok(())),
            (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", Ok(())),
            (b"1000000\r\n", Ok(())),
            (b"1000001\r\n", Err(ChunkError::TooLarge)),
            (b"ffffffff\r\n", Err(ChunkError::TooLarge)),
            (b"000000005\r\nhello\r\n", Err(ChunkError::Malformed)),
            (b"+5\r\n", Err(ChunkError::Malformed)),
            (b" 5\r\n", Err(ChunkError::Malformed)),
            (b"5 \r\n", Err(ChunkError::Malformed)),
            (b"\r\n", Err(ChunkError::Malformed)),
            (b"5\n", Err(ChunkError::Malformed)),
            (b"5\r;a\r\n", Err(ChunkError::Malformed)),
            (b"5\r\nhelloX", Err(ChunkError::Malformed)),
            (b"5\r\nhello\n0", Err(ChunkError::Malformed)),
            (&[b'1'; 300], Err(ChunkError::Malformed)),
        ] {
            assert_eq!(observed(&[stream]), wanted, "{:?}", String::from_utf8_lossy(stream));
        }
    }

    proptest! {
        #[test]
        fn well_formed_chunks_pass_however_they_are_split(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            splits in prop::collection::vec(1_usize..20, 1..40),
        ) {
            let mut stream = Vec::new();
            for chunk in &chunks {
                stream.extend(format!("{:x};chunk-signature={}\r\n", chunk.len(), "a".repeat(64)).bytes());
                stream.extend(chunk);
                stream.extend(b"\r\n");
            }
            stream.extend(b"0\r\n\r\n");
            let mut rest = &stream[..];
            let mut pieces = Vec::new();
            for split in splits.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, behind) = rest.split_at((*split).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            prop_assert_eq!(observed(&pieces), Ok(()));
        }

        #[test]
        fn how_a_stream_is_split_changes_nothing(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'5'), Just(b';')], 0..60), at in 0_usize..60) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(observed(&[&bytes]), observed(&[first, second]));
        }
    }
}
