//! System calls made safe.
//!
//! The one crate with unsafe code: namespaces, mounts, cgroups, pidfds, seccomp, processes and descriptor passing, each
//! behind a function whose signature cannot be misused. It decides nothing: policy lives in its callers.

mod cgroup;
mod cgroup_namespace;
mod confinement;
mod credentials;
mod error;
mod exec;
mod fork;
mod freeze;
mod loop_device;
mod memory_file;
mod message;
mod mount;
mod namespace;
mod netns;
mod process;
mod seccomp;
mod user_namespace;
mod workbench;

pub use cgroup::{Entrance, Group, Hierarchies, HierarchyError, MemoryAlarm};
pub use cgroup_namespace::CgroupNamespace;
pub use confinement::Confinement;
pub use credentials::{Capabilities, become_namespace_root, with_filesystem_ids};
pub use error::{Context, SyscallError};
pub use exec::{FIRST_SPARE_DESCRIPTOR, NextProgram, execute};
pub use fork::{Child, CloneFlags, ExitStatus, SingleThreaded, clone_process};
pub use freeze::{FrozenFilesystem, thaw};
pub use loop_device::LoopDevice;
pub use memory_file::sealed_memory_file;
pub use message::{MAX_DESCRIPTORS, MessageListener, MessageSocket};
pub use mount::{DetachedMount, FilesystemContext, MountOptions, change_root, make_mounts_private};
pub use namespace::{
    enter_mounts_of, enter_network, new_cgroup_namespace, new_mount_namespace, new_session_keyring,
    set_host_name,
};
pub use netns::{current_network_namespace, new_network_namespace};
pub use process::{
    CommandGroup, CommandGroups, Identity, Program, Reaper, Requester, SpawnError,
    TerminationRequests, UserThreads, UserThreadsError, claim_inherited, descendants,
};
pub use seccomp::{Allowed, Argument, CompileError, Filter};
pub use user_namespace::UserNamespace;
pub use workbench::on_workbench;
