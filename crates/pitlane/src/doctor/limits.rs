//! Control groups: memory, processor time and processes.

use std::os::fd::AsFd as _;

use pitlane_sys::{
    CloneFlags, Entrance, ExitStatus, Group, Hierarchies, SingleThreaded, SyscallError,
    clone_process,
};

use super::check::{Check, whole};

const NAME: &str = "control groups";

pub(super) fn check(single: SingleThreaded) -> Check {
    let hierarchies = match Hierarchies::detect() {
        Ok(hierarchies) => hierarchies,
        Err(failure) => {
            return Check::bad(
                NAME,
                whole(&failure),
                "mount cgroup2 on /sys/fs/cgroup with the memory, cpu and pids controllers",
            );
        }
    };
    let version = match &hierarchies {
        Hierarchies::V1 { .. } => 1,
        Hierarchies::V2 { .. } => 2,
    };
    let group = hierarchies.group(format!("pitlane-doctor-{}", std::process::id()));
    let tried = limit(&group, single);
    // Whatever came of it, nothing stays.
    let removed = group.remove();
    match tried.and(removed) {
        Ok(()) => Check::good(
            NAME,
            format!("version {version}: limited memory, processor time and processes"),
        ),
        Err(failure) => Check::bad(
            NAME,
            format!("version {version}: {}", whole(&failure)),
            "in a container, give it a control group that it may write to",
        ),
    }
}

fn limit(group: &Group, single: SingleThreaded) -> Result<(), SyscallError> {
    group.create()?;
    group.limit_memory(64 << 20)?;
    group.limit_cpu(100)?;
    group.limit_processes(16)?;
    let entrance = group.entrance()?;
    let folder = match &entrance {
        Entrance::Folder(folder) => Some(folder.as_fd()),
        Entrance::Tasks(_) => None,
    };
    let enter = || i32::from(entrance.enter().is_err());
    let child = clone_process(single, CloneFlags::default(), folder, enter)?;
    match child.wait()? {
        ExitStatus::Code(0) => Ok(()),
        ExitStatus::Code(_) | ExitStatus::Signal(_) => {
            Err(SyscallError { call: "enter(cgroup)", errno: rustix::io::Errno::PERM })
        }
    }
}
