//! The kernel's side of a terminal: a pair of devices, of which the daemon holds both.
//!
//! Since it keeps the program's side open as well, a terminal lasts as long as its program and not only as long as
//! somebody has it open: one that closes its outputs and opens `/dev/tty` again later goes on where it was.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};

use pitlane_sys::Identity;
use pitlane_wire::toolbox::MAX_PTY_SIDE;
use rustix::fs::{FileType, Mode, OFlags, fchown, fstat, major, minor, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use tokio::net::unix::pipe::{Receiver, Sender};

/// The kernel's number of the device that makes terminals.
const MULTIPLEXER: (u32, u32) = (5, 2);

/// A terminal's size in characters; each side from 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    columns: u16,
    rows: u16,
}

/// Both sides of a terminal.
#[derive(Debug)]
pub(super) struct Device {
    /// What the daemon reads; not a pipe, but read like one.
    reader: Receiver,
    /// The same, as it is written.
    writer: Sender,
    /// What the programs in it read and write.
    inner: OwnedFd,
}

/// Why there is no terminal.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceError {
    #[error("the sandbox has no room for another terminal")]
    Full,
    #[error("/dev/ptmx is not the kernel's")]
    Replaced,
    #[error("cannot make a terminal: {0}")]
    Kernel(#[from] Errno),
    #[error("cannot wait for a terminal: {0}")]
    Wait(io::Error),
}

impl Size {
    /// What most terminals begin with.
    pub(super) const DEFAULT: Self = Self { columns: 80, rows: 24 };

    /// `None` for a side that no terminal has.
    pub(super) fn new(columns: u32, rows: u32) -> Option<Self> {
        let side =
            |side: u32| u16::try_from(side).ok().filter(|side| (1..=MAX_PTY_SIDE).contains(side));
        Some(Self { columns: side(columns)?, rows: side(rows)? })
    }

    pub(super) const fn columns(self) -> u16 {
        self.columns
    }

    pub(super) const fn rows(self) -> u16 {
        self.rows
    }
}

impl Device {
    /// Makes a terminal that belongs to a user, as one that it logged in on would.
    pub(super) fn open(owner: Option<&Identity>, size: Size) -> Result<Self, DeviceError> {
        let outer = multiplexer()?;
        unlockpt(&outer)?;
        // Not by its path: that is the sandbox's.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let inner = ioctl_tiocgptpeer(&outer, flags)?;
        if let Some(owner) = owner {
            // Its group is "tty", as the file system of terminals was told.
            fchown(&inner, Some(owner.uid()), None)?;
        }
        let mut modes = tcgetattr(&inner)?;
        // A backspace takes a whole character away.
        modes.input_modes |= InputModes::IUTF8;
        tcsetattr(&inner, OptionalActions::Now, &modes)?;
        ioctl_fionbio(&outer, true)?;
        let writer = fcntl_dupfd_cloexec(&outer, 0)?;
        let reader = Receiver::from_owned_fd_unchecked(outer).map_err(DeviceError::Wait)?;
        let writer = Sender::from_owned_fd_unchecked(writer).map_err(DeviceError::Wait)?;
        let device = Self { reader, writer, inner };
        device.resize(size)?;
        Ok(device)
    }

    /// Changes the size; the program in the foreground hears of it.
    pub(super) fn resize(&self, size: Size) -> Result<(), Errno> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.inner, size)
    }

    /// The programs' side.
    pub(super) const fn inner(&self) -> &OwnedFd {
        &self.inner
    }

    /// Waits for output and reads as much of it as is there already and fits.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.reader.readable().await?;
            match fill(buffer, |rest| self.reader.try_read(rest))? {
                0 => {}
                count => return Ok(count),
            }
        }
    }

    /// Reads what is there and fits.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Past the runtime, which may not know yet that there is something.
        fill(buffer, |rest| Ok(rustix::io::read(self.reader.as_fd(), rest)?))
    }

    /// Writes all of it, as fast as the program in the terminal reads.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.writer.writable().await?;
            match self.writer.try_write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if is_no_failure(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads until the buffer is full or nothing is there.
fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut count: usize = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match read(rest) {
            Ok(0) => break,
            Ok(more) => count = count.saturating_add(more),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What was read before counts; the error comes again.
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn is_no_failure(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Opens what makes terminals. Root inside may have put anything in its place.
fn multiplexer() -> Result<OwnedFd, DeviceError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = open(c"/dev/ptmx", flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOSPC => DeviceError::Full,
        errno => DeviceError::Kernel(errno),
    })?;
    let found = fstat(&opened)?;
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if !is_device || (major(found.st_rdev), minor(found.st_rdev)) != MULTIPLEXER {
        return Err(DeviceError::Replaced);
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_side_is_from_1_to_1000() {
        for (columns, rows, is_size) in [
            (1, 1, true),
            (1000, 1000, true),
            (80, 24, true),
            (0, 24, false),
            (80, 0, false),
            (1001, 24, false),
            (80, 1001, false),
            (65_616, 24, false),
            (80, u32::MAX, false),
        ] {
            assert_eq!(Size::new(columns, rows).is_some(), is_size, "{columns} × {rows}");
        }
    }
}
