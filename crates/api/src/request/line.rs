//! One line in the log for each request, written when its answer is complete or has broken off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pitlane_model::{OrganizationId, SandboxId};
use tracing::{Level, Span};

use super::{About, AskedBy, Notes, RequestId, Route};
use crate::metrics::Answered;
use crate::{events, health, metrics, toolbox};

/// What answers if no route does.
const UNMATCHED: &str = "unmatched";

/// What is known of a request so far. Dropped, it is written down.
#[derive(Debug)]
pub(super) struct Line {
    id: RequestId,
    method: Method,
    path: String,
    begun: Instant,
    sandbox: Option<SandboxId>,
    received: Arc<AtomicU64>,
    sent: u64,
    answer: Option<Answer>,
    is_complete: bool,
    is_refused: bool,
}

/// What is known once an answer has begun.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    route: String,
    organization: Option<OrganizationId>,
    until_head: Duration,
}

impl Line {
    pub(super) fn begin(id: RequestId, method: &Method, path: &str) -> Self {
        metrics::request_began();
        Self {
            id,
            method: method.clone(),
            path: path.to_owned(),
            begun: Instant::now(),
            sandbox: sandbox_in(path),
            received: Arc::default(),
            sent: 0,
            answer: None,
            is_complete: false,
            is_refused: false,
        }
    }

    /// This server itself refuses it or fails at it.
    pub(super) const fn refused(&mut self) {
        self.is_refused = true;
    }

    /// Counts what the request's body brings.
    pub(super) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// What every other line about this request is marked with.
    pub(super) fn span(&self) -> Span {
        let sandbox = self.sandbox.map(tracing::field::display);
        tracing::info_span!("request", request = %self.id, sandbox)
    }

    /// The answer has begun.
    pub(super) fn answered(&mut self, response: &Response, notes: &Notes) {
        let extensions = response.extensions();
        self.sandbox = self.sandbox.or_else(|| extensions.get().map(|About(id)| *id));
        let answer = Answer {
            status: response.status(),
            route: self.route(response),
            organization: extensions.get().map(|AskedBy(id)| *id).or_else(|| notes.organization()),
            until_head: self.begun.elapsed(),
        };
        metrics::request_answered(&Answered {
            method: &self.method,
            route: &answer.route,
            status: answer.status,
            until_head: answer.until_head,
        });
        // To this no body is sent, whatever the response has.
        self.is_complete = self.method == Method::HEAD;
        self.answer = Some(answer);
    }

    fn route(&self, response: &Response) -> String {
        match response.extensions().get::<Route>() {
            Some(Route(matched)) if matched.as_str() == toolbox::ROUTE => {
                toolbox::template(&self.method, &self.path)
            }
            Some(Route(matched)) => matched.as_str().to_owned(),
            None if self.path.starts_with(events::PATH) => events::PATH.to_owned(),
            None => UNMATCHED.to_owned(),
        }
    }

    fn interface(&self) -> &'static str {
        if self.path.starts_with(toolbox::PREFIX) {
            "toolbox"
        } else if self.path.starts_with(events::PATH) {
            "events"
        } else {
            "control"
        }
    }

    /// Health is asked for all day, and what changes in it has a line of its own; what this server failed at is for the
    /// operator, what fails in a sandbox is not.
    fn level(&self) -> Level {
        match &self.answer {
            Some(_) if self.path.starts_with(health::PATH) => Level::DEBUG,
            Some(answer) if self.is_refused && is_failure(answer.status) => Level::WARN,
            _ => Level::INFO,
        }
    }
}

/// Whether an operator should look at it: a refusal by design is none.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

impl Drop for Line {
    fn drop(&mut self) {
        macro_rules! write_at {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request = %self.id,
                    method = %self.method,
                    route = self.answer.as_ref().map(|answer| answer.route.as_str()),
                    sandbox = self.sandbox.map(tracing::field::display),
                    organization = self
                        .answer
                        .as_ref()
                        .and_then(|answer| answer.organization)
                        .map(tracing::field::display),
                    status = self.answer.as_ref().map(|answer| answer.status.as_u16()),
                    received = self.received.load(Ordering::Relaxed),
                    sent = self.sent,
                    head_us = self.answer.as_ref().map(|answer| micros(answer.until_head)),
                    took_us = micros(self.begun.elapsed()),
                    complete = self.is_complete,
                    "request"
                )
            };
        }
        let received = self.received.load(Ordering::Relaxed);
        metrics::request_ended(self.interface(), received, self.sent, self.is_complete);
        match self.level() {
            Level::WARN => write_at!(Level::WARN),
            Level::DEBUG => write_at!(Level::DEBUG),
            _ => write_at!(Level::INFO),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The sandbox that a path names by its id.
fn sandbox_in(path: &str) -> Option<SandboxId> {
    let rest = path.strip_prefix(toolbox::PREFIX).or_else(|| path.strip_prefix("/api/sandbox/"))?;
    rest.split('/').next()?.parse().ok()
}

/// A request's body whose bytes are counted.
#[derive(Debug)]
pub(super) struct Received {
    body: Body,
    count: Arc<AtomicU64>,
}

impl Received {
    pub(super) fn count(body: Body, count: Arc<AtomicU64>) -> Body {
        if body.is_end_stream() { body } else { Body::new(Self { body, count }) }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.count.fetch_add(data_length(frame.as_ref()), Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, at whose end the request's line is written.
#[derive(Debug)]
pub(super) struct Told {
    body: Body,
    line: Option<Line>,
}

impl Told {
    pub(super) fn tell(body: Body, mut line: Line) -> Body {
        if body.is_end_stream() {
            line.is_complete = true;
            return body;
        }
        Body::new(Self { body, line: Some(line) })
    }

    /// Writes the line now, before the client can know that the answer is complete.
    fn complete(&mut self) {
        if let Some(mut line) = self.line.take() {
            line.is_complete = true;
        }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(line) = &mut self.line {
            line.sent += data_length(frame.as_ref());
        }
        let is_end = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_end {
            self.complete();
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

fn data_length(frame: Option<&Result<Frame<Bytes>, axum::Error>>) -> u64 {
    let data = frame.and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
    data.map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}
