//! Files as block devices. See `loop(4)`.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::error::{Context as _, SyscallError, check};

/// A loop device that the kernel takes apart after its last user: this value, then a mount of it.
#[derive(Debug)]
pub struct LoopDevice {
    _descriptor: OwnedFd,
    path: String,
}

/// Whose turn it is, in this process, to find a free device and take it.
static TURN: Mutex<()> = Mutex::new(());

// From linux/loop.h; libc has no layout for `struct loop_config`.
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_GET_STATUS64: libc::Ioctl = 0x4C05;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

#[repr(C)]
struct LoopInformation {
    device: u64,
    inode: u64,
    real_device: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct LoopConfiguration {
    descriptor: u32,
    block_size: u32,
    information: LoopInformation,
    reserved: [u64; 8],
}

impl LoopInformation {
    const EMPTY: Self = Self {
        device: 0,
        inode: 0,
        real_device: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
}

impl LoopDevice {
    /// Makes a block device of `image`, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// The kernel has no loop devices, or the image cannot be one.
    pub fn attach(image: BorrowedFd<'_>) -> Result<Self, SyscallError> {
        Self::attach_with(image, OFlags::RDWR, 0)
    }

    /// Makes a block device of `image` to which nothing can be written.
    ///
    /// # Errors
    ///
    /// The kernel has no loop devices, or the image cannot be one.
    pub fn attach_read_only(image: BorrowedFd<'_>) -> Result<Self, SyscallError> {
        Self::attach_with(image, OFlags::RDONLY, LO_FLAGS_READ_ONLY)
    }

    fn attach_with(
        image: BorrowedFd<'_>,
        access: OFlags,
        flags: u32,
    ) -> Result<Self, SyscallError> {
        let flags = flags | LO_FLAGS_AUTOCLEAR;
        let control = open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .context("open(/dev/loop-control)")?;
        // Everybody who asks at the same time is told the same device, and all but one would have to ask again.
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may take the device between the question and the configuration: ask again then.
        for _ in 0..64 {
            let number =
                ioctl(&control, LOOP_CTL_GET_FREE, 0).context("ioctl(LOOP_CTL_GET_FREE)")?;
            let path = format!("/dev/loop{number}");
            let device = open(path.as_str(), access | OFlags::CLOEXEC, Mode::empty())
                .context("open(/dev/loop)")?;
            match configure(&device, image, flags | LO_FLAGS_DIRECT_IO) {
                Ok(()) => return Ok(Self { _descriptor: device, path }),
                Err(Errno::BUSY) => {}
                // The file system below cannot do direct I/O: the pages are cached twice then, but right.
                Err(Errno::INVAL) => match configure(&device, image, flags) {
                    Ok(()) => return Ok(Self { _descriptor: device, path }),
                    Err(Errno::BUSY) => {}
                    Err(errno) => return Err(errno).context("ioctl(LOOP_CONFIGURE)"),
                },
                Err(errno) => return Err(errno).context("ioctl(LOOP_CONFIGURE)"),
            }
        }
        Err(SyscallError { call: "ioctl(LOOP_CONFIGURE)", errno: Errno::BUSY })
    }

    /// The device that `image` is already, if it is one; while this value is there, it stays one.
    ///
    /// Two devices of one file would be two file systems that each believe that the file is theirs.
    ///
    /// # Errors
    ///
    /// The devices cannot be listed or asked.
    pub fn of_image(image: BorrowedFd<'_>) -> Result<Option<Self>, SyscallError> {
        for entry in std::fs::read_dir("/dev").context("readdir(/dev)")? {
            let name = entry.context("readdir(/dev)")?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("loop"));
            if number.is_none_or(|number| number.parse::<u32>().is_err()) {
                continue;
            }
            let found = Self::at(&format!("/dev/{}", name.to_string_lossy()), image)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The device at `path`, if it is `image`'s; while this value is there, it stays that.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    pub fn at(path: &str, image: BorrowedFd<'_>) -> Result<Option<Self>, SyscallError> {
        let wanted = rustix::fs::fstat(image).context("fstat(image)")?;
        // Whatever cannot be opened is nobody's device.
        let Ok(device) = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) else {
            return Ok(None);
        };
        let mut found = LoopInformation::EMPTY;
        match ioctl(&device, LOOP_GET_STATUS64, std::ptr::from_mut(&mut found).addr()) {
            Ok(_) if (found.device, found.inode) == (wanted.st_dev, wanted.st_ino) => {
                Ok(Some(Self { _descriptor: device, path: path.to_owned() }))
            }
            // Another file's, no file's, or one that is being taken apart.
            Ok(_) | Err(Errno::NXIO) => Ok(None),
            Err(errno) => Err(errno).context("ioctl(LOOP_GET_STATUS64)"),
        }
    }

    /// The device's path, for mounting.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn configure(device: &OwnedFd, image: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    let configuration = LoopConfiguration {
        descriptor: image.as_raw_fd().cast_unsigned(),
        block_size: 4096,
        information: LoopInformation { flags, ..LoopInformation::EMPTY },
        reserved: [0; 8],
    };
    ioctl(device, LOOP_CONFIGURE, std::ptr::from_ref(&configuration).addr()).map(|_| ())
}

#[expect(unsafe_code, reason = "these ioctls have no wrapper")]
fn ioctl(
    descriptor: &OwnedFd,
    request: libc::Ioctl,
    argument: usize,
) -> Result<libc::c_long, Errno> {
    // SAFETY: the requests of this file take no argument (LOOP_CTL_GET_FREE), read a `struct loop_config`
    // (LOOP_CONFIGURE) or write a `struct loop_info64` (LOOP_GET_STATUS64); to each of the latter, its only caller
    // passes the address of a live value of that layout, which nothing else refers to meanwhile.
    check(libc::c_long::from(unsafe { libc::ioctl(descriptor.as_raw_fd(), request, argument) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<LoopInformation>(), 232);
        assert_eq!(size_of::<LoopConfiguration>(), 304);
    }
}
