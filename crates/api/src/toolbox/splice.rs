//! After a protocol switch: bytes both ways until one side ends.
//!
//! When one has, the other has a while to end as well. However long nothing is said before that: a terminal may be quiet for days. A client whose machine is gone is noticed by the
//! probes that every connection has, a daemon by the end of its sandbox. The client's connection keeps its place among
//! those that the operator allows.

use std::time::Instant;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::Instrument as _;

use super::parting::{FAREWELL, Parting};
use super::share::IN_THE_SERVER;
use crate::authentication::Validity;
use crate::metrics::OpenStream;
use crate::state::State;

/// How much of what a client says is moved at once, in bytes.
const SAID: usize = 8 << 10;
/// The least that is moved at once of what a daemon says. It is more where streams are few: logs are long, and each piece
/// costs a wake-up on either side.
const HEARD: usize = 16 << 10;

/// Joins the two sides of a switched connection in a task of its own, which ends with them, with the caller's key or
/// with the server.
pub(super) fn start(state: &State, validity: &Validity, client: OnUpgrade, daemon: OnUpgrade) {
    let ending = state.ending().clone();
    let validity = validity.clone();
    let splicing = async move {
        let begun = Instant::now();
        let _open = OpenStream::new();
        tokio::select! {
            () = ending.cancelled() => {}
            () = validity.ended() => tracing::info!("stream closed: its key works no more"),
            joined = join(client, daemon) => match joined {
                Ok((received, sent)) => {
                    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(received, sent, took_ms, "stream ended");
                }
                Err(error) => tracing::debug!(%error, "a switched connection broke"),
            }
        }
    };
    state.tasks().spawn(splicing.in_current_span());
}

/// How many bytes went to the daemon and how many came from it.
async fn join(client: OnUpgrade, daemon: OnUpgrade) -> std::io::Result<(u64, u64)> {
    let (client, daemon) = tokio::try_join!(client, daemon).map_err(std::io::Error::other)?;
    let mut client = Parting::new(TokioIo::new(client), FAREWELL);
    let mut daemon = Parting::new(TokioIo::new(daemon), FAREWELL);
    let heard = IN_THE_SERVER.take(HEARD);
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut daemon, SAID, heard.bytes()).await
}
