//! A command's output as it happens: the body of `POST /process/execute/stream`.
//!
//! A frame is one byte for its kind, four for the length of its contents (big-endian), and the contents. A body ends
//! with exactly one [`Frame::Exit`] or [`Frame::Failure`]; one that ends without it was cut off, and nothing is known
//! about the command.

use std::fmt;

/// The media type of a body of frames.
pub const MEDIA_TYPE: &str = "application/vnd.pitlane.frames";
/// The longest contents that a frame may have, in bytes.
pub const MAX_CONTENTS: usize = 1 << 20;
/// Bytes before a frame's contents.
const HEADER: usize = 5;

/// A piece of output, or the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes from standard output.
    Stdout(Vec<u8>),
    /// Bytes from standard error.
    Stderr(Vec<u8>),
    /// The command ended with this exit code; nothing follows.
    Exit(i32),
    /// The command did not run to its end, for this reason; nothing follows.
    Failure(String),
}

/// Why bytes are no frames. Nothing after them can be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// A kind that this version does not know.
    UnknownKind(u8),
    /// Contents above [`MAX_CONTENTS`], or of the wrong length for their kind.
    BadLength(u32),
    /// A failure whose text is not UTF-8.
    BadText,
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(formatter, "a frame of unknown kind {kind}"),
            Self::BadLength(length) => write!(formatter, "a frame of impossible length {length}"),
            Self::BadText => formatter.write_str("a failure that is not text"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Frame {
    const STDOUT: u8 = 1;
    const STDERR: u8 = 2;
    const EXIT: u8 = 3;
    const FAILURE: u8 = 4;

    /// Appends the frame to `output`; contents above [`MAX_CONTENTS`] become several frames, and such a failure is cut.
    pub fn encode(&self, output: &mut Vec<u8>) {
        match self {
            Self::Stdout(bytes) => encode_bytes(Self::STDOUT, bytes, output),
            Self::Stderr(bytes) => encode_bytes(Self::STDERR, bytes, output),
            Self::Exit(code) => encode_one(Self::EXIT, &code.to_be_bytes(), output),
            Self::Failure(reason) => {
                let end = reason.floor_char_boundary(MAX_CONTENTS);
                let text = reason.get(..end).unwrap_or_default();
                encode_one(Self::FAILURE, text.as_bytes(), output);
            }
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Failure(_))
    }

    fn from_parts(kind: u8, contents: &[u8]) -> Result<Self, FrameError> {
        match kind {
            Self::STDOUT => Ok(Self::Stdout(contents.to_vec())),
            Self::STDERR => Ok(Self::Stderr(contents.to_vec())),
            Self::EXIT => {
                let wrong =
                    || FrameError::BadLength(u32::try_from(contents.len()).unwrap_or(u32::MAX));
                let code: [u8; 4] = contents.try_into().map_err(|_wrong_length| wrong())?;
                Ok(Self::Exit(i32::from_be_bytes(code)))
            }
            Self::FAILURE => std::str::from_utf8(contents)
                .map(|text| Self::Failure(text.to_owned()))
                .map_err(|_invalid| FrameError::BadText),
            unknown => Err(FrameError::UnknownKind(unknown)),
        }
    }
}

fn encode_bytes(kind: u8, bytes: &[u8], output: &mut Vec<u8>) {
    for piece in bytes.chunks(MAX_CONTENTS) {
        encode_one(kind, piece, output);
    }
}

fn encode_one(kind: u8, contents: &[u8], output: &mut Vec<u8>) {
    output.push(kind);
    let length = u32::try_from(contents.len()).unwrap_or(u32::MAX);
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(contents);
}

/// Takes frames out of bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    /// How much of `pending` was taken already.
    taken: usize,
}

impl Decoder {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        // Moving what is left happens here, once for each piece, and not for each frame.
        self.pending.drain(..self.taken);
        self.taken = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// The bytes are no frames: give up on the body.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let left = self.pending.get(self.taken..).unwrap_or_default();
        let Some((&[kind, length @ ..], rest)) = left.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(length);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > MAX_CONTENTS {
            return Err(FrameError::BadLength(length));
        }
        let Some(contents) = rest.get(..size) else { return Ok(None) };
        let frame = Frame::from_parts(kind, contents)?;
        self.taken = self.taken.saturating_add(HEADER).saturating_add(size);
        Ok(Some(frame))
    }

    /// Whether every byte became part of a frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decoder, Frame, FrameError, MAX_CONTENTS};

    fn encoded(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        bytes
    }

    fn decoded<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<Frame>, bool), FrameError> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        Ok((frames, decoder.is_empty()))
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..64).prop_map(Frame::Stdout),
            proptest::collection::vec(any::<u8>(), 1..64).prop_map(Frame::Stderr),
            any::<i32>().prop_map(Frame::Exit),
            ".{0,32}".prop_map(Frame::Failure),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec(any_frame(), 0..16),
            size in 1usize..40,
        ) {
            let bytes = encoded(&frames);
            prop_assert_eq!(decoded(bytes.chunks(size)), Ok((frames, true)));
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let whole = decoded([bytes.as_slice()]);
            prop_assert_eq!(decoded(bytes.chunks(1)), whole);
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let frames = [Frame::Stdout(b"hi".to_vec()), Frame::Exit(-2), Frame::Failure("no".into())];
        let wanted = b"\x01\0\0\0\x02hi\x03\0\0\0\x04\xff\xff\xff\xfe\x04\0\0\0\x02no";
        assert_eq!(encoded(&frames), wanted);
    }

    #[test]
    fn long_output_becomes_several_frames() {
        let bytes = encoded(&[Frame::Stderr(vec![7; MAX_CONTENTS + 1])]);
        let wanted = vec![Frame::Stderr(vec![7; MAX_CONTENTS]), Frame::Stderr(vec![7])];
        assert_eq!(decoded([bytes.as_slice()]), Ok((wanted, true)));
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let cases: [(&[u8], FrameError); 4] = [
            (b"\x09\0\0\0\0", FrameError::UnknownKind(9)),
            (b"\x01\xff\0\0\0", FrameError::BadLength(0xff00_0000)),
            (b"\x03\0\0\0\x01x", FrameError::BadLength(1)),
            (b"\x04\0\0\0\x01\xff", FrameError::BadText),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(decoded([bytes]), Err(wanted));
        }
    }
}
