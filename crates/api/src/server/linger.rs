//! Hanging up without taking the last answer away.
//!
//! A server that answers before it has read the whole request and then closes its socket makes the kernel reset the
//! connection, and a client that is still sending may never see the answer (RFC 9112, 9.6). So the writing half closes
//! first, and what still comes is read and dropped for a while.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::place::Place;

/// How long a client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(10);

/// How often something is read before others have their turn.
const AT_ONCE: usize = 16;

/// A stream whose shutdown waits for the other side to end, for ten seconds or until the server stops.
pub(super) struct Lingering<S> {
    stream: S,
    /// Kept as long as the stream, whoever has it by then.
    _place: Place,
    patience: Duration,
    stop: CancellationToken,
    /// Ends the wait; there once the writing half is closed.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, place: Place, stop: CancellationToken) -> Self {
        Self { stream, _place: place, patience: LINGER, stop, end: None }
    }
}

impl<S: fmt::Debug> fmt::Debug for Lingering<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lingering").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, patience, stop, end, .. } = &mut *self;
        if end.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let (patience, stop) = (*patience, stop.clone());
        let end = end.get_or_insert_with(|| {
            Box::pin(async move {
                tokio::select! {
                    () = tokio::time::sleep(patience) => {}
                    () = stop.cancelled() => {}
                }
            })
        });
        // Asked first: a client that sends without pause leaves no turn for it.
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut dropped = [0; 4096];
        for _ in 0..AT_ONCE {
            let mut buffer = ReadBuf::new(&mut dropped);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).ok();
            if buffer.filled().is_empty() {
                // The other side ended or broke off: nobody is left to be told anything.
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::place::Places;
    use super::*;

    async fn place() -> Place {
        Places::new("test", 1).take().await.occupy()
    }

    #[tokio::test]
    async fn a_shutdown_reads_what_still_comes() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut server = Lingering::new(server, place().await, CancellationToken::new());
        let client_side = async {
            client.write_all(&[0; 100_000]).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let server_side = async {
            server.write_all(b"no").await.unwrap();
            server.shutdown().await.unwrap();
        };
        assert_eq!(tokio::join!(client_side, server_side).0, "no");
    }

    #[tokio::test]
    async fn a_client_that_never_ends_is_left_after_a_while() {
        let (_client, server) = tokio::io::duplex(16);
        let mut server = Lingering::new(server, place().await, CancellationToken::new());
        server.patience = Duration::from_millis(1);
        tokio::time::timeout(LINGER, server.shutdown()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_sends_without_pause_is_left_after_a_while() {
        let flood = tokio::io::join(tokio::io::repeat(0), tokio::io::sink());
        let mut server = Lingering::new(flood, place().await, CancellationToken::new());
        server.patience = Duration::from_millis(1);
        tokio::time::timeout(LINGER, server.shutdown()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_server_that_stops_does_not_linger() {
        let (_client, server) = tokio::io::duplex(16);
        let stop = CancellationToken::new();
        stop.cancel();
        let mut server = Lingering::new(server, place().await, stop);
        tokio::time::timeout(LINGER / 2, server.shutdown()).await.unwrap().unwrap();
    }
}
