//! One control group for each command, so that nothing a command starts can get out of reach.
//!
//! A process can leave its session, its parent and its terminal, but not its control group: only what has the group's
//! folder open could move it, and nothing else in a sandbox does.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, Uid, pidfd_open, pidfd_send_signal};
use rustix::thread::set_thread_res_uid;

use super::identity::Identity;
use crate::cgroup::read_count;
use crate::error::{Context as _, SyscallError};

/// The group in which commands' groups are made.
#[derive(Debug)]
pub struct CommandGroups {
    folder: OwnedFd,
    others: Vec<OwnedFd>,
    memory_events: Option<OwnedFd>,
    next: AtomicU64,
    /// Made ahead, for the next command.
    spare: Mutex<Option<CommandGroup>>,
    /// Groups that still had processes in them when their command was over.
    populated: Mutex<Vec<CString>>,
}

/// The group of one command.
#[derive(Debug)]
pub struct CommandGroup {
    name: CString,
    folder: OwnedFd,
    entrance: OwnedFd,
}

impl CommandGroups {
    /// Makes groups in `folder`; every command also enters the `others`, the `tasks` files of other hierarchies.
    ///
    /// # Errors
    ///
    /// `folder` cannot be opened.
    pub fn new(folder: BorrowedFd<'_>, others: Vec<OwnedFd>) -> Result<Self, SyscallError> {
        // What is inherited may only name the folder.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(folder, c".", flags, Mode::empty()).context("open(command group)")?;
        let (next, spare, populated) = (AtomicU64::new(1), Mutex::default(), Mutex::default());
        Ok(Self { folder, others, memory_events: None, next, spare, populated })
    }

    /// Also counts what the kernel killed for want of memory, by `memory.oom_control` (version 1) or `memory.events`
    /// (version 2) of the group that commands share.
    #[must_use]
    pub fn with_memory_events(self, file: OwnedFd) -> Self {
        Self { memory_events: Some(file), ..self }
    }

    /// How many processes of all commands together the kernel has killed because their memory was used up; 0 when
    /// nobody counts.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> u64 {
        let file = self.memory_events.as_ref();
        file.and_then(|file| read_count(file).ok()).unwrap_or(0)
    }

    /// A group for a command: the one made ahead, or a new one.
    ///
    /// # Errors
    ///
    /// The kernel has no room for it.
    pub fn take(&self) -> Result<CommandGroup, SyscallError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        spare.map_or_else(|| self.create(), Ok)
    }

    /// Removes the groups of commands that are over and makes one ahead: what a command need not wait for.
    pub fn tidy(&self) {
        self.remove_emptied();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            // Whoever needs one tries again and reports the failure.
            *spare = self.create().ok();
        }
    }

    fn create(&self) -> Result<CommandGroup, SyscallError> {
        let (name, folder) = loop {
            let name = format!("command-{}", self.next.fetch_add(1, Ordering::Relaxed));
            let name = CString::new(name).unwrap_or_default();
            match mkdirat(&self.folder, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {}
                // Left behind by an earlier daemon in the same group.
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(errno).context("mkdir(command group)"),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder =
                openat(&self.folder, &name, flags, Mode::empty()).context("open(command group)")?;
            break (name, folder);
        };
        let write = OFlags::WRONLY | OFlags::CLOEXEC;
        // Version 1 moves a thread cheaply through `tasks`; version 2 has only the other file.
        let entrance = match openat(&folder, c"tasks", write, Mode::empty()) {
            Err(Errno::NOENT) => openat(&folder, c"cgroup.procs", write, Mode::empty()),
            other => other,
        }
        .context("open(tasks of a command group)")?;
        Ok(CommandGroup { name, folder, entrance })
    }

    /// The files that a process of `group` writes itself to.
    #[must_use]
    pub fn joins<'a>(&'a self, group: &'a CommandGroup) -> Vec<BorrowedFd<'a>> {
        let others = self.others.iter().map(OwnedFd::as_fd);
        others.chain([group.entrance.as_fd()]).collect()
    }

    /// A file that a process of `identity`, and no other user's, writes `0` to in order to enter `group`.
    ///
    /// The kernel compares a process with whoever opened the file. It is therefore opened by a thread of its own that
    /// has the user's effective id, and keeps the caller's id for files alone.
    ///
    /// # Errors
    ///
    /// There is no room for a thread, or the kernel refuses the id.
    pub fn admission(
        &self,
        group: &CommandGroup,
        identity: Option<&Identity>,
    ) -> Result<OwnedFd, SyscallError> {
        let open = || {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            match openat(&group.folder, c"tasks", flags, Mode::empty()) {
                Err(Errno::NOENT) => openat(&group.folder, c"cgroup.procs", flags, Mode::empty()),
                other => other,
            }
        };
        let open_as = |identity: &Identity| {
            let own = rustix::process::geteuid();
            set_thread_res_uid(own, identity.uid(), own)?;
            set_file_user(own)?;
            open()
        };
        let opened = match identity {
            None => open(),
            Some(identity) => std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().stack_size(64 * 1024);
                let thread = thread.spawn_scoped(scope, || open_as(identity));
                thread.map_or(Err(Errno::AGAIN), |thread| thread.join().unwrap_or(Err(Errno::IO)))
            }),
        };
        opened.context("open(tasks of a command group) for its user")
    }

    /// Gives back the group of a command that is over. It is removed by [`CommandGroups::tidy`] once what the command
    /// left running has ended.
    pub fn retire(&self, group: CommandGroup) {
        self.populated.lock().unwrap_or_else(PoisonError::into_inner).push(group.name);
    }

    fn remove_emptied(&self) {
        let mut populated = self.populated.lock().unwrap_or_else(PoisonError::into_inner);
        populated.retain(|name| {
            matches!(unlinkat(&self.folder, name, AtFlags::REMOVEDIR), Err(Errno::BUSY))
        });
    }
}

