//! A connection to a daemon or an application as a client of it needs it: patient with one that answers early, and with
//! one that never comes to its answer not for ever.
//!
//! One that answers before it has read the whole request is still heard.
//!
//! A server may answer at any time and hang up (RFC 9112, 9.5 and 9.6). What is then still written to it fails, while
//! its answer lies ready to be read; hyper would give the answer up for the failed write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much may be said before its answer begins. Announcements of an answer (statuses from 100 to 199) are read
/// and dropped, and without a bound a hostile one could send them for ever. Leaves room for the beginning of the body,
/// which may come before [`Answered::note`].
const MAX_PREAMBLE_BYTES: usize = 1024 * 1024;

/// Says that the answer has begun.
#[derive(Debug)]
pub(crate) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// From now on the other side may say as much as it likes.
    pub(crate) fn note(self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection on which nothing fails for being written too late: what nobody reads any more is dropped,
/// and the end of the connection is told by reading alone.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    connection: S,
    is_deaf: bool,
    has_answered: Arc<AtomicBool>,
    /// How much it has said before its answer.
    preamble: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Patient<S> {
    pub(crate) fn new(connection: S) -> (Self, Answered) {
        let has_answered = Arc::new(AtomicBool::new(false));
        let answered = Answered(Arc::clone(&has_answered));
        (Self { connection, is_deaf: false, has_answered, preamble: 0 }, answered)
    }

    /// Counts what was read, as long as there is no answer.
    fn count(&mut self, read: usize) -> io::Result<()> {
        if self.preamble > MAX_PREAMBLE_BYTES || self.has_answered.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.preamble += read;
        if self.preamble > MAX_PREAMBLE_BYTES {
            return Err(io::Error::other("the other side talks and does not answer"));
        }
        Ok(())
    }

    /// Writes unless the other side hears nothing any more; then all `length` bytes count as written.
    fn write(
        &mut self,
        length: usize,
        write: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<usize>>,
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        Poll::Ready(self.count(read))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
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
        let (mut ours, _answered) = Patient::new(ours);
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
    /// Reads until the daemon was read out or refused, and says how much there was.
    async fn read_all(ours: &mut Patient<UnixStream>) -> io::Result<usize> {
        let (mut buffer, mut count) = (vec![0; 64 * 1024], 0);
        loop {
            match ours.read(&mut buffer).await? {
                0 => return Ok(count),
                read => count += read,
            }
        }
    }

    #[tokio::test]
    async fn a_daemon_that_talks_without_answering_is_cut_off_and_one_that_answers_is_not() {
        let talk = vec![b'x'; 4 * MAX_PREAMBLE_BYTES];
        for has_answered in [false, true] {
            let (ours, mut daemon) = UnixStream::pair().unwrap();
            let (mut ours, answered) = Patient::new(ours);
            let talking = async {
                // Whoever is cut off cannot say all of it.
                let _said = daemon.write_all(&talk).await;
                drop(daemon);
            };
            let reading = async {
                if has_answered {
                    answered.note();
                }
                let read = read_all(&mut ours).await;
                drop(ours);
                read.ok()
            };
            let (read, ()) = tokio::join!(reading, talking);
            assert_eq!(read, has_answered.then_some(talk.len()));
        }
    }
}
