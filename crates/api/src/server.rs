//! Accepting connections and serving them until told to stop.

mod linger;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pitlane_control::Control;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::router;
use crate::state::{ApiSettings, State};

use self::linger::Lingering;

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(75);

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most headers a request may have.
const MAX_HEADERS: usize = 128;

/// How long requests in flight may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when connections cannot be accepted, for lack of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The Daytona-compatible rim over a [`Control`].
#[derive(Debug)]
pub struct Api {
    state: State,
    router: Router,
    events: Events,
}

impl Api {
    /// Puts the rim together. Nothing is served before [`Api::serve`].
    #[must_use]
    pub fn new(control: Control, settings: ApiSettings) -> Self {
        let state = State::new(control, settings);
        let (layer, events) = Events::new(&state);
        let router = router::of(state.clone(), layer);
        Self { state, router, events }
    }

    /// Serves connections of `listener` until `stop` is cancelled, then lets requests in flight end for ten seconds.
    ///
    /// What is still in flight after that is cut off; commands in sandboxes run on. Dropping the future cuts off at
    /// once.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let Self { state, router, events } = self;
        let ending = state.ending().clone();
        let _cut_off = ending.clone().drop_guard();
        let happening = state.control().events();
        state.tasks().spawn(events.run(state.clone(), happening, stop.clone()));
        accept(&state, &listener, &router, &stop).await;
        drop(listener);
        state.tasks().close();
        if tokio::time::timeout(GRACE, state.tasks().wait()).await.is_err() {
            tracing::info!(grace_s = GRACE.as_secs(), "cutting off requests in flight");
        }
        ending.cancel();
        state.tasks().wait().await;
    }
}

async fn accept(state: &State, listener: &TcpListener, router: &Router, stop: &CancellationToken) {
    let places = Arc::new(Semaphore::new(state.settings().max_connections));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (place, Ok((stream, _))) => {
                let serving = serve_connection(stream, router.clone(), stop.clone());
                let ending = state.ending().clone();
                state.tasks().spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = ending.cancelled() => {}
                        () = serving => {}
                    }
                });
            }
            (_, Err(error)) => {
                if !concerns_one_connection(&error) {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused
    )
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

async fn serve_connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    if let Err(error) = configure(&stream) {
        tracing::debug!(%error, "cannot configure a connection");
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    let service = TowerToHyperService::new(router);
    let stream = TokioIo::new(Lingering::new(stream, stop.clone()));
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
