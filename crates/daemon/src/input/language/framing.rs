//! Messages in a stream of bytes: a header that says how long each one is.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;

/// The longest message: a list of completions of a large library takes one or two million bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// The longest header.
const MAX_HEADER: usize = 4 << 10;

/// Ends a header.
const END: &[u8] = b"\r\n\r\n";

/// Takes messages out of bytes as they come, however they are cut.
#[derive(Debug, Default)]
pub struct Messages {
    buffer: BytesMut,
    /// The length of the message whose header was read.
    length: Option<usize>,
}

/// Why a stream has no messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A header does not end.
    #[error("a header of more than {MAX_HEADER} bytes")]
    LongHeader,
    /// A header does not say how long its message is, or says it twice.
    #[error("a header without one Content-Length")]
    NoLength,
    /// A message is longer than any may be.
    #[error("a message of more than {} MiB", MAX_MESSAGE >> 20)]
    LongMessage,
}

impl Messages {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is there as a whole.
    ///
    /// # Errors
    ///
    /// The stream makes no sense from here on: nothing more can be taken out of it.
    pub fn take(&mut self) -> Result<Option<Bytes>, FramingError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.header()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn header(&mut self) -> Result<Option<usize>, FramingError> {
        let beginning = self.buffer.get(..self.buffer.len().min(MAX_HEADER)).unwrap_or_default();
        let Some(end) = memmem::find(beginning, END) else {
            return if beginning.len() < MAX_HEADER {
                Ok(None)
            } else {
                Err(FramingError::LongHeader)
            };
        };
        let length = length(beginning.get(..end).unwrap_or_default())?;
        self.buffer.advance(end.saturating_add(END.len()));
        Ok(Some(length))
    }
}

/// What a header says of its message's length.
fn length(header: &[u8]) -> Result<usize, FramingError> {
    let mut found = None;
    for line in header.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        if !name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if found.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(FramingError::NoLength);
        }
        // What is no number any more is longer than any message.
        let value = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
        found = Some(value.unwrap_or(usize::MAX));
    }
    match found {
        None => Err(FramingError::NoLength),
        Some(length) if length > MAX_MESSAGE => Err(FramingError::LongMessage),
        Some(length) => Ok(length),
    }
}

/// A message with its header.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = format!("Content-Length: {}\r\n\r\n", message.len()).into_bytes();
    framed.extend_from_slice(message);
    framed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FramingError> {
        let mut messages = Messages::default();
        let mut found = Vec::new();
        for piece in pieces {
            messages.push(piece);
            while let Some(message) = messages.take()? {
                found.push(message.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn headers_are_read_in_any_order_and_spelling() {
        let text = b"Content-Type: x; charset=utf-8\r\ncontent-LENGTH:2\r\n\r\n{}Content-Length: 0\r\n\r\n";
        assert_eq!(all(&[text]), Ok(vec![b"{}".to_vec(), Vec::new()]));
    }

    #[test]
    fn what_is_no_header_ends_the_stream() {
        let no = FramingError::NoLength;
        for (text, wanted) in [
            (&b"Traceback (most recent call last):\n  File\r\n\r\n"[..], no),
            (b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", no),
            (b"Content-Length: \r\n\r\n", no),
            (b"Content-Length: -1\r\n\r\n", no),
            (b"Content-Length: +1\r\n\r\nx", no),
            (b"Content-Length: 1 1\r\n\r\nx", no),
            (b"\r\n\r\n", no),
            (b"Content-Length: 16777217\r\n\r\n", FramingError::LongMessage),
            (b"Content-Length: 99999999999999999999999\r\n\r\n", FramingError::LongMessage),
            (&[b'x'; MAX_HEADER], FramingError::LongHeader),
        ] {
            assert_eq!(all(&[text]), Err(wanted), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let mut messages = Messages::default();
        messages.push(b"Content-Length: 16777216\r\n\r\n");
        assert_eq!(messages.take(), Ok(None));
        assert!(messages.buffer.capacity() < 1 << 16);
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            cuts in proptest::collection::vec(1usize..50, 1..40),
        ) {
            let mut rest: &[u8] = &sent.iter().flat_map(|message| frame(message)).collect::<Vec<_>>();
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(all(&pieces), Ok(sent));
        }
    }
}
