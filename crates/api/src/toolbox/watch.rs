//! Noticing that a client went away, and telling the daemon.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use pitlane_control::Presence;
use pitlane_model::{OrganizationId, SandboxId};
use tracing::Instrument as _;

use crate::metrics;
use crate::refusal::Refusal;
use crate::request::RequestId;
use crate::state::State;

/// How long telling a daemon may take.
const CANCEL_DEADLINE: Duration = Duration::from_secs(10);

/// Tells the daemon to end a request unless it was disarmed first.
///
/// hyper drops a handler's future or an answer's body when its client has gone, and this with it. A server on its way
/// out drops them too, and then nothing is said.
#[derive(Debug)]
pub(super) struct CancelOnDrop(Option<Cancellation>);

#[derive(Debug)]
struct Cancellation {
    state: State,
    organization: OrganizationId,
    sandbox: SandboxId,
    request: RequestId,
}

impl CancelOnDrop {
    pub(super) fn new(
        state: State,
        organization: OrganizationId,
        sandbox: SandboxId,
        request: Option<RequestId>,
    ) -> Self {
        Self(request.map(|request| Cancellation { state, organization, sandbox, request }))
    }

    /// The answer is complete: nothing is left to end.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(cancellation) = self.0.take() else { return };
        let Cancellation { state, request, sandbox, .. } = &cancellation;
        let span = tracing::info_span!("cancel", %request, %sandbox);
        let state = state.clone();
        if state.ending().is_cancelled() {
            return;
        }
        metrics::request_cancelled();
        let telling = async move {
            let told = tokio::time::timeout(CANCEL_DEADLINE, cancellation.tell()).await;
            match told {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => tracing::debug!(?refusal, "a daemon could not be told"),
                Err(elapsed) => tracing::debug!(%elapsed, "a daemon could not be told"),
            }
        };
        state.tasks().spawn(telling.instrument(span));
    }
}

impl Cancellation {
    async fn tell(self) -> Result<(), Refusal> {
        let sandboxes = self.state.control().sandboxes();
        // Whoever has gone uses nothing any more.
        let connecting = sandboxes.connect(self.organization, self.sandbox, Presence::Unnoticed);
        let sender = super::connect(&self.state, connecting, super::Way::default()).await?;
        let request = http::Request::post(format!("/pitlane/cancel/{}", self.request))
            .header(http::header::HOST, "daemon")
            .body(Body::empty())
            .map_err(|error| {
                Refusal::failed(
                    http::StatusCode::INTERNAL_SERVER_ERROR,
                    "the cancellation could not be written",
                    error,
                )
            })?;
        let response = super::send(&self.state, sender, request).await?;
        tracing::debug!(request = %self.request, status = response.status().as_u16(), "cancelled");
        Ok(())
    }
}

/// A daemon's answer on its way to the client; dropped before its end, it cancels the request.
#[derive(Debug)]
pub(super) struct Watched {
    body: Incoming,
    guard: Option<CancelOnDrop>,
}

impl Watched {
    pub(super) fn new(body: Incoming, guard: CancelOnDrop) -> Self {
        let mut watched = Self { body, guard: Some(guard) };
        watched.disarm_at_end();
        watched
    }

    fn disarm_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.disarm();
        }
    }

    fn disarm(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            // A broken connection to the daemon is no reason to end the command: the client is still there.
            None | Some(Err(_)) => self.disarm(),
            Some(Ok(_)) => self.disarm_at_end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
