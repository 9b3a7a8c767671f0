//! One side of a switched connection, of which the other side has ended.
//!
//! It is told, and has a while to end as well. Whatever it says or does not say after that, the connection is over: a
//! daemon that never hung up would hold its clients' places for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long. A daemon waits for five seconds until a client has heard why it closes.
pub(crate) const FAREWELL: Duration = Duration::from_secs(30);

/// A side of a connection.
#[derive(Debug)]
pub(crate) struct Parting<S> {
    stream: S,
    farewell: Duration,
    /// There from the end of the other side on.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Parting<S> {
    /// One that has so long after the other side's end.
    pub(crate) const fn new(stream: S, farewell: Duration) -> Self {
        Self { stream, farewell, end: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Parting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Parting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let farewell = self.farewell;
        self.end.get_or_insert_with(|| Box::pin(sleep(farewell)));
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional, duplex};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_side_that_does_not_end_after_the_other_is_left_after_a_while() {
        for talks in [false, true] {
            let (mut client, other) = duplex(64);
            let (mut daemon, another) = duplex(64);
            let (mut other, mut another) =
                (Parting::new(other, SHORT), Parting::new(another, SHORT));
            client.write_all(b"bye").await.unwrap();
            client.shutdown().await.unwrap();
            let talking = async {
                let mut heard = [0; 3];
                daemon.read_exact(&mut heard).await.unwrap();
                while talks && daemon.write_all(b"and another thing").await.is_ok() {
                    tokio::task::yield_now().await;
                }
                std::future::pending::<()>().await;
            };
            let listening = async {
                while client.read_u8().await.is_ok() {}
                std::future::pending::<()>().await;
            };
            let begun = tokio::time::Instant::now();
            let joined = tokio::select! {
                joined = copy_bidirectional(&mut other, &mut another) => joined,
                () = talking => unreachable!(),
                () = listening => unreachable!(),
            };
            assert_eq!(joined.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= SHORT);
        }
    }

    #[tokio::test]
    async fn what_is_still_said_in_time_is_passed_on() {
        let (mut client, other) = duplex(64);
        let (mut daemon, another) = duplex(64);
        let mut other = Parting::new(other, FAREWELL);
        let mut another = Parting::new(another, FAREWELL);
        client.shutdown().await.unwrap();
        let talking = async {
            assert_eq!(daemon.read(&mut [0]).await.unwrap(), 0);
            daemon.write_all(b"bye").await.unwrap();
            drop(daemon);
        };
        let (joined, ()) = tokio::join!(copy_bidirectional(&mut other, &mut another), talking);
        assert_eq!(joined.unwrap(), (0, 3));
        drop(other);
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "bye");
    }
}
