//! The resolver of a router's sandboxes.
//!
//! ```text
//! sandbox ── gateway:53 (UDP, TCP) ── question ── policy ── cache ── upstream (far namespace)
//! ```
//!
//! It answers names the way the packet filter treats addresses: an address that cannot be reached is not answered, so
//! a name cannot be used to point at the host or at a private service. There is no IPv6 path, so there are no IPv6
//! addresses. What it cannot answer it refuses at once; only what is malformed gets no answer at all.

mod answer;
mod cache;
mod desk;
mod question;
mod service;
mod upstream;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Upstreams;
use crate::egress::Egress;
use crate::resident::{ResidentGone, Residents};
use desk::Desk;
use upstream::Upstream;

const PORT: u16 = 53;

/// A resolver at work. Dropping it ends its tasks.
#[derive(Debug)]
pub(crate) struct Resolver {
    tasks: TaskTracker,
    ended: CancellationToken,
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The gateway's port 53 cannot be had: another server may still be at work.
    #[error("cannot listen on port 53 of the gateway")]
    Listen(#[source] io::Error),
    /// The router's threads ended.
    #[error(transparent)]
    Gone(#[from] ResidentGone),
}

impl Resolver {
    /// Listens on the gateway. Without a far namespace every name fails at once.
    pub(crate) async fn start(
        router: &Residents,
        far: Option<Arc<Residents>>,
        egress: Egress,
        upstreams: Upstreams,
    ) -> Result<Self, ResolverError> {
        let gateway = egress.subnet().gateway();
        let (udp, tcp) =
            router.run(move |_router| listen(gateway)).await?.map_err(ResolverError::Listen)?;
        let udp = tokio::net::UdpSocket::from_std(udp).map_err(ResolverError::Listen)?;
        let tcp = tokio::net::TcpListener::from_std(tcp).map_err(ResolverError::Listen)?;
        let upstream = far.map(|far| Upstream::new(far, upstreams));
        let desk = Arc::new(Desk::new(egress, upstream));
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(ended.clone().run_until_cancelled_owned(service::udp(udp, Arc::clone(&desk))));
        tasks.spawn(ended.clone().run_until_cancelled_owned(service::tcp(tcp, desk)));
        tasks.close();
        Ok(Self { tasks, ended })
    }

    /// Ends the tasks and waits for them.
    pub(crate) async fn stop(&self) {
        self.ended.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

fn listen(gateway: Ipv4Addr) -> io::Result<(UdpSocket, TcpListener)> {
    let address = SocketAddr::from((gateway, PORT));
    let udp = UdpSocket::bind(address)?;
    udp.set_nonblocking(true)?;
    let tcp = TcpListener::bind(address)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}
