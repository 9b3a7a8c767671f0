//! Files that exist only in memory. See `memfd_create(2)`.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use crate::error::{Context as _, SyscallError};

/// Makes a file of `contents` that nobody can ever change, positioned at its start.
///
/// # Errors
///
/// There is no memory for it.
pub fn sealed_memory_file(name: &str, contents: &[u8]) -> Result<OwnedFd, SyscallError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let descriptor = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 every memory file could be executed and the flag was unknown.
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }
    .context("memfd_create")?;
    let mut file = File::from(descriptor);
    file.write_all(contents).context("write(memory file)")?;
    file.rewind().context("lseek(memory file)")?;
    let descriptor = OwnedFd::from(file);
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&descriptor, seals).context("fcntl(F_ADD_SEALS)")?;
    Ok(descriptor)
}
