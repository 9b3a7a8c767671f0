//! The event channel: Socket.IO under `/api/socket.io/`.
//!
//! A client connects over a WebSocket, shows its key in the first packet and then hears of every change to a sandbox
//! of its organization. Clients wait on it instead of asking again and again. Nobody can ask anything here: what
//! clients send is not read.

use std::fmt;
use std::time::Duration;

use pitlane_control::{Event, Principal};
use pitlane_model::{OrganizationId, SandboxState};
use pitlane_wire::control as wire;
use serde::Deserialize;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler as _;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{SocketIo, TransportType};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::address::Origin;
use crate::authentication::EVENTS;
use crate::convert;
use crate::metrics;
use crate::state::State;

/// Where the channel lives. Clients put it behind the path of their API address.
pub(crate) const PATH: &str = "/api/socket.io";

/// How long a client may take to show its key.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The largest packet of a client, in bytes: a key and little more.
const MAX_PACKET_BYTES: u64 = 16 * 1024;

const CREATED: &str = "sandbox.created";
const STATE_UPDATED: &str = "sandbox.state.updated";
const VOLUME_CREATED: &str = "volume.created";
const VOLUME_STATE_UPDATED: &str = "volume.state.updated";
/// Not of the reference, whose clients pass over names that they do not know.
const MEMORY_EXHAUSTED: &str = "sandbox.memory.exhausted";

/// What a client shows when it connects.
#[derive(Deserialize)]
struct Credentials {
    token: String,
}

/// The answer to a client without a valid key.
#[derive(Debug)]
struct Unauthorized;

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unauthorized")
    }
}

/// The sockets of all clients.
#[derive(Debug)]
pub(crate) struct Events {
    sockets: SocketIo,
}

impl Events {
    /// Makes the channel and the layer that takes its requests out of the router's.
    pub(crate) fn new(state: &State) -> (SocketIoLayer, Self) {
        let (layer, sockets) = SocketIo::builder()
            .req_path(PATH)
            .transports([TransportType::Websocket])
            .connect_timeout(CONNECT_DEADLINE)
            .max_payload(MAX_PACKET_BYTES)
            .ws_max_message_size(usize::try_from(MAX_PACKET_BYTES).unwrap_or(usize::MAX))
            .ws_max_frame_size(usize::try_from(MAX_PACKET_BYTES).unwrap_or(usize::MAX))
            .build_layer();
        let state = state.clone();
        let joining = state.clone();
        let join = move |socket: SocketRef| {
            let state = joining.clone();
            async move { join(&state, socket) }
        };
        let authenticate = move |socket: SocketRef, TryData(shown): TryData<Credentials>| {
            let state = state.clone();
            async move { authenticate(&state, &socket, shown.ok()) }
        };
        sockets.ns("/", join.with(authenticate));
        (layer, Self { sockets })
    }

    /// Tells clients what happens until the server stops, then closes their sockets.
    pub(crate) async fn run(
        self,
        state: State,
        mut happening: Receiver<Event>,
        stop: CancellationToken,
    ) {
        let mut endings = state.control().keys().endings();
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = endings.changed() => {
                    self.close_ended(&state);
                    continue;
                }
                next = happening.recv() => next,
            };
            match next {
                Ok(event) => self.tell(&state, &event),
                // Clients also ask for the state from time to time, so a missed event costs them a second.
                Err(RecvError::Lagged(missed)) => {
                    metrics::events_missed(missed);
                    tracing::warn!(missed, "events were not told");
                }
                Err(RecvError::Closed) => break,
            }
        }
        self.sockets.close().await;
    }

    /// Closes the sockets whose keys work no more.
    fn close_ended(&self, state: &State) {
        for socket in self.sockets.sockets() {
            // One without is only just showing its key.
            if socket.extensions.get::<Principal>().is_some() && !is_valid(state, &socket) {
                close(socket);
            }
        }
    }

    /// Sends one event to the sockets of its organization.
    fn tell(&self, state: &State, event: &Event) {
        for socket in self.sockets.to(room(event.organization())).sockets() {
            let headers = &socket.req_parts().headers;
            let origin = Origin::of(state.settings().public_url.as_ref(), headers);
            let (true, Some(origin)) = (is_valid(state, &socket), origin) else {
                close(socket);
                continue;
            };
            if let Err(error) = send(&socket, event, &origin) {
                // A client that does not read loses events; it asks for the state anyway when it is unsure.
                tracing::debug!(%error, "a client missed an event");
            }
        }
    }
}

/// Whether the key that a socket showed still works.
fn is_valid(state: &State, socket: &SocketRef) -> bool {
    let principal = socket.extensions.get::<Principal>();
    principal.is_some_and(|shown| !state.control().keys().validity(&shown).is_cancelled())
}

fn close(socket: SocketRef) {
    if let Err(error) = socket.disconnect() {
        tracing::debug!(%error, "a socket could not be closed");
    }
}

fn send(socket: &SocketRef, event: &Event, origin: &Origin) -> Result<(), socketioxide::SendError> {
    match event {
        Event::SandboxCreated { sandbox } => {
            socket.emit(CREATED, &convert::sandbox(sandbox, origin))
        }
        Event::SandboxStateUpdated { sandbox, old, new } => {
            if waits_for_image(*old) && !waits_for_image(*new) {
                // The SDKs take no more than the state from an update. Now there is more to say: its user, or why it
                // failed.
                socket.emit(CREATED, &convert::sandbox(sandbox, origin))?;
            }
            let updated = wire::StateUpdated {
                sandbox: convert::sandbox(sandbox, origin),
                old_state: old.as_str().to_owned(),
                new_state: new.as_str().to_owned(),
            };
            socket.emit(STATE_UPDATED, &updated)
        }
        Event::VolumeCreated { volume } => socket.emit(VOLUME_CREATED, &convert::volume(volume)),
        Event::VolumeStateUpdated { volume, old, new } => {
            let updated = wire::VolumeStateUpdated {
                volume: convert::volume(volume),
                old_state: old.as_str().to_owned(),
                new_state: new.as_str().to_owned(),
            };
            socket.emit(VOLUME_STATE_UPDATED, &updated)
        }
        Event::MemoryRanOut { sandbox, killed } => {
            let sandbox = convert::sandbox(sandbox, origin);
            socket.emit(MEMORY_EXHAUSTED, &wire::MemoryExhausted { sandbox, killed: *killed })
        }
    }
}

const fn waits_for_image(state: SandboxState) -> bool {
    use SandboxState as S;
    matches!(state, S::PendingBuild | S::BuildingSnapshot | S::PullingSnapshot)
}

fn authenticate(
    state: &State,
    socket: &SocketRef,
    shown: Option<Credentials>,
) -> Result<(), Unauthorized> {
    let token = shown.ok_or(Unauthorized)?.token;
    let principal = state.control().keys().authenticate(&token).map_err(|error| {
        tracing::debug!(%error, "a client showed no valid key");
        Unauthorized
    })?;
    if !EVENTS.iter().any(|permission| principal.may(*permission)) {
        tracing::debug!("a client's key is not for sandboxes");
        return Err(Unauthorized);
    }
    socket.extensions.insert(principal);
    Ok(())
}

fn join(state: &State, socket: SocketRef) {
    if !is_valid(state, &socket) {
        // Revoked since it was shown.
        close(socket);
    } else if let Some(principal) = socket.extensions.get::<Principal>() {
        socket.join(room(principal.organization));
        metrics::event_socket_opened();
        socket.on_disconnect(async || metrics::event_socket_closed());
    }
}

fn room(organization: OrganizationId) -> String {
    organization.to_string()
}
