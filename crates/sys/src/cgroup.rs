//! Control groups, version 1 and version 2, behind one type.
//!
//! A [`Group`] is one folder in every hierarchy that a limit needs: up to four on version 1, one on version 2. Moving
//! a process by writing its number makes the kernel wait for a grace period (7 ms on an idle machine), so groups are
//! joined in two ways that do not: on version 1 the process writes "0" to an inherited `tasks` descriptor, on version 2
//! it is born in the group (`CLONE_INTO_CGROUP`). See `cgroups(7)` and the kernel's `cgroup-v1` and `cgroup-v2` texts.

mod memory_alarm;

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

pub use self::memory_alarm::MemoryAlarm;
pub(crate) use self::memory_alarm::read_count;
use crate::error::{Context as _, SyscallError};

/// The hierarchies of this machine that can hold limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchies {
    /// One folder tree for each controller.
    V1 {
        /// The mount of the memory controller.
        memory: PathBuf,
        /// The mount of the CPU controller.
        cpu: PathBuf,
        /// The mount of the process-number controller.
        pids: PathBuf,
    },
    /// One folder tree for all controllers.
    V2 {
        /// The mount.
        root: PathBuf,
    },
}

/// Why this machine's control groups cannot hold limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyError {
    /// `/proc/self/mountinfo` cannot be read.
    #[error("cannot read the mounts of this process")]
    Mounts(#[source] SyscallError),
    /// A controller is in no hierarchy.
    #[error("no cgroup hierarchy with the {controller} controller is mounted")]
    Missing {
        /// `memory`, `cpu` or `pids`.
        controller: &'static str,
    },
}

/// One group: processes that share limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    hierarchies: Hierarchies,
    path: PathBuf,
}

/// What a new process needs to enter a group without a grace period.
#[derive(Debug)]
pub enum Entrance {
    /// Version 1: `tasks` files; the process writes "0" to each.
    Tasks(Vec<OwnedFd>),
    /// Version 2: the group's folder, for `clone3`.
    Folder(OwnedFd),
}

const CPU_PERIOD: Duration = Duration::from_millis(100);

impl Hierarchies {
    /// Finds the hierarchies that are mounted.
    ///
    /// # Errors
    ///
    /// [`HierarchyError::Missing`] names the controller that is nowhere.
    pub fn detect() -> Result<Self, HierarchyError> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")
            .context("read(/proc/self/mountinfo)")
            .map_err(HierarchyError::Mounts)?;
        Self::from_mountinfo(&mounts, |root| {
            std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    fn from_mountinfo(
        mounts: &str,
        controllers: impl Fn(&Path) -> String,
    ) -> Result<Self, HierarchyError> {
        let v1 = |controller: &'static str| {
            mounts
                .lines()
                .filter_map(parse_mount)
                .find(|mount| {
                    mount.kind == "cgroup"
                        && mount.options.split(',').any(|option| option == controller)
                })
                .map(|mount| PathBuf::from(mount.point))
        };
        if let (Some(memory), Some(cpu), Some(pids)) = (v1("memory"), v1("cpu"), v1("pids")) {
            return Ok(Self::V1 { memory, cpu, pids });
        }
        let root = mounts.lines().filter_map(parse_mount).find(|mount| mount.kind == "cgroup2");
        let Some(root) = root.map(|mount| PathBuf::from(mount.point)) else {
            return Err(HierarchyError::Missing { controller: "memory" });
        };
        let present = controllers(&root);
        for controller in ["memory", "cpu", "pids"] {
            if !present.split_whitespace().any(|name| name == controller) {
                return Err(HierarchyError::Missing { controller });
            }
        }
        Ok(Self::V2 { root })
    }

    /// The group at `path` below the roots, which need not exist yet.
    #[must_use]
    pub fn group(&self, path: impl Into<PathBuf>) -> Group {
        Group { hierarchies: self.clone(), path: path.into() }
    }

    fn roots(&self) -> Vec<&Path> {
        match self {
            Self::V1 { memory, cpu, pids } => vec![memory, cpu, pids],
            Self::V2 { root } => vec![root],
        }
    }
}

struct Mount<'a> {
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

/// One line of `/proc/PID/mountinfo`: fields, a dash, then type, source and the file system's options (`proc(5)`).
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let point = left.split(' ').nth(4)?;
    let mut right = right.split(' ');
    let kind = right.next()?;
    let options = right.nth(1)?;
    Some(Mount { point, kind, options })
}

