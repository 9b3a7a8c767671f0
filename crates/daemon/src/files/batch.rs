//! Bytes on their way to a file, as they came.

use std::io::{self, IoSlice, Write};

use bytes::Bytes;

/// Smaller pieces are copied together: each one that is kept costs more than its bytes, and a client decides how small
/// its pieces are.
const SMALL: usize = 8 << 10;
/// The most pieces that are written at once: as many as the kernel takes.
const MAX_SLICES: usize = 1024;

/// Pieces that are written together. Large ones are not copied.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pieces: Vec<Bytes>,
    /// Small ones that came since the last piece.
    small: Vec<u8>,
    bytes: usize,
}

impl Batch {
    /// How many bytes there are.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a piece at the end.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes = self.bytes.saturating_add(piece.len());
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            return;
        }
        self.close();
        self.pieces.push(piece);
    }

    fn close(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).into());
        }
    }

    /// Writes everything.
    pub(super) fn write_to(mut self, file: &mut impl Write) -> io::Result<()> {
        self.close();
        for pieces in self.pieces.chunks(MAX_SLICES) {
            let mut slices: Vec<IoSlice<'_>> =
                pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut left = slices.as_mut_slice();
            while !left.is_empty() {
                match file.write_vectored(left) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => IoSlice::advance_slices(&mut left, count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, as a file system that fills up would.
    struct Slow(Vec<u8>, usize);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_is_what_came_in_order() {
        let lengths = [1, SMALL, 3, 5, SMALL - 1, 3 * SMALL, SMALL + 1, 7];
        let pieces: Vec<Bytes> = lengths
            .iter()
            .enumerate()
            .map(|(n, length)| vec![u8::try_from(n).unwrap(); *length].into())
            .collect();
        let wanted = pieces.concat();
        for at_once in [1, 1000, usize::MAX] {
            let mut batch = Batch::default();
            pieces.iter().cloned().for_each(|piece| batch.push(piece));
            assert_eq!(batch.bytes(), wanted.len());
            let mut file = Slow(Vec::new(), at_once);
            batch.write_to(&mut file).unwrap();
            assert!(file.0 == wanted, "{at_once}");
        }
    }

    #[test]
    fn what_takes_nothing_is_a_failure() {
        let mut batch = Batch::default();
        batch.push(Bytes::from_static(b"x"));
        let refused = batch.write_to(&mut Slow(Vec::new(), 0)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WriteZero);
        Batch::default().write_to(&mut Slow(Vec::new(), 0)).unwrap();
    }

    #[test]
    fn many_small_pieces_are_few() {
        let mut batch = Batch::default();
        for _ in 0..100_000 {
            batch.push(Bytes::from_static(b"x"));
        }
        assert_eq!((batch.pieces.len(), batch.small.len()), (0, 100_000));
    }
}
