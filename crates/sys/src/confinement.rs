//! A process that shuts itself in, before it reads what others wrote.

use std::ffi::CStr;
use std::os::fd::AsFd as _;

use rustix::fs::{CWD, Mode};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::credentials::{Capabilities, become_namespace_root};
use crate::error::{Context as _, SyscallError};
use crate::fork::SingleThreaded;
use crate::mount::{DetachedMount, change_root, make_mounts_private};
use crate::namespace::{new_mount_namespace, new_session_keyring};
use crate::seccomp::Filter;
use crate::user_namespace::UserNamespace;

/// What a process leaves itself.
#[derive(Debug)]
pub struct Confinement<'a> {
    /// The ids that it can have; it becomes the first of them.
    pub users: UserNamespace,
    /// All files that it sees.
    pub root: DetachedMount,
    /// What is attached to folders of the root.
    pub folders: Vec<(&'a CStr, DetachedMount)>,
    /// What the files that it makes do not permit.
    pub umask: Mode,
    /// How much it may use.
    pub limits: &'a [(Resource, u64)],
    /// The system calls that it may make: among them `capset`, `capget`, `prctl` and those that close descriptors.
    pub filter: Filter,
    /// What it may do as root of `users`.
    pub capabilities: Capabilities,
}

impl Confinement<'_> {
    /// Leaves the calling process what is listed here, and rights over nothing else, for good.
    ///
    /// It gets a mount namespace, a session and a session keyring of its own. Open descriptors, other mounts' among them,
    /// and the network stay as they are.
    ///
    /// # Errors
    ///
    /// The kernel refuses a step: the process is shut in by halves and has to end.
    pub fn enter(self, _single: SingleThreaded) -> Result<(), SyscallError> {
        let Self { users, root, folders, umask, limits, filter, capabilities } = self;
        new_mount_namespace()?;
        make_mounts_private()?;
        new_session_keyring()?;
        rustix::process::setsid().context("setsid")?;
        // A mount needs a place of the namespace to begin with; what was there is not seen again.
        root.attach(CWD, c"/proc")?;
        for (name, folder) in &folders {
            folder.attach(root.as_fd(), name)?;
        }
        change_root(root.as_fd())?;
        drop((root, folders));
        rustix::process::umask(umask);
        for &(resource, value) in limits {
            let limit = Rlimit { current: Some(value), maximum: Some(value) };
            setrlimit(resource, limit).context("setrlimit")?;
        }
        users.enter()?;
        drop(users);
        become_namespace_root()?;
        // The filter needs the namespace's CAP_SYS_ADMIN, which the next line may give up for good.
        filter.install()?;
        capabilities.keep_only()
    }
}
