//! Process 1 of a sandbox, from its birth to the daemon's first instruction.
//!
//! Everything that mounts runs with the host's privilege on descriptors that were prepared ahead and on names of one
//! component in folders that were just mounted; no path of the image is ever followed. The user namespace is entered
//! last: mount, network, IPC and host name namespaces belong to the host's, so nothing inside can change them, root or
//! not.

use std::os::fd::{AsFd as _, OwnedFd};

use pitlane_sys::{
    Capabilities, CgroupNamespace, Context as _, DetachedMount, FilesystemContext, Filter,
    MountOptions, NextProgram, SyscallError, UserNamespace, become_namespace_root, change_root,
    enter_network, execute, new_cgroup_namespace, new_session_keyring, set_host_name,
};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};

use super::protocol::LaunchDescriptors;

/// Where the launcher's otherwise empty root has a folder for a sandbox's root to be attached.
pub(super) const ATTACH_POINT: &std::ffi::CStr = c"sandbox";

const SYSTEM: MountOptions = MountOptions {
    read_only: false,
    no_devices: true,
    no_set_user_id: true,
    no_execute: true,
    no_access_times: false,
};
const SYSTEM_READ_ONLY: MountOptions = MountOptions { read_only: true, ..SYSTEM };

/// Files in `/proc` that tell something of the host: an empty device takes their place.
const MASKED_FILES: [&std::ffi::CStr; 17] = [
    c"cmdline",
    c"diskstats",
    c"interrupts",
    c"kallsyms",
    c"kcore",
    c"key-users",
    c"keys",
    c"kpagecgroup",
    c"kpagecount",
    c"kpageflags",
    c"latency_stats",
    c"locks",
    c"partitions",
    c"sched_debug",
    c"softirqs",
    c"swaps",
    c"timer_list",
];
/// Folders in `/proc` in whose place an empty one stands. Some name the disks of other sandboxes; a file in `pressure`
/// lets anyone have the kernel watch the whole machine.
const MASKED_PROCESS_FOLDERS: [&std::ffi::CStr; 5] =
    [c"acpi", c"asound", c"fs", c"pressure", c"scsi"];
/// The folders in `/sys`, each after the one it is in. The places are the kernel's, since links lead from one to the
/// other.
const SYSTEM_FOLDERS: [&std::ffi::CStr; 10] = [
    c"class",
    c"class/net",
    c"devices",
    c"devices/system",
    c"devices/system/cpu",
    c"devices/system/node",
    c"devices/virtual",
    c"devices/virtual/net",
    c"fs",
    EMPTY,
];
/// The one of them in which nothing is. Programs look for control groups there.
const EMPTY: &std::ffi::CStr = c"fs/cgroup";
/// Those of them that show what the kernel has there: processors, memory nodes and the sandbox's own links. The rest
/// tells of the host and, with the loop devices, of every other sandbox's disk.
const SYSTEM_VIEWS: [&std::ffi::CStr; 4] =
    [c"class/net", c"devices/system/cpu", c"devices/system/node", c"devices/virtual/net"];
/// What can be read and never written.
const READ_ONLY: [&std::ffi::CStr; 4] = [c"bus", c"irq", c"sys", c"sysrq-trigger"];

/// Builds the sandbox around the calling process and becomes its daemon; returns only on failure.
pub(super) fn become_daemon(
    parts: LaunchDescriptors,
    host_name: &str,
    filter: &Filter,
) -> SyscallError {
    match isolate(parts, host_name, filter) {
        Ok(daemon) => daemon.execute(),
        Err(failure) => failure,
    }
}

/// What is left of the parts once the sandbox is built.
struct Daemon {
    program: OwnedFd,
    inherited: Vec<OwnedFd>,
}

impl Daemon {
    fn execute(&self) -> SyscallError {
        let descriptors: Vec<_> = self.inherited.iter().map(OwnedFd::as_fd).collect();
        execute(&NextProgram {
            file: self.program.as_fd(),
            arguments: &[c"pitlane-daemon"],
            environment: &[],
            descriptors: &descriptors,
        })
    }
}

