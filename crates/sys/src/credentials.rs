//! Ids and capabilities of the calling thread. See `credentials(7)` and `capabilities(7)`.

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities,
};

use crate::error::{Context as _, SyscallError};

/// Runs `action` with the file-system ids of another user and the thread's own capabilities.
///
/// The ids are what the kernel records as a mount's creator and as the owner of new files. They are set back after.
///
/// # Errors
///
/// What `action` answers, or the refusal to change or restore the ids: then the thread must not go on.
pub fn with_filesystem_ids<T>(id: u32, action: impl FnOnce() -> T) -> Result<T, SyscallError> {
    let before = capabilities(None).context("capget")?;
    set_filesystem_ids(id)?;
    // Leaving id 0 has cleared the file capabilities from the effective set; they are still permitted.
    set_capabilities(None, before).context("capset")?;
    let result = action();
    set_filesystem_ids(0)?;
    set_capabilities(None, before).context("capset")?;
    Ok(result)
}

#[expect(unsafe_code, reason = "setfsuid and setfsgid have no wrapper")]
fn set_filesystem_ids(id: u32) -> Result<(), SyscallError> {
    // SAFETY: setfsgid(2) takes a number and has no preconditions.
    unsafe { libc::setfsgid(id) };
    // SAFETY: setfsuid(2) takes a number and has no preconditions.
    unsafe { libc::setfsuid(id) };
    // Both report the previous id, never an error; asking with an invalid id tells what is set now.
    // SAFETY: as above; u32::MAX is never valid, so nothing changes.
    let gid = unsafe { libc::setfsgid(u32::MAX) };
    // SAFETY: as above.
    let uid = unsafe { libc::setfsuid(u32::MAX) };
    if uid.cast_unsigned() == id && gid.cast_unsigned() == id {
        Ok(())
    } else {
        Err(SyscallError { call: "setfsuid", errno: rustix::io::Errno::PERM })
    }
}

/// Becomes user and group 0 of the thread's user namespace, with no supplementary groups.
///
/// # Errors
///
/// The namespace has no id 0, or the kernel refuses the caller.
pub fn become_namespace_root() -> Result<(), SyscallError> {
    rustix::thread::set_thread_groups(&[]).context("setgroups")?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).context("setresgid")?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).context("setresuid")
}

/// Capabilities, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(CapabilitySet);

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Self(CapabilitySet::empty());
    /// What remains for root inside a sandbox, as container runtimes have it by default, less raw sockets and audit.
    /// All of them count inside the sandbox's user namespace only.
    pub const SANDBOX: Self = Self(
        CapabilitySet::CHOWN
            .union(CapabilitySet::DAC_OVERRIDE)
            .union(CapabilitySet::FOWNER)
            .union(CapabilitySet::FSETID)
            .union(CapabilitySet::KILL)
            .union(CapabilitySet::SETGID)
            .union(CapabilitySet::SETUID)
            .union(CapabilitySet::SETPCAP)
            .union(CapabilitySet::NET_BIND_SERVICE)
            .union(CapabilitySet::SYS_CHROOT)
            .union(CapabilitySet::SETFCAP),
    );

    /// Gives up every other capability for good: the thread, and whatever it executes, can never have one again.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn keep_only(self) -> Result<(), SyscallError> {
        for number in 0..64u32 {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if self.0.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The kernel has fewer capabilities than the set has bits.
                Err(rustix::io::Errno::INVAL) if number > 40 => break,
                Err(errno) => return Err(errno).context("prctl(PR_CAPBSET_DROP)"),
            }
        }
        set_capabilities(
            None,
            CapabilitySets {
                effective: self.0,
                permitted: self.0,
                inheritable: CapabilitySet::empty(),
            },
        )
        .context("capset")
    }
}
