//! A connected pair of sockets: one end for the daemon, the other for a process of the user's.
//!
//! What comes over it is whatever that process likes. Only who sent it is told by the kernel.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt,
};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

/// The most descriptors that travel at once.
pub(super) const MAX_DESCRIPTORS: usize = 32;

/// The daemon's end.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

/// One byte, and who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) byte: u8,
    /// The sender's process id; 0 when the kernel did not tell.
    pub(super) sender: i32,
}

impl Line {
    /// Makes both ends.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (own, other) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_passcred(&own, true)?;
        let own = std::os::unix::net::UnixStream::from(own);
        own.set_nonblocking(true)?;
        Ok((Self(UnixStream::from_std(own)?), other))
    }

    /// Waits for the next byte; `None` at the end.
    pub(super) async fn hear(&self) -> io::Result<Option<Heard>> {
        self.0.async_io(Interest::READABLE, || self.try_hear()).await
    }

    /// The next byte, if it has come.
    pub(super) fn try_hear(&self) -> io::Result<Option<Heard>> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message =
            recvmsg(self.0.as_fd(), &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)?;
        let mut sender = 0;
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmCredentials(credentials) = part {
                sender = credentials.pid.as_raw_nonzero().get();
            }
        }
        let [byte] = byte;
        Ok((message.bytes > 0).then_some(Heard { byte, sender }))
    }

    /// Sends a few bytes with descriptors.
    pub(super) async fn send(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let send = || {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let sent = sendmsg(self.0.as_fd(), &[IoSlice::new(bytes)], &mut ancillary, flags)?;
            if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
        };
        self.0.async_io(Interest::WRITABLE, send).await
    }

    /// Sends any number of bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}