fn isolate(
    parts: LaunchDescriptors,
    host_name: &str,
    filter: &Filter,
) -> Result<Daemon, SyscallError> {
    parts.entrance.enter()?;
    pitlane_fault::point("child.grouped");
    match parts.group_view {
        Some(namespace) => CgroupNamespace::from(namespace).enter()?,
        // After entering: the group the process is in becomes the root that it sees.
        None => new_cgroup_namespace()?,
    }
    enter_network(parts.network.as_fd())?;
    new_session_keyring()?;
    rustix::process::setsid().context("setsid")?;
    set_host_name(host_name)?;
    pitlane_fault::point("child.named");

    let root = DetachedMount::from(parts.root);
    root.attach(CWD, ATTACH_POINT)?;
    change_root(root.as_fd())?;
    pitlane_fault::point("child.root-changed");
    attach_kernel_views(
        &DetachedMount::from(parts.devices),
        &DetachedMount::from(parts.terminals),
        &DetachedMount::from(parts.shared_memory),
    )?;

    pitlane_fault::point("child.views-attached");
    limit_resources()?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let mut inherited = Vec::with_capacity(16);
    for _standard in 0..3 {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        inherited.push(null.context("open(null)")?);
    }
    inherited.extend([parts.listener, parts.hello, parts.boot, parts.commands]);
    inherited.extend(parts.command_files);

    UserNamespace::from(parts.users).enter()?;
    become_namespace_root()?;
    pitlane_fault::point("child.users-entered");
    // The filter needs the namespace's CAP_SYS_ADMIN, which the next line gives up for good.
    filter.install()?;
    Capabilities::SANDBOX.keep_only()?;
    pitlane_fault::point("child.confined");
    Ok(Daemon { program: parts.daemon, inherited })
}

fn attach_kernel_views(
    devices: &DetachedMount,
    terminals: &DetachedMount,
    shared_memory: &DetachedMount,
) -> Result<(), SyscallError> {
    let processes = FilesystemContext::open("proc")?.mount(SYSTEM)?;
    let queues = FilesystemContext::open("mqueue")?.mount(SYSTEM)?;
    for (mount, name) in [(&processes, c"proc"), (devices, c"dev")] {
        make_folder(name)?;
        mount.attach(CWD, name)?;
    }
    for (mount, name) in [(terminals, c"pts"), (shared_memory, c"shm"), (&queues, c"mqueue")] {
        mount.attach(devices.as_fd(), name)?;
    }
    make_folder(c"sys")?;
    let system = attach_system_view()?;

    // A mount that finds no place costs a grace period when it is dropped, so what is not there is not tried.
    for name in READ_ONLY.into_iter().filter(|name| exists(&processes, name)) {
        let view = DetachedMount::of_entry(processes.as_fd(), name)?;
        view.restrict(SYSTEM_READ_ONLY)?;
        view.attach(processes.as_fd(), name)?;
    }
    for name in MASKED_FILES.into_iter().filter(|name| exists(&processes, name)) {
        DetachedMount::of_entry(devices.as_fd(), c"null")?.attach(processes.as_fd(), name)?;
    }
    for name in MASKED_PROCESS_FOLDERS.into_iter().filter(|name| exists(&processes, name)) {
        DetachedMount::of_entry(system.as_fd(), EMPTY)?.attach(processes.as_fd(), name)?;
    }
    Ok(())
}

/// Attaches what a sandbox sees of `/sys`.
///
/// Unlike on other file systems here, names have several components: all of them are folders of the kernel's or new.
fn attach_system_view() -> Result<DetachedMount, SyscallError> {
    let system = FilesystemContext::open("sysfs")?.mount(SYSTEM_READ_ONLY)?;
    // Kernels before 6.15 copy only what is attached. What goes on top hides it for good: nothing inside can unmount.
    system.attach(CWD, c"sys")?;
    let view = FilesystemContext::open("tmpfs")?
        .text("mode", "0555")?
        .text("size", "64k")?
        .mount(SYSTEM)?;
    for name in SYSTEM_FOLDERS {
        rustix::fs::mkdirat(&view, name, Mode::from_raw_mode(0o555)).context("mkdir(/sys)")?;
    }
    view.attach(CWD, c"sys")?;
    for name in SYSTEM_VIEWS.into_iter().filter(|name| exists(&system, name)) {
        DetachedMount::of_entry(system.as_fd(), name)?.attach(view.as_fd(), name)?;
    }
    view.restrict(SYSTEM_READ_ONLY)?;
    Ok(view)
}

/// Kernels differ in what they show: what is not there needs no mask.
fn exists(parent: &DetachedMount, name: &std::ffi::CStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// The image may lack a folder to mount on; anything but a folder in its place fails when it is mounted on.
fn make_folder(name: &std::ffi::CStr) -> Result<(), SyscallError> {
    match rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).context("mkdir(mount point)"),
    }
}

/// Limits only go down: raising a hard limit needs a capability that root may lack.
fn limit_resources() -> Result<(), SyscallError> {
    const OPEN_FILES: u64 = 65_536;
    let files = rustix::process::getrlimit(Resource::Nofile)
        .maximum
        .map_or(OPEN_FILES, |hard| hard.min(OPEN_FILES));
    let set = |resource, value| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .context("setrlimit")
    };
    set(Resource::Nofile, files)?;
    // A dump would be written by the host's core pattern, outside the sandbox.
    set(Resource::Core, 0)
}
