//! Whose the bytes of a block are.

use bytes::Bytes;

use super::{Piece, Stream};

/// Which bytes of a block are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    One(Stream),
    /// Streams and lengths are at the end of the block, five bytes each.
    Many,
}

impl Runs {
    /// What is written for pieces.
    pub(super) fn lay_out(pieces: &[Piece]) -> (Self, Vec<Bytes>) {
        let mut contents: Vec<Bytes> = pieces.iter().map(|piece| piece.bytes.clone()).collect();
        match pieces {
            [first, rest @ ..] if rest.iter().all(|piece| piece.stream == first.stream) => {
                (Self::One(first.stream), contents)
            }
            _ => {
                let mut table = Vec::new();
                for piece in pieces {
                    let length = u32::try_from(piece.bytes.len()).unwrap_or(u32::MAX);
                    table.push(u8::from(piece.stream == Stream::Stderr));
                    table.extend_from_slice(&length.to_le_bytes());
                }
                contents.push(table.into());
                (Self::Many, contents)
            }
        }
    }

    /// The pieces of a block that are in `text`, before which there are `skip` bytes of it. The table follows them all.
    pub(super) fn cut(self, table: &[u8], text: &Bytes, skip: u64) -> Vec<Piece> {
        if let Self::One(stream) = self {
            return vec![Piece { stream, bytes: text.clone() }];
        }
        let mut skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut pieces, mut at) = (Vec::new(), 0usize);
        for [stream, length @ ..] in table.as_chunks::<ENTRY>().0 {
            let stream = if *stream == 0 { Stream::Stdout } else { Stream::Stderr };
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let end = at.saturating_add(length.saturating_sub(skip)).min(text.len());
            skip = skip.saturating_sub(length);
            if at < end {
                pieces.push(Piece { stream, bytes: text.slice(at..end) });
            }
            at = end;
        }
        pieces
    }
}

/// Bytes of an entry: whose, and how many.
const ENTRY: usize = 5;
