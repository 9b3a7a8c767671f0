//! A daemon that answers before it has read the whole request is still heard.
//!
//! A server may answer at any time and hang up (RFC 9112, 9.5 and 9.6). What is then still written to it fails, while
//! its answer lies ready to be read; hyper would give the answer up for the failed write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pitlane_control::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to a daemon on which nothing fails for being written too late: what nobody reads any more is dropped,
/// and the end of the connection is told by reading alone.
#[derive(Debug)]
pub(super) struct Patient {
    connection: Connection,
    is_deaf: bool,
}

impl Patient {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, is_deaf: false }
    }

    /// Writes unless the daemon hears nothing any more; then all `length` bytes count as written.
    fn write(
        &mut self,
        length: usize,
        write: impl FnOnce(Pin<&mut Connection>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(length));
        }
        match ready!(write(Pin::new(&mut self.connection))) {
            Err(error) if has_hung_up(&error) => {
                self.is_deaf = true;
                Poll::Ready(Ok(length))
            }
            written => Poll::Ready(written),
        }
    }
}

fn has_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(bytes.len(), |connection| connection.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.write(length, |connection| connection.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_though_the_daemon_hung_up_on_the_rest_of_the_request() {
        let (ours, mut daemon) = UnixStream::pair().unwrap();
        let mut ours = Patient::new(Box::new(ours));
        ours.write_all(b"the beginning").await.unwrap();
        daemon.write_all(b"enough").await.unwrap();
        drop(daemon);

        for _ in 0..3 {
            ours.write_all(&[0; 100_000]).await.unwrap();
            ours.flush().await.unwrap();
        }

        let mut answer = [0; 6];
        ours.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"enough");
    }
}
