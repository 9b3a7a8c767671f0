//! Cgroup namespaces that are made ahead of the processes that will live in them.
//!
//! A namespace's root is the group that its maker was in. On version 2 a group that passes controllers on holds no
//! processes, and a process is moved only between groups below the root of its namespace. So the namespace is made by a
//! process that is born in the outer group before that passes anything on, and entered by one that is born in a group
//! below it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::getpid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Context as _, SyscallError};
use crate::fork::{CloneFlags, SingleThreaded, clone_process, end_with_parent};
use crate::namespace::new_cgroup_namespace;

/// A cgroup namespace.
#[derive(Debug)]
pub struct CgroupNamespace(OwnedFd);

impl CgroupNamespace {
    /// Makes a namespace whose root is `group`, a folder of a cgroup v2 hierarchy, and that no process is in.
    ///
    /// # Errors
    ///
    /// The group cannot hold processes, or the kernel has no room.
    pub fn new(single: SingleThreaded, group: BorrowedFd<'_>) -> Result<Self, SyscallError> {
        let (ready, tell) = pipe_with(PipeFlags::CLOEXEC).context("pipe2")?;
        let parent = getpid();
        // It holds the namespace until a descriptor does, and ends when it is killed, or with its parent.
        let holder = clone_process(single, CloneFlags::default(), Some(group), || {
            let is_made = end_with_parent(parent).is_ok()
                && new_cgroup_namespace().is_ok()
                && rustix::io::write(&tell, b"1") == Ok(1);
            if !is_made {
                return 1;
            }
            loop {
                rustix::event::pause();
            }
        })?;
        // With this end closed, a holder that failed is read as an end of file.
        drop(tell);
        let opened = match rustix::io::read(&ready, &mut [0u8; 1]) {
            Ok(1) => {
                let path = PathBuf::from(format!("/proc/{}/ns/cgroup", holder.pid()));
                open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .context("open(ns/cgroup)")
            }
            Ok(_) => Err(SyscallError { call: "unshare(cgroup)", errno: rustix::io::Errno::CHILD }),
            Err(errno) => Err(errno).context("read(pipe)"),
        };
        holder.kill()?;
        holder.wait()?;
        opened.map(Self)
    }

    /// Moves the calling thread into the namespace.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn enter(&self) -> Result<(), SyscallError> {
        move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::ControlGroup))
            .context("setns(cgroup)")
    }
}

impl AsFd for CgroupNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for CgroupNamespace {
    /// Takes a namespace that another process sent.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}
