//! One connection, from accepted to closed.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::linger::Lingering;
use super::place::Place;
use super::slash;
use crate::bypass::Inlet;
use crate::{health, router, toolbox};

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(75);

/// How much is read from a client or kept for it at once, in bytes. Files go through here, and each piece wakes two
/// tasks.
const BUFFER_BYTES: usize = 256 * 1024;

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most headers a request may have.
const MAX_HEADERS: usize = 128;

/// How long a request that comes while the server starts waits for it.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Which router answers: that of a server that starts, or the one that was let in since.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    starting: Router,
    admitted: watch::Receiver<Option<Router>>,
}

impl Reception {
    pub(super) fn new(admitted: watch::Receiver<Option<Router>>) -> Self {
        Self { starting: router::of_a_start(), admitted }
    }

    async fn answer(mut self, mut request: Request<Incoming>) -> Result<Response, Infallible> {
        if head_bytes(&request) > MAX_HEAD_BYTES {
            return Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
        }
        if let Some(address) = slash::without_last(request.uri()) {
            *request.uri_mut() = address;
        }
        let router = self.router(request.uri().path()).await;
        TowerToHyperService::new(router).call(request).await
    }

    async fn router(&mut self, path: &str) -> Router {
        let admitted = self.admitted.borrow().clone();
        if let Some(router) = admitted {
            return router;
        }
        if path.starts_with(health::PATH) {
            return self.starting.clone();
        }
        let admitted = self.admitted.wait_for(Option::is_some);
        match tokio::time::timeout(START_PATIENCE, admitted).await {
            Ok(Ok(router)) => router.clone().unwrap_or_else(|| self.starting.clone()),
            // It takes longer than that, or comes to nothing.
            Ok(Err(_)) | Err(_) => self.starting.clone(),
        }
    }
}

/// How large a head is, near enough: what is written once in each line is counted with it.
fn head_bytes(request: &Request<Incoming>) -> usize {
    let uri = request.uri();
    let line = request.method().as_str().len() + uri.path().len() + uri.query().map_or(0, str::len);
    let fields = request.headers().iter();
    line + fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// Serves one connection until it ends or becomes a stream of another protocol.
pub(super) async fn serve(
    stream: TcpStream,
    place: Place,
    reception: Reception,
    stop: CancellationToken,
) {
    serve_until(HEAD_DEADLINE, stream, place, reception, stop).await;
}

async fn serve_until(
    head_deadline: Duration,
    stream: TcpStream,
    place: Place,
    reception: Reception,
    stop: CancellationToken,
) {
    if let Err(error) = configure(&stream) {
        tracing::debug!(%error, "cannot configure a connection");
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(head_deadline)
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER_BYTES);
    let stream = Inlet::new(stream);
    let gate = stream.gate();
    let service = service_fn(move |mut request| {
        // Here and now, before hyper reads on.
        if toolbox::is_bypassable(&request) {
            request.extensions_mut().insert(gate.hold());
        }
        reception.clone().answer(request)
    });
    let stream = TokioIo::new(Lingering::new(stream, place, stop.clone()));
    let mut connection = pin!(builder.serve_connection(stream, service).with_upgrades());
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Answers are small and awaited: none of them may wait for a second segment. A client whose machine is gone is
/// noticed in two minutes, so that its command does not run for ever.
fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::place::Places;
    use super::*;

    /// Sends this and then nothing more: what comes back before the server hangs up.
    async fn answered_to(sent: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_admitted, reception) = {
            let (admitted, waiting) = watch::channel(Some(router::of_a_start()));
            (admitted, Reception::new(waiting))
        };
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let place = Places::new("test", 1).take().await.occupy();
            let deadline = Duration::from_millis(50);
            serve_until(deadline, stream, place, reception, CancellationToken::new()).await;
        };
        let both = async { tokio::join!(client, server).0 };
        tokio::time::timeout(HEAD_DEADLINE / 2, both).await.unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        for sent in [&b""[..], b"GET /api/health HTTP/1.1\r\nhost: h\r\nx: "] {
            assert_eq!(answered_to(sent).await, "");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_not_used_any_more_is_closed() {
        let answer = answered_to(b"GET /api/health HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}
