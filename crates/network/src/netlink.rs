//! A blocking rtnetlink socket of one network namespace.
//!
//! Several requests travel in one [`Batch`], so that a link costs a few system calls: the kernel works a batch off
//! while it is being sent, and the acknowledgements are there when the send returns.

mod message;
mod request;

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use message::Messages;
pub(crate) use request::{
    AddressFound, Batch, End, HardwareAddress, Link, Neighbour, Pair, Route, RouteFound,
};
use request::{addresses, links, routes};

/// How long an interface may take to get its carrier, and how often it is looked at.
const CARRIER_DEADLINE: Duration = Duration::from_secs(5);
const CARRIER_INTERVAL: Duration = Duration::from_micros(200);

/// A request that the kernel refused, or a socket that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("netlink: cannot {request}")]
pub struct NetlinkError {
    /// What was asked for, `add route`.
    pub request: &'static str,
    /// The kernel's reason.
    #[source]
    pub errno: Errno,
}

impl NetlinkError {
    /// Whether the kernel said that there is such a thing already.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.errno, Errno::EXIST | Errno::BUSY)
    }
}

/// An rtnetlink socket. It stays in the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // NETLINK_ROUTE is the family's protocol 0.
            None,
        )
        .map_err(|errno| NetlinkError { request: "open a socket", errno })?;
        Ok(Self { socket, buffer: vec![0; 64 * 1024] })
    }

    /// Carries the requests out in order and answers the first refusal. Later requests are tried all the same.
    pub(crate) fn execute(&mut self, batch: &Batch) -> Result<(), NetlinkError> {
        self.send(batch.bytes(), batch.first())?;
        let mut outcome = Ok(());
        let mut outstanding = batch.len();
        while outstanding > 0 {
            let received = self.receive(batch.first())?;
            for message in Messages::new(received) {
                let Some(errno) = message.acknowledgement() else { continue };
                let request = batch.name(message.sequence);
                outstanding = outstanding.saturating_sub(1);
                if let (Some(errno), true) = (errno, outcome.is_ok()) {
                    outcome = Err(NetlinkError { request, errno });
                }
            }
        }
        outcome
    }

    /// The interface of that name, if there is one.
    pub(crate) fn find_link(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        self.find(&request::link_named(name), "find link")
    }

    /// Waits until packets can leave by an interface that is up.
    ///
    /// When the second end of a veth pair comes up, the kernel tells the first by way of a queue of its own, and
    /// drops without a word what is sent before. Asking for the interface makes newer kernels do that work at once;
    /// older ones need a moment.
    pub(crate) fn wait_for_carrier(&mut self, index: u32) -> Result<(), NetlinkError> {
        const REQUEST: &str = "wait for the carrier";
        let deadline = Instant::now() + CARRIER_DEADLINE;
        loop {
            match self.find(&request::link(index), REQUEST)? {
                Some(link) if link.is_operational => return Ok(()),
                None => return Err(NetlinkError { request: REQUEST, errno: Errno::NODEV }),
                Some(_) if Instant::now() > deadline => {
                    return Err(NetlinkError { request: REQUEST, errno: Errno::TIMEDOUT });
                }
                Some(_) => thread::park_timeout(CARRIER_INTERVAL),
            }
        }
    }

    /// Every interface of the namespace.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        self.dump("list links", &links(), Link::read)
    }

    /// Every IPv4 address of the namespace.
    pub(crate) fn addresses(&mut self) -> Result<Vec<AddressFound>, NetlinkError> {
        self.dump("list addresses", &addresses(), AddressFound::read)
    }

    /// Every IPv4 route of the namespace, of every table.
    pub(crate) fn routes(&mut self) -> Result<Vec<RouteFound>, NetlinkError> {
        self.dump("list routes", &routes(), RouteFound::read)
    }

    fn find(&mut self, bytes: &[u8], request: &'static str) -> Result<Option<Link>, NetlinkError> {
        self.send(bytes, request)?;
        let received = self.receive(request)?;
        for message in Messages::new(received) {
            match message.acknowledgement() {
                Some(Some(Errno::NODEV)) => return Ok(None),
                Some(Some(errno)) => return Err(NetlinkError { request, errno }),
                Some(None) => {}
                None => return Ok(Link::read(&message)),
            }
        }
        Ok(None)
    }

    fn dump<T>(
        &mut self,
        request: &'static str,
        bytes: &[u8],
        read: impl Fn(&message::Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        self.send(bytes, request)?;
        let mut found = Vec::new();
        loop {
            let received = self.receive(request)?;
            for message in Messages::new(received) {
                if message.ends_dump() {
                    return Ok(found);
                }
                match message.acknowledgement() {
                    Some(Some(errno)) => return Err(NetlinkError { request, errno }),
                    Some(None) => {}
                    None => found.extend(read(&message)),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8], request: &'static str) -> Result<(), NetlinkError> {
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel)
            .map(drop)
            .map_err(|errno| NetlinkError { request, errno })
    }

    fn receive(&mut self, request: &'static str) -> Result<&[u8], NetlinkError> {
        let (length, _) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())
        })
        .map_err(|errno| NetlinkError { request, errno })?;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }
}
