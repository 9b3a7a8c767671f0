//! A context on its way to a client.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use futures_util::Stream;
use pitlane_storage::Context;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio_util::io::ReaderStream;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// The bytes of a context. It stays for as long as it is read.
pub(crate) struct Reading {
    bytes: ReaderStream<Take<File>>,
    _context: Context,
}

impl Reading {
    pub(crate) async fn open(context: Context, range: &Range<u64>) -> io::Result<Self> {
        let mut file = File::open(context.path()).await?;
        file.seek(SeekFrom::Start(range.start)).await?;
        let length = range.end.saturating_sub(range.start);
        let bytes = ReaderStream::with_capacity(file.take(length), PIECE_BYTES);
        Ok(Self { bytes, _context: context })
    }
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.bytes).poll_next(task)
    }
}
