//! A multipart form, read part by part, whose parts have heads of a bounded length.
//!
//! The parser looks for the end of a head from its beginning each time more of it comes: an endless head would cost
//! ever more time, and memory besides.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use multer::{Field, Multipart};

/// How much is read in search of the next part. What precedes it was read to its end, so this is its head and what came
/// along with it.
const MAX_HEAD: usize = 1 << 20;

/// A form.
#[derive(Debug)]
pub(super) struct Form {
    multipart: Multipart<'static>,
    search: Arc<Search>,
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
        let pieces = body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(io::Error::other)?;
            counted.count(&piece)?;
            Ok::<Bytes, io::Error>(piece)
        });
        Self { multipart: Multipart::new(pieces, boundary), search }
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
