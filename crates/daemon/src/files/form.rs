//! A multipart form, read part by part, whose parts have heads of a bounded length.
//!
//! The parser looks for the end of a head from its beginning each time more of it comes: an endless head would cost
//! ever more time, and memory besides.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn as stream_of;
use http_body::Body as _;
use hyper::body::Incoming;
use multer::{Field, Multipart};

/// How much is read in search of the next part. What precedes it was read to its end, so this is its head and what came
/// along with it.
const MAX_HEAD: usize = 1 << 20;

/// How much is read past the end.
const MAX_EPILOGUE: usize = 64 << 10;

/// A form.
#[derive(Debug)]
pub(super) struct Form {
    multipart: Multipart<'static>,
    body: Shared,
    search: Arc<Search>,
}

/// A body that is read by the parser, and past its end by the form.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let frame = ready!(Pin::new(&mut *body).poll_frame(context));
            match frame
                .map(|frame| frame.map_err(io::Error::other).map(hyper::body::Frame::into_data))
            {
                Some(Ok(Ok(piece))) => return Poll::Ready(Some(Ok(piece))),
                // Trailers mean nothing here.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Search {
    is_under_way: AtomicBool,
    bytes: AtomicUsize,
}

impl Form {
    pub(super) fn new(body: Incoming, boundary: String) -> Self {
        let search = Arc::new(Search::default());
        let counted = Arc::clone(&search);
        let body = Shared(Arc::new(Mutex::new(body)));
        let read = body.clone();
        let pieces = stream_of(move |context| read.poll_piece(context)).map(move |piece| {
            let piece = piece?;
            counted.count(&piece)?;
            Ok::<Bytes, io::Error>(piece)
        });
        Self { multipart: Multipart::new(pieces, boundary), body, search }
    }

    /// Reads past what follows the last part that mattered, so that the connection can be kept. What is too long to be
    /// worth that stays unread.
    pub(super) async fn finish(self) {
        drop(self.multipart);
        let mut left = MAX_EPILOGUE;
        while let Some(Ok(piece)) = poll_fn(|context| self.body.poll_piece(context)).await {
            match left.checked_sub(piece.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    }

    /// The next part; the one before was read to its end.
    pub(super) async fn next_field(&mut self) -> multer::Result<Option<Field<'static>>> {
        self.search.bytes.store(0, Ordering::Relaxed);
        self.search.is_under_way.store(true, Ordering::Relaxed);
        let field = self.multipart.next_field().await;
        self.search.is_under_way.store(false, Ordering::Relaxed);
        field
    }
}

impl Search {
    fn count(&self, piece: &Bytes) -> io::Result<()> {
        if !self.is_under_way.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
        if before.saturating_add(piece.len()) > MAX_HEAD {
            return Err(io::Error::other("the head of a part is too long"));
        }
        Ok(())
    }
}
