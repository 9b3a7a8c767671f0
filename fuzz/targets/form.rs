//! Multipart forms: the same parts, however the bytes come.
#![no_main]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::{Stream, StreamExt as _};
use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{Disposition, Form};

/// A body whose pieces come one by one, and not at once.
struct Pieces {
    left: Vec<Bytes>,
    is_late: bool,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.is_late = !self.is_late;
        if self.is_late {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop().map(Ok))
    }
}

/// What a form says: its parts, and whether it is whole.
type Said = (Vec<(Disposition, Vec<u8>)>, bool);

async fn read(body: &[u8], size: usize) -> Said {
    let mut left: Vec<Bytes> = body.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
    left.reverse();
    let mut form = Form::new(Pieces { left, is_late: false }, "B");
    let mut parts = Vec::new();
    loop {
        let (disposition, mut field) = match form.next_part().await {
            Ok(Some(part)) => part,
            Ok(None) => {
                form.finish().await;
                return (parts, true);
            }
            Err(_) => return (parts, false),
        };
        let mut contents = Vec::new();
        while let Some(piece) = field.next().await {
            match piece {
                Ok(piece) => contents.extend_from_slice(&piece),
                // What came of a part that broke off depends on where it was cut.
                Err(_) => return (parts, false),
            }
        }
        parts.push((disposition, contents));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((size, body)) = data.split_first() else { return };
    // Without a boundary nothing can be found: let the fuzzer spend its time behind one.
    let body = [b"--B\r\n", body].concat();
    let whole = block_on(read(&body, body.len()));
    let cut = block_on(read(&body, usize::from(*size)));
    assert_eq!(whole, cut);
});
