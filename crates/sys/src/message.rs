//! Messages with descriptors, over Unix sockets that keep message boundaries (`SOCK_SEQPACKET`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, sendmsg, socket_with, sockopt,
};

use crate::error::{Context as _, SyscallError};

/// The most descriptors that travel in one message.
pub const MAX_DESCRIPTORS: usize = 32;

/// A connected socket that sends and receives whole messages.
#[derive(Debug)]
pub struct MessageSocket(OwnedFd);

/// A socket that message sockets connect to.
#[derive(Debug)]
pub struct MessageListener(OwnedFd);

fn socket(flags: SocketFlags) -> Result<OwnedFd, SyscallError> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)
        .context("socket")
}

impl MessageListener {
    /// Listens at `path`, which must not exist.
    ///
    /// # Errors
    ///
    /// The path exists, or is longer than a socket's path can be.
    pub fn bind(path: &Path) -> Result<Self, SyscallError> {
        let socket = socket(SocketFlags::empty())?;
        let address = SocketAddrUnix::new(path).context("socket path")?;
        bind(&socket, &address).context("bind")?;
        listen(&socket, 128).context("listen")?;
        Ok(Self(socket))
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub fn accept(&self) -> Result<MessageSocket, SyscallError> {
        accept_with(&self.0, SocketFlags::CLOEXEC).map(MessageSocket).context("accept4")
    }
}

impl AsFd for MessageListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for MessageListener {
    /// Takes a listening socket that was inherited.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl MessageSocket {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, SyscallError> {
        let socket = socket(SocketFlags::empty())?;
        let address = SocketAddrUnix::new(path).context("socket path")?;
        connect(&socket, &address).context("connect")?;
        Ok(Self(socket))
    }

    /// Lets later sends and receives fail with `EAGAIN` after `limit`.
    ///
    /// # Errors
    ///
    /// `limit` is zero.
    pub fn set_deadline(&self, limit: Duration) -> Result<(), SyscallError> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, Some(limit))
            .context("setsockopt")?;
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Send, Some(limit))
            .context("setsockopt")
    }

    /// Sends one message with copies of `descriptors`.
    ///
    /// # Errors
    ///
    /// The peer is gone, or the message or its descriptors are too many.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SyscallError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(SyscallError { call: "sendmsg", errno: rustix::io::Errno::TOOBIG });
        }
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
            .context("sendmsg")
            .map(|_| ())
    }

    /// Receives one message into `buffer`; `None` when the peer has closed.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the message did not fit and is lost.
    pub fn receive(
        &self,
        buffer: &mut [u8],
    ) -> Result<Option<(usize, Vec<OwnedFd>)>, SyscallError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(buffer)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .context("recvmsg")?;
        let mut descriptors = Vec::new();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                descriptors.extend(received);
            }
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(SyscallError { call: "recvmsg", errno: rustix::io::Errno::MSGSIZE });
        }
        Ok((message.bytes > 0).then_some((message.bytes, descriptors)))
    }
}

impl AsFd for MessageSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
