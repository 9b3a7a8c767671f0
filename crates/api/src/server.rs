//! Accepting connections and serving them until told to stop.

mod connection;
mod linger;
mod place;
mod slash;

use std::io;
use std::time::Duration;

use axum::Router;
use pitlane_control::Control;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::events::Events;
use crate::state::{ApiSettings, State};
use crate::{beside, router};

use self::connection::Reception;
use self::place::Places;

/// How long requests in flight may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when connections cannot be accepted, for lack of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where clients come in, open before there is anything to serve them.
///
/// Until [`Door::admit`], questions about the server's health are answered at once, and all others wait for a while:
/// a server that starts again is a pause to its clients and no failure. Dropping a door cuts off whoever came in.
#[derive(Debug)]
pub struct Door {
    stop: CancellationToken,
    admitted: watch::Sender<Option<Router>>,
    tasks: TaskTracker,
    ending: CancellationToken,
    _cut_off: DropGuard,
}

impl Door {
    /// Begins to accept connections of `listener`, at most `max_connections` at the same time, until `stop` is
    /// cancelled. Must be called in a runtime. `name` is the door's in metrics.
    #[must_use]
    pub fn open(
        listener: TcpListener,
        name: &'static str,
        max_connections: usize,
        stop: CancellationToken,
    ) -> Self {
        let (admitted, waiting) = watch::channel(None);
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        let entrance = Entrance {
            listener,
            places: Places::new(name, max_connections),
            reception: Reception::new(waiting),
            tasks: tasks.clone(),
            ending: ending.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(entrance.accept());
        Self { stop, admitted, tasks, _cut_off: ending.clone().drop_guard(), ending }
    }

    /// Lets in whoever waits: requests are answered by the rim over `control` from now on.
    pub fn admit(&self, control: Control, settings: ApiSettings) {
        self.admit_with(control, settings, Router::new());
    }

    /// Like [`Door::admit`], with routes of another rim beside this one's.
    pub fn admit_with(&self, control: Control, settings: ApiSettings, routes: Router) {
        // One token for all: whoever notices that a client is gone knows whether the server is going as well.
        let state = State::new(control, settings, self.tasks.clone(), self.ending.clone());
        let (layer, events) = Events::new(&state);
        let happening = state.control().events();
        self.tasks.spawn(events.run(state.clone(), happening, self.stop.clone()));
        self.answer_by(router::of(state, layer).merge(beside::of(routes)));
    }

    /// Lets in whoever waits, to the routes of another rim alone.
    pub fn admit_to(&self, routes: Router) {
        self.answer_by(beside::of(routes));
    }

    /// Has requests answered by `router` from now on.
    pub(crate) fn answer_by(&self, router: Router) {
        self.admitted.send_replace(Some(router));
    }

    /// Serves until told to stop, then lets requests in flight end for ten seconds.
    ///
    /// What is still in flight after that is cut off; commands in sandboxes run on. Dropping the future cuts off at
    /// once.
    pub async fn serve(self) {
        self.stop.cancelled().await;
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!(grace_s = GRACE.as_secs(), "cutting off requests in flight");
        }
        self.ending.cancel();
        self.tasks.wait().await;
    }
}

/// What accepts connections.
struct Entrance {
    listener: TcpListener,
    places: Places,
    reception: Reception,
    tasks: TaskTracker,
    ending: CancellationToken,
    stop: CancellationToken,
}

impl Entrance {
    async fn accept(self) {
        let Self { listener, places, reception, tasks, ending, stop } = self;
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                () = ending.cancelled() => return,
                accepted = async {
                    let place = places.take().await;
                    (place, listener.accept().await)
                } => accepted,
            };
            match accepted {
                (place, Ok((stream, _))) => {
                    let serving =
                        connection::serve(stream, place.occupy(), reception.clone(), stop.clone());
                    let ending = ending.clone();
                    tasks.spawn(async move {
                        tokio::select! {
                            biased;
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
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused
    )
}
