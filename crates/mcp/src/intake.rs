//! Bodies of requests, read within bounds: each has a largest length and a deadline, and there are only so many long ones at
//! the same time, however many send.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics;

/// The largest body of a request, in bytes: files go in it as text.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// How long a body may take to arrive.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// What is no long body, in bytes.
const SHORT: usize = 64 << 10;
/// How many long ones there may be, from their first byte until their request is answered.
const MOST_LONG: usize = 64;

/// Where bodies are read.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    long: Arc<Semaphore>,
    deadline: Duration,
}

/// A body that has arrived. It holds its place among long ones as long as it lives.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// It is too long.
    #[error("a request may have {MAX_BYTES} bytes; write large files in parts")]
    Long,
    /// It did not arrive in time.
    #[error("the body did not come within {} s", DEADLINE.as_secs())]
    Late,
    /// There is no room for one more that is long.
    #[error("too many long requests are under way on this server; make this one again in a moment")]
    Full,
    /// It did not arrive.
    #[error("the body ended too soon")]
    Broken(#[source] axum::Error),
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self { long: Arc::new(Semaphore::new(MOST_LONG)), deadline: DEADLINE }
    }

    /// Reads all of a body.
    ///
    /// # Errors
    ///
    /// [`IntakeError`]: see its variants. It is counted among what was refused.
    pub(crate) async fn read(&self, body: Body) -> Result<Taken, IntakeError> {
        let read = tokio::time::timeout(self.deadline, self.whole(body)).await;
        let read = read.unwrap_or(Err(IntakeError::Late));
        if read.is_err() {
            metrics::refused("body");
        }
        read
    }

    async fn whole(&self, mut body: Body) -> Result<Taken, IntakeError> {
        let (mut bytes, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(IntakeError::Broken)?;
            let Some(piece) = frame.data_ref() else { continue };
            if bytes.len().saturating_add(piece.len()) > MAX_BYTES {
                return Err(IntakeError::Long);
            }
            if bytes.len().saturating_add(piece.len()) > SHORT && place.is_none() {
                // Whoever waited would hold what has come so far.
                let found = Arc::clone(&self.long).try_acquire_owned();
                place = Some(found.map_err(|_full| IntakeError::Full)?);
            }
            bytes.extend_from_slice(piece);
        }
        Ok(Taken { bytes: bytes.freeze(), place })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for_and_one_without_end_is_not_kept() {
        let intake = Intake { deadline: Duration::from_millis(50), ..Intake::new() };
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let slow = Body::from_stream(begun.chain(stream::pending()));
        assert!(matches!(intake.read(slow).await, Err(IntakeError::Late)));
        let endless = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])));
        let intake = Intake::new();
        let refused = intake.read(Body::from_stream(endless)).await;
        assert!(matches!(refused, Err(IntakeError::Long)));
        let whole = intake.read(Body::from("{}")).await.unwrap();
        assert_eq!((&whole.bytes[..], whole.place.is_none()), (&b"{}"[..], true));
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_long_bodies_and_for_short_ones_always() {
        let intake = Intake::new();
        let long = || Body::from(vec![b' '; SHORT + 1]);
        let mut taken = Vec::new();
        for _ in 0..MOST_LONG {
            taken.push(intake.read(long()).await.unwrap());
        }
        assert!(matches!(intake.read(long()).await, Err(IntakeError::Full)));
        assert!(intake.read(Body::from(vec![b' '; SHORT])).await.is_ok());
        taken.pop();
        assert!(intake.read(long()).await.is_ok());
    }
}