/// Sets the calling thread's id for files alone, to one of its other ids.
#[expect(unsafe_code, reason = "setfsuid has no wrapper")]
fn set_file_user(user: Uid) -> Result<(), Errno> {
    // SAFETY: setfsuid(2) takes a number and has no preconditions.
    unsafe { libc::setfsuid(user.as_raw()) };
    // It never reports an error; an id that does not exist changes nothing, and tells what is set.
    // SAFETY: as above.
    let now = unsafe { libc::setfsuid(u32::MAX) };
    if now.cast_unsigned() == user.as_raw() { Ok(()) } else { Err(Errno::PERM) }
}

impl CommandGroup {
    /// Whether a process is in the group.
    #[must_use]
    pub fn contains(&self, pid: i32) -> bool {
        self.processes().is_ok_and(|processes| processes.contains(&pid))
    }

    /// Kills every process in the group and answers how many there were. Repeat until there were none.
    ///
    /// # Errors
    ///
    /// The group cannot be read.
    pub fn kill(&self) -> Result<usize, SyscallError> {
        if self.write(c"cgroup.kill", b"1").is_ok() {
            return self.processes().map(|processes| processes.len());
        }
        // Version 1. With no room for new processes, the number of those to kill can only go down.
        match self.write(c"pids.max", b"0") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context("write(pids.max of a command group)"),
        }
        let opened: Vec<(i32, OwnedFd)> =
            self.processes()?.into_iter().filter_map(open_process).collect();
        // A number may have passed to another process before it was opened; what is still listed was not reused.
        let listed = self.processes()?;
        for (pid, process) in &opened {
            if listed.contains(pid) {
                match pidfd_send_signal(process, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => return Err(errno).context("pidfd_send_signal"),
                }
            }
        }
        Ok(listed.len())
    }

    /// Sends SIGTERM to every process in the group and answers how many there were.
    ///
    /// # Errors
    ///
    /// The group cannot be read.
    pub fn terminate(&self) -> Result<usize, SyscallError> {
        let opened: Vec<(i32, OwnedFd)> =
            self.processes()?.into_iter().filter_map(open_process).collect();
        // A number may have passed to another process before it was opened; what is still listed was not reused.
        let listed = self.processes()?;
        for (_, process) in opened.iter().filter(|(pid, _)| listed.contains(pid)) {
            match pidfd_send_signal(process, Signal::TERM) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(errno).context("pidfd_send_signal"),
            }
        }
        Ok(listed.len())
    }

    /// How many processes are in the group.
    ///
    /// # Errors
    ///
    /// The group cannot be read.
    pub fn count(&self) -> Result<usize, SyscallError> {
        self.processes().map(|processes| processes.len())
    }

    fn processes(&self) -> Result<Vec<i32>, SyscallError> {
        use std::io::Read as _;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, c"cgroup.procs", flags, Mode::empty())
            .context("open(cgroup.procs)")?;
        let mut text = String::new();
        std::fs::File::from(file).read_to_string(&mut text).context("read(cgroup.procs)")?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    fn write(&self, name: &std::ffi::CStr, text: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty())?;
        rustix::io::write(file, text).map(|_| ())
    }
}

fn open_process(pid: i32) -> Option<(i32, OwnedFd)> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    Some((pid, process))
}