impl Group {
    /// Makes the group and those above it.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller or has no room.
    pub fn create(&self) -> Result<(), SyscallError> {
        for folder in self.folders() {
            std::fs::create_dir_all(&folder).context("mkdir(cgroup)")?;
        }
        if let Hierarchies::V2 { root } = &self.hierarchies {
            // A group has a controller only when every group above passes it on.
            let mut above = root.clone();
            for part in &self.path {
                write(&above.join("cgroup.subtree_control"), "+memory +cpu +pids")?;
                above.push(part);
            }
        }
        Ok(())
    }

    /// A group inside this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { hierarchies: self.hierarchies.clone(), path: self.path.join(name) }
    }

    /// Where processes of this group go that are in none below it: the child `name` on version 2, where a group that
    /// passes controllers on holds no processes, and the group itself on version 1.
    #[must_use]
    pub fn leaf(&self, name: &str) -> Self {
        if self.is_v2() { self.child(name) } else { self.clone() }
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.hierarchies.roots().into_iter().map(|root| root.join(&self.path)).collect()
    }

    fn folder<'a>(&'a self, v1: impl Fn(&'a Hierarchies) -> Option<&'a PathBuf>) -> PathBuf {
        match &self.hierarchies {
            Hierarchies::V2 { root } => root.join(&self.path),
            hierarchies @ Hierarchies::V1 { memory, .. } => {
                v1(hierarchies).unwrap_or(memory).join(&self.path)
            }
        }
    }

    fn memory(&self) -> PathBuf {
        self.folder(|hierarchies| match hierarchies {
            Hierarchies::V1 { memory, .. } => Some(memory),
            Hierarchies::V2 { .. } => None,
        })
    }

    fn cpu(&self) -> PathBuf {
        self.folder(|hierarchies| match hierarchies {
            Hierarchies::V1 { cpu, .. } => Some(cpu),
            Hierarchies::V2 { .. } => None,
        })
    }

    /// The folder in which the number of processes is limited: the one to make groups of commands in.
    #[must_use]
    pub fn processes_folder(&self) -> PathBuf {
        self.folder(|hierarchies| match hierarchies {
            Hierarchies::V1 { pids, .. } => Some(pids),
            Hierarchies::V2 { .. } => None,
        })
    }

    const fn is_v2(&self) -> bool {
        matches!(self.hierarchies, Hierarchies::V2 { .. })
    }

    /// Limits memory, swap included, to `bytes`.
    ///
    /// # Errors
    ///
    /// The group does not exist, or uses more.
    pub fn limit_memory(&self, bytes: u64) -> Result<(), SyscallError> {
        let folder = self.memory();
        if self.is_v2() {
            write(&folder.join("memory.max"), &bytes.to_string())?;
            return optional(write(&folder.join("memory.swap.max"), "0"));
        }
        // Neither of the two limits may cross the other on the way, whatever they were before.
        let swap = folder.join("memory.memsw.limit_in_bytes");
        optional(write(&swap, "-1"))?;
        write(&folder.join("memory.limit_in_bytes"), &bytes.to_string())?;
        optional(write(&swap, &bytes.to_string()))
    }

    /// Limits the memory of network sockets to `bytes` where it is counted apart (version 1): there it is not counted at
    /// all before it is limited, and all groups draw on one limit of the machine. On version 2 it is part of the
    /// group's memory.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn limit_socket_memory(&self, bytes: u64) -> Result<(), SyscallError> {
        if self.is_v2() {
            return Ok(());
        }
        let file = self.memory().join("memory.kmem.tcp.limit_in_bytes");
        optional(write(&file, &bytes.to_string()))
    }

    /// Limits processor time to `millicpus` thousandths of a CPU.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn limit_cpu(&self, millicpus: u64) -> Result<(), SyscallError> {
        let period = CPU_PERIOD.as_micros();
        let quota = u128::from(millicpus) * period / 1000;
        let folder = self.cpu();
        if self.is_v2() {
            return write(&folder.join("cpu.max"), &format!("{quota} {period}"));
        }
        write(&folder.join("cpu.cfs_period_us"), &period.to_string())?;
        write(&folder.join("cpu.cfs_quota_us"), &quota.to_string())
    }

    /// Limits processes and threads to `count`.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn limit_processes(&self, count: u32) -> Result<(), SyscallError> {
        write(&self.processes_folder().join("pids.max"), &count.to_string())
    }

    /// Opens what a new process needs to enter the group.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn entrance(&self) -> Result<Entrance, SyscallError> {
        if self.is_v2() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            return open(self.memory(), flags, Mode::empty())
                .context("open(cgroup)")
                .map(Entrance::Folder);
        }
        self.folders()
            .iter()
            .map(|folder| open_tasks(folder))
            .collect::<Result<_, _>>()
            .map(Entrance::Tasks)
    }

    /// The names of the groups directly inside this one, in any hierarchy.
    #[must_use]
    pub fn children(&self) -> std::collections::BTreeSet<String> {
        self.folders()
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flat_map(Iterator::flatten)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Opens the `tasks` files of the hierarchies that limit memory and time; empty on version 2, where one hierarchy
    /// limits everything.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn other_tasks(&self) -> Result<Vec<OwnedFd>, SyscallError> {
        if self.is_v2() {
            return Ok(Vec::new());
        }
        [self.memory(), self.cpu()].iter().map(|folder| open_tasks(folder)).collect()
    }

    /// Opens the file in which the kernel counts the processes of the group that it killed for want of memory.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn memory_events(&self) -> Result<OwnedFd, SyscallError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        open(self.memory_events_path(), flags, Mode::empty()).context("open(memory events)")
    }

    /// Opens the files in which the kernel tells what the group may use and uses, each with its name. What is read from
    /// them is true at that moment, whatever was limited since.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn usage_files(&self) -> Result<Vec<(&'static str, OwnedFd)>, SyscallError> {
        let (cpu, memory): (&[&str], &[&str]) = if self.is_v2() {
            (&["cpu.max"], &["memory.max", "memory.current", "memory.stat"])
        } else {
            (
                &["cpu.cfs_quota_us", "cpu.cfs_period_us"],
                &["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"],
            )
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let in_cpu = cpu.iter().map(|name| (*name, self.cpu().join(name)));
        let in_memory = memory.iter().map(|name| (*name, self.memory().join(name)));
        in_cpu
            .chain(in_memory)
            .map(|(name, path)| {
                let file = open(path, flags, Mode::empty()).context("open(usage)")?;
                Ok((name, file))
            })
            .collect()
    }

    /// The processes in the group, not in those below it.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn processes(&self) -> Result<Vec<i32>, SyscallError> {
        let text = std::fs::read_to_string(self.processes_folder().join("cgroup.procs"))
            .context("read(cgroup.procs)")?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Kills every process in the group and in those below it, where the kernel can (version 2, Linux 5.14).
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn kill(&self) -> Result<(), SyscallError> {
        if self.is_v2() {
            return optional(write(&self.memory().join("cgroup.kill"), "1"));
        }
        Ok(())
    }

    /// Waits until no process is in the group or below it, as version 2 counts them; false when `limit` passed first.
    /// A process that has been waited for may be counted a little longer, and version 1 counts none.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn wait_until_empty(&self, limit: Duration) -> Result<bool, SyscallError> {
        if !self.is_v2() {
            return Ok(true);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let events = open(self.memory().join("cgroup.events"), flags, Mode::empty())
            .context("open(cgroup.events)")?;
        let began = Instant::now();
        loop {
            // Reading it also arms the next notification.
            let mut text = [0u8; 256];
            let read = rustix::io::pread(&events, &mut text, 0).context("read(cgroup.events)")?;
            let text = text.get(..read).unwrap_or_default();
            if text.split(|byte| *byte == b'\n').any(|line| line == b"populated 0") {
                return Ok(true);
            }
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&events, PollFlags::PRI)], timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("poll(cgroup.events)"),
            }
        }
    }

    /// Lets `owner` make groups in this one and move processes between them and `source`, which must be above or
    /// beside them. Limits stay out of its reach.
    ///
    /// # Errors
    ///
    /// A group does not exist, or the kernel refuses the caller.
    pub fn delegate(&self, source: &Self, owner: u32) -> Result<(), SyscallError> {
        let folder = self.processes_folder();
        let mut paths = vec![folder.join("cgroup.procs"), folder.join("tasks"), folder];
        if self.is_v2() {
            // Version 2 asks for the right to write to the nearest group above both ends of a move.
            paths.push(source.processes_folder().join("cgroup.procs"));
        }
        paths.iter().try_for_each(|path| {
            optional(chown(path, Some(owner), Some(owner)).context("chown(cgroup)"))
        })
    }

    /// Removes the group, those below it, and those above it that are left without any group in them.
    ///
    /// # Errors
    ///
    /// `EBUSY`: a process is still in it.
    pub fn remove_with_empty_parents(&self) -> Result<(), SyscallError> {
        self.remove()?;
        for root in self.hierarchies.roots() {
            for parent in self.path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty())
            {
                // Somebody else's group in it keeps it.
                if std::fs::remove_dir(root.join(parent)).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Removes the group and those below it. A group that does not exist is no error.
    ///
    /// # Errors
    ///
    /// `EBUSY`: a process is still in it.
    pub fn remove(&self) -> Result<(), SyscallError> {
        self.folders().iter().try_for_each(|folder| remove_tree(folder))
    }
}

fn open_tasks(folder: &Path) -> Result<OwnedFd, SyscallError> {
    open(folder.join("tasks"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .context("open(tasks)")
}

fn remove_tree(folder: &Path) -> Result<(), SyscallError> {
    match std::fs::remove_dir(folder) {
        Ok(()) => return Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // A group with groups below it is as busy as one with processes.
        Err(_) => {}
    }
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            for entry in
                entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            {
                remove_tree(&entry.path())?;
            }
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(cause).context("readdir(cgroup)"),
    }
    match std::fs::remove_dir(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cause).context("rmdir(cgroup)")
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), SyscallError> {
    use std::io::Write as _;
    let mut file = OpenOptions::new().write(true).open(path).context("open(cgroup file)")?;
    file.write_all(text.as_bytes()).context("write(cgroup file)")
}

/// Swap accounting can be switched off at boot: then there is no such file, and no swap to limit.
fn optional(result: Result<(), SyscallError>) -> Result<(), SyscallError> {
    match result {
        Err(failure) if failure.is(Errno::NOENT) => Ok(()),
        other => other,
    }
}

impl Entrance {
    /// Moves the calling thread into the group (version 1); a process born in its group (version 2) is there already.
    ///
    /// # Errors
    ///
    /// The group is gone or full.
    pub fn enter(&self) -> Result<(), SyscallError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Tasks(files) => files.iter().try_for_each(|tasks| {
                rustix::io::write(tasks, b"0").context("write(tasks)").map(|_| ())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 30 0:28 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
33 30 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
35 30 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_machine_uses_version_1() {
        assert_eq!(
            Hierarchies::from_mountinfo(HYBRID, |_| String::from("hugetlb")),
            Ok(Hierarchies::V1 {
                memory: "/sys/fs/cgroup/memory".into(),
                cpu: "/sys/fs/cgroup/cpu".into(),
                pids: "/sys/fs/cgroup/pids".into(),
            })
        );
    }

    #[test]
    fn a_unified_machine_uses_version_2() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let controllers = |_: &Path| String::from("cpuset cpu io memory pids\n");
        assert_eq!(
            Hierarchies::from_mountinfo(mounts, controllers),
            Ok(Hierarchies::V2 { root: "/sys/fs/cgroup".into() })
        );
    }

    #[test]
    fn a_missing_controller_is_named() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let controllers = |_: &Path| String::from("cpu memory\n");
        assert_eq!(
            Hierarchies::from_mountinfo(mounts, controllers),
            Err(HierarchyError::Missing { controller: "pids" })
        );
    }
}
