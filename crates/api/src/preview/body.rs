//! Bodies of previews: a visitor's, whose progress is noted, and an application's, which ends with the visit.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use pitlane_control::Place;

use super::headers;

/// When something last came of a request.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A visitor's body.
#[derive(Debug)]
pub(super) struct Sent {
    body: Body,
    progress: Progress,
}

impl Sent {
    pub(super) const fn new(body: Body, progress: Progress) -> Self {
        Self { body, progress }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.progress.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Completes when a visit is to end.
pub(super) type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An application's body. Broken off when the visit ends: never does it look complete.
pub(super) struct Told {
    body: Option<Incoming>,
    ended: Ended,
    _place: Place,
}

/// A visit ended in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the preview is not open to this visitor any more")]
struct VisitEnded;

impl Told {
    pub(super) const fn new(body: Incoming, ended: Ended, place: Place) -> Self {
        Self { body: Some(body), ended, _place: place }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("body", &self.body).finish_non_exhaustive()
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if this.ended.as_mut().poll(context).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err(axum::Error::new(VisitEnded))));
        }
        Pin::new(body).poll_frame(context).map(|frame| {
            frame.map(|frame| match frame {
                Ok(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        headers::clean_trailers(trailers);
                    }
                    Ok(frame)
                }
                Err(error) => Err(axum::Error::new(error)),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}
