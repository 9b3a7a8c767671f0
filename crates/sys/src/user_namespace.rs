//! User namespaces that are made ahead of the processes that will live in them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Uid, getpid, getuid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_res_uid};

use crate::error::{Context as _, SyscallError};
use crate::fork::{CloneFlags, SingleThreaded, clone_process, end_with_parent};

/// A user namespace in which ids 0 to `count - 1` are the host's `first` to `first + count - 1`.
#[derive(Debug)]
pub struct UserNamespace(OwnedFd);

impl UserNamespace {
    /// Makes a namespace that no process is in.
    ///
    /// It belongs to the host's user `first`. The kernel charges a namespace's inotify instances, message queues, locked
    /// memory and waiting signals to its owner as well: with one owner for all, one namespace could use up the
    /// others' and the host's.
    ///
    /// # Errors
    ///
    /// User namespaces are switched off, used up, or the caller may not map these ids.
    pub fn new(single: SingleThreaded, first: u32, count: u32) -> Result<Self, SyscallError> {
        // A process has to hold the namespace until a descriptor does. It ends when it is killed, or with its parent.
        let parent = getpid();
        let holder = as_effective_user(first, || {
            clone_process(single, CloneFlags::NEW_USER, None, || match end_with_parent(parent) {
                Ok(()) => loop {
                    rustix::event::pause();
                },
                Err(_) => 1,
            })
        })??;
        let folder = PathBuf::from(format!("/proc/{}", holder.pid()));
        let map = format!("0 {first} {count}\n");
        let opened = (|| {
            std::fs::write(folder.join("uid_map"), &map).context("write(uid_map)")?;
            std::fs::write(folder.join("gid_map"), &map).context("write(gid_map)")?;
            open(folder.join("ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .context("open(ns/user)")
        })();
        holder.kill()?;
        holder.wait()?;
        opened.map(Self)
    }

    /// Moves the calling thread, which must be its process's only one, into the namespace. It keeps no privilege
    /// outside and has every capability inside.
    ///
    /// # Errors
    ///
    /// The process has several threads, or may not enter.
    pub fn enter(&self) -> Result<(), SyscallError> {
        move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::User))
            .context("setns(user)")
    }
}

/// Runs `action` as another user in effect. The real and the saved id stay, so that the way back is open: leaving the
/// effective id 0 takes the effective capabilities, returning to it gives them back.
fn as_effective_user<T>(id: u32, action: impl FnOnce() -> T) -> Result<T, SyscallError> {
    let own = getuid();
    set_thread_res_uid(own, Uid::from_raw(id), own).context("setresuid(owner)")?;
    let result = action();
    set_thread_res_uid(own, own, own).context("setresuid(back)")?;
    Ok(result)
}

impl AsFd for UserNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for UserNamespace {
    /// Takes a namespace that another process sent.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<UserNamespace> for OwnedFd {
    fn from(namespace: UserNamespace) -> Self {
        namespace.0
    }
}
