//! A multipart form, read part by part, whose parts have heads of a bounded length.
//!
//! The parser looks for the end of a head from its beginning each time more of it comes: an endless head would cost
//! ever more time, and memory besides.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{Stream, poll_fn as stream_of};
use http::header::CONTENT_DISPOSITION;
use multer::{Field, Multipart};

use super::disposition::Disposition;

/// How much is read in search of the next part. What precedes it was read to its end, so this is its head and what came
/// along with it.
const MAX_HEAD: usize = 1 << 20;

/// How much is read past the end.
const MAX_EPILOGUE: usize = 64 << 10;

/// A form in a body.
#[derive(Debug)]
pub struct Form<S> {
    multipart: Multipart<'static>,
    body: Shared<S>,
    search: Arc<Search>,
}

/// A body that is read by the parser, and past its end by the form.
#[derive(Debug)]
struct Shared<S>(Arc<Mutex<S>>);

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Shared<S> {
    fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_next(context)
    }
}

#[derive(Debug, Default)]
struct Search {
    is_under_way: AtomicBool,
    bytes: AtomicUsize,
}

impl<S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static> Form<S> {
    /// A form whose parts `boundary` divides.
    pub fn new(body: S, boundary: impl Into<String>) -> Self {
        let search = Arc::new(Search::default());
        let counted = Arc::clone(&search);
        let body = Shared(Arc::new(Mutex::new(body)));
        let read = Shared(Arc::clone(&body.0));
        let pieces = stream_of(move |context| read.poll_piece(context)).map(move |piece| {
            let piece = piece?;
            counted.count(&piece)?;
            Ok::<Bytes, io::Error>(piece)
        });
        Self { multipart: Multipart::new(pieces, boundary), body, search }
    }

    /// The next part and what its head says of it; the one before was read to its end.
    ///
    /// # Errors
    ///
    /// The form is broken, or its body was: nothing more can be read of it.
    pub async fn next_part(&mut self) -> multer::Result<Option<(Disposition, Field<'static>)>> {
        self.search.bytes.store(0, Ordering::Relaxed);
        self.search.is_under_way.store(true, Ordering::Relaxed);
        let field = self.multipart.next_field().await;
        self.search.is_under_way.store(false, Ordering::Relaxed);
        Ok(field?.map(|field| {
            let header = field.headers().get(CONTENT_DISPOSITION);
            let disposition =
                header.map(|header| Disposition::parse(header.as_bytes())).unwrap_or_default();
            (disposition, field)
        }))
    }

    /// Reads past what follows the last part that mattered, so that the connection can be kept. What is too long to be
    /// worth that stays unread.
    pub async fn finish(self) {
        drop(self.multipart);
        let mut left = MAX_EPILOGUE;
        while let Some(Ok(piece)) = poll_fn(|context| self.body.poll_piece(context)).await {
            match left.checked_sub(piece.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
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
