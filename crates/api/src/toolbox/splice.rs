//! After a protocol switch: bytes both ways until one side ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::state::State;

/// Joins the two sides of a switched connection in a task of its own, which ends with them or with the server.
pub(super) fn start(state: &State, client: OnUpgrade, daemon: OnUpgrade) {
    let ending = state.ending().clone();
    state.tasks().spawn(async move {
        tokio::select! {
            () = ending.cancelled() => {}
            joined = join(client, daemon) => if let Err(error) = joined {
                tracing::debug!(%error, "a switched connection broke");
            }
        }
    });
}

async fn join(client: OnUpgrade, daemon: OnUpgrade) -> std::io::Result<()> {
    let (client, daemon) = tokio::try_join!(client, daemon).map_err(std::io::Error::other)?;
    let (mut client, mut daemon) = (TokioIo::new(client), TokioIo::new(daemon));
    tokio::io::copy_bidirectional(&mut client, &mut daemon).await.map(drop)
}
