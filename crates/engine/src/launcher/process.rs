//! The launcher's main loop.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use pitlane_sys::{
    CgroupNamespace, Child, CloneFlags, Context as _, DetachedMount, ExitStatus,
    FIRST_SPARE_DESCRIPTOR, FilesystemContext, Filter, MessageListener, MessageSocket,
    MountOptions, SingleThreaded, SyscallError, UserNamespace, change_root, clone_process,
    make_mounts_private, new_mount_namespace,
};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::attach::{self, Attachment};
use super::child;
use super::protocol::{EndedAs, LaunchDescriptors, MAX_MESSAGE, Reply, Request, identity};
use super::seccomp;
use crate::socket_path;

/// What the launcher is started with.
#[derive(Debug, Clone)]
pub struct LauncherArguments {
    /// The folder of run-time files, in which its socket is made.
    pub run: PathBuf,
}

/// A sandbox that was launched and has not been collected.
enum Launched {
    Running(Child),
    Ended(EndedAs),
}

struct Process {
    single: SingleThreaded,
    filter: Filter,
    sandboxes: BTreeMap<String, Launched>,
    /// By the number under which the event queue knows them.
    watched: BTreeMap<u64, String>,
    next_watch: u64,
    /// The read ends of pipes whose write ends are closed when a sandbox's process 1 becomes its daemon.
    building: BTreeMap<u64, (String, OwnedFd)>,
    kept: BTreeMap<String, OwnedFd>,
    events: OwnedFd,
    /// Which program this is.
    program: String,
    /// Ends with the server that started this, until somebody has asked for something.
    starter: Option<OwnedFd>,
    /// Keeps every other launcher out of the folder.
    _folder: OwnedFd,
}

const LISTENER: u64 = 0;
const STARTER: u64 = 1;
/// The server is the only client; one that stops half-way must not hold up the others.
const CLIENT_DEADLINE: Duration = Duration::from_secs(2);

/// Runs the launcher until it is asked to quit. Must be called before the process has threads.
///
/// Says in one line on standard error why it could not start, and ends with [`FOLDER_IN_USE`] if another one is there.
#[must_use]
pub fn run(arguments: &LauncherArguments) -> ExitCode {
    match start(arguments).and_then(Process::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            use std::io::Write as _;
            let cause = failure.errno;
            // Nobody is left to tell if this fails as well.
            drop(writeln!(std::io::stderr(), "pitlane launch: {failure}: {cause}"));
            if failure.call == LOCK && cause == Errno::AGAIN {
                ExitCode::from(FOLDER_IN_USE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn start(arguments: &LauncherArguments) -> Result<(Process, MessageListener), SyscallError> {
    let single = SingleThreaded::check()?;
    let program = identity(Path::new("/proc/self/exe")).context("stat(/proc/self/exe)")?;
    let starter = starter()?;
    let folder = lock(&arguments.run)?;
    let path = socket_path(&arguments.run);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(cause).context("unlink(socket)");
        }
        _ => {}
    }
    let listener = MessageListener::bind(&path)?;
    rustix::process::setsid().context("setsid")?;
    pitlane_fault::point("launcher.bound");
    leave_host_files()?;
    let filter = seccomp::filter().map_err(|_cause| SyscallError {
        call: "compile the system call filter",
        errno: Errno::INVAL,
    })?;
    let events = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll_create1")?;
    epoll::add(&events, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)
        .context("epoll_ctl")?;
    if let Some(starter) = &starter {
        let event = epoll::EventData::new_u64(STARTER);
        epoll::add(&events, starter, event, epoll::EventFlags::empty()).context("epoll_ctl")?;
    }
    let process = Process {
        single,
        filter,
        sandboxes: BTreeMap::new(),
        watched: BTreeMap::new(),
        next_watch: STARTER + 1,
        building: BTreeMap::new(),
        kept: BTreeMap::new(),
        events,
        program,
        starter,
        _folder: folder,
    };
    Ok((process, listener))
}

/// What the refusal of the folder is called.
const LOCK: &str = "lock the run-time folder";
/// How a launcher ends that finds another one in its folder; "temporary failure" in `sysexits.h`.
pub(super) const FOLDER_IN_USE: u8 = 75;

/// Takes the folder for this process: a server that died while it started a launcher may have left that one about to
/// make its socket. The lock ends with the process; a child has it until it executes its program.
fn lock(run: &Path) -> Result<OwnedFd, SyscallError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(run, flags, Mode::empty()).context("open(run-time folder)")?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive).context(LOCK)?;
    Ok(folder)
}

/// The pipe that a server holds while it starts a launcher. One that died meanwhile may have started its successor, who
/// starts a launcher of its own: this one must not take the socket away from that.
fn starter() -> Result<Option<OwnedFd>, SyscallError> {
    let input = std::io::stdin();
    let status = rustix::fs::fstat(&input).context("fstat(stdin)")?;
    if !FileType::from_raw_mode(status.st_mode).is_fifo() {
        return Ok(None);
    }
    let starter = input.as_fd().try_clone_to_owned().context("dup(stdin)")?;
    let mut ends = [PollFd::new(&starter, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ends, Some(&now)).context("poll(stdin)")? > 0 {
        return Err(SyscallError { call: "wait for the server", errno: Errno::PIPE });
    }
    Ok(Some(starter))
}

/// Moves to a root that holds nothing but `/proc` and a folder to attach sandboxes at. Their mount namespaces are
/// copies of this one: small, and without a file of the host at any moment.
fn leave_host_files() -> Result<(), SyscallError> {
    new_mount_namespace()?;
    make_mounts_private()?;
    let root =
        FilesystemContext::open("tmpfs")?.text("mode", "0700")?.mount(MountOptions::default())?;
    for name in [child::ATTACH_POINT, c"proc"] {
        rustix::fs::mkdirat(root.as_fd(), name, Mode::from_raw_mode(0o700))
            .context("mkdir(root)")?;
    }
    root.attach(CWD, c"/proc")?;
    change_root(root.as_fd())?;
    let processes: DetachedMount =
        FilesystemContext::open("proc")?.mount(MountOptions::default())?;
    processes.attach(CWD, c"proc")
}

impl Process {
    fn serve((mut process, listener): (Self, MessageListener)) -> Result<(), SyscallError> {
        let mut ready = Vec::with_capacity(64);
        loop {
            ready.clear();
            match epoll::wait(&process.events, rustix::buffer::spare_capacity(&mut ready), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno).context("epoll_wait"),
            }
            let numbers: Vec<u64> =
                ready.iter().map(|event: &epoll::Event| event.data.u64()).collect();
            for number in numbers {
                if number == LISTENER {
                    // A client that breaks off is its own trouble.
                    if let Ok(true) = listener.accept().and_then(|socket| process.answer(&socket)) {
                        return Ok(());
                    }
                    // Somebody needs it, and the next one will find it.
                    if let Some(starter) = process.starter.take() {
                        epoll::delete(&process.events, &starter).context("epoll_ctl")?;
                    }
                } else if number == STARTER {
                    // It died before it needed anything, and the next one does not know of this launcher.
                    if process.starter.is_some() {
                        return Ok(());
                    }
                } else if let Some((_, pipe)) = process.building.remove(&number) {
                    // A process that attaches volumes may have a copy, for which it would be reported again.
                    epoll::delete(&process.events, &pipe).context("epoll_ctl")?;
                } else {
                    process.record_exit(number);
                }
            }
        }
    }

    fn record_exit(&mut self, number: u64) {
        let Some(id) = self.watched.get(&number) else { return };
        let Some(Launched::Running(child)) = self.sandboxes.get(id) else { return };
        let ended = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(ExitStatus::Code(code))) => Some(EndedAs::Code(code)),
            Ok(Some(ExitStatus::Signal(signal))) => Some(EndedAs::Signal(signal)),
            Err(_) => None,
        };
        // Closing ours is not enough: the server has a copy, and as long as one is open, it would be reported again and
        // again that the process has ended.
        // It was added, so it can be taken out.
        epoll::delete(&self.events, child).ok();
        if let Some(id) = self.watched.remove(&number) {
            match ended {
                Some(how) => drop(self.sandboxes.insert(id, Launched::Ended(how))),
                None => drop(self.sandboxes.remove(&id)),
            }
        }
    }

    /// Reads one request and replies; true when it was to quit.
    fn answer(&mut self, socket: &MessageSocket) -> Result<bool, SyscallError> {
        socket.set_deadline(CLIENT_DEADLINE)?;
        let mut buffer = [0u8; MAX_MESSAGE];
        let Some((length, descriptors)) = socket.receive(&mut buffer)? else { return Ok(false) };
        let request = buffer.get(..length).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Some(request) = request else {
            reply(socket, &Reply::Failed { why: String::from("unknown request") }, &[])?;
            return Ok(false);
        };
        match request {
            Request::UserNamespace { first, count } => {
                let made = UserNamespace::new(self.single, first, count);
                pitlane_fault::point("launcher.users-made");
                match made {
                    Ok(namespace) => reply(socket, &Reply::Done, &[namespace.as_fd()])?,
                    Err(failure) => reply_failure(socket, &failure)?,
                }
            }
            Request::GroupView => {
                let made = match descriptors.first() {
                    Some(group) => CgroupNamespace::new(self.single, group.as_fd()),
                    None => Err(SyscallError { call: "recvmsg", errno: Errno::BADF }),
                };
                match made {
                    Ok(namespace) => reply(socket, &Reply::Done, &[namespace.as_fd()])?,
                    Err(failure) => reply_failure(socket, &failure)?,
                }
            }
            Request::Launch { id, host_name, command_files, tasks } => {
                match LaunchDescriptors::from_received(command_files, tasks, descriptors) {
                    Some(parts) => self.launch(socket, id, &host_name, parts)?,
                    None => reply(
                        socket,
                        &Reply::Failed { why: String::from("descriptors are missing") },
                        &[],
                    )?,
                }
            }
            Request::Attach { id, name, first_id, paths } => {
                self.attach(socket, (&id, name), first_id, paths, descriptors)?;
            }
            Request::Open { id } => match self.sandboxes.get(&id) {
                Some(Launched::Running(child)) => {
                    reply(socket, &Reply::Launched { pid: child.pid() }, &[child.as_fd()])?;
                }
                Some(Launched::Ended(how)) => reply(socket, &Reply::Ended { how: *how }, &[])?,
                None => reply(socket, &Reply::Unknown, &[])?,
            },
            Request::Collect { id } => self.collect(socket, &id)?,
            Request::List { after } => {
                // As many as surely fit a message.
                let ids = self
                    .sandboxes
                    .range((Bound::Excluded(after), Bound::Unbounded))
                    .take(300)
                    .map(|(id, _)| id.clone())
                    .collect();
                reply(socket, &Reply::Listed { ids }, &[])?;
            }
            Request::Keep { name } => {
                let kept = descriptors
                    .into_iter()
                    .next()
                    .map(|descriptor| self.kept.insert(name, descriptor));
                pitlane_fault::point("launcher.kept");
                reply(socket, if kept.is_some() { &Reply::Done } else { &Reply::Unknown }, &[])?;
            }
            Request::Recall { name } => match self.kept.get(&name) {
                Some(descriptor) => reply(socket, &Reply::Done, &[descriptor.as_fd()])?,
                None => reply(socket, &Reply::Unknown, &[])?,
            },
            Request::Identify => {
                reply(socket, &Reply::Identified { program: self.program.clone() }, &[])?;
            }
            Request::Quit => return self.quit(socket),
        }
        Ok(false)
    }

    /// Starts a child that puts volumes into a sandbox.
    fn attach(
        &mut self,
        socket: &MessageSocket,
        (id, name): (&str, String),
        first_id: u32,
        paths: Vec<String>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), SyscallError> {
        let Some(Launched::Running(process)) = self.sandboxes.get(id) else {
            return reply(socket, &Reply::Unknown, &[]);
        };
        let mut descriptors = descriptors.into_iter();
        let report = descriptors.next();
        let mounts: Vec<_> = paths.into_iter().zip(descriptors.map(DetachedMount::from)).collect();
        let (Some(report), false) =
            (report, matches!(self.sandboxes.get(&name), Some(Launched::Running(_))))
        else {
            let why = String::from("descriptors are missing, or it is done already");
            return reply(socket, &Reply::Failed { why }, &[]);
        };
        let building = self.building.values().find(|(building, _)| building == id);
        let attachment = Attachment {
            process: process.as_fd(),
            building: building.map(|(_, pipe)| pipe.as_fd()),
            first_id,
            mounts,
        };
        let mut attachment = Some(attachment);
        let started = clone_process(self.single, CloneFlags::default(), None, || {
            let Some(Err(failure)) = attachment.take().map(attach::attach) else { return 0 };
            let text = serde_json::to_vec(&failure).unwrap_or_default();
            match rustix::io::write(&report, &text) {
                Ok(_) | Err(_) => 1,
            }
        });
        drop(attachment);
        match started {
            Ok(child) => {
                pitlane_fault::point("launcher.attaching");
                let sent = reply(socket, &Reply::Launched { pid: child.pid() }, &[child.as_fd()]);
                self.record(name, child)?;
                sent
            }
            Err(failure) => reply_failure(socket, &failure),
        }
    }

    /// Keeps a child until it has ended and somebody has asked how.
    fn record(&mut self, id: String, child: Child) -> Result<(), SyscallError> {
        let number = self.await_event(&child, epoll::EventFlags::IN)?;
        self.watched.insert(number, id.clone());
        self.sandboxes.insert(id, Launched::Running(child));
        Ok(())
    }

    /// Has the main loop told when something happens to a descriptor, under the number that is answered.
    fn await_event(
        &mut self,
        of: impl std::os::fd::AsFd,
        flags: epoll::EventFlags,
    ) -> Result<u64, SyscallError> {
        let number = self.next_watch;
        self.next_watch += 1;
        epoll::add(&self.events, of, epoll::EventData::new_u64(number), flags)
            .context("epoll_ctl")?;
        Ok(number)
    }

    fn quit(&self, socket: &MessageSocket) -> Result<bool, SyscallError> {
        let is_idle =
            !self.sandboxes.values().any(|sandbox| matches!(sandbox, Launched::Running(_)));
        let answer = if is_idle {
            Reply::Done
        } else {
            Reply::Failed { why: String::from("sandboxes are running") }
        };
        reply(socket, &answer, &[])?;
        Ok(is_idle)
    }

    fn collect(&mut self, socket: &MessageSocket, id: &str) -> Result<(), SyscallError> {
        // The exit may not have been recorded yet: the event and this request race.
        let number =
            self.watched.iter().find(|(_, watched)| *watched == id).map(|(number, _)| *number);
        if let Some(number) = number {
            self.record_exit(number);
        }
        match self.sandboxes.get(id) {
            Some(Launched::Ended(how)) => {
                let how = *how;
                self.sandboxes.remove(id);
                pitlane_fault::point("launcher.exit-forgotten");
                reply(socket, &Reply::Ended { how }, &[])
            }
            Some(Launched::Running(child)) => {
                reply(socket, &Reply::Launched { pid: child.pid() }, &[child.as_fd()])
            }
            None => reply(socket, &Reply::Unknown, &[]),
        }
    }

    fn launch(
        &mut self,
        socket: &MessageSocket,
        id: String,
        host_name: &str,
        parts: LaunchDescriptors,
    ) -> Result<(), SyscallError> {
        if matches!(self.sandboxes.get(&id), Some(Launched::Running(_))) {
            return reply(
                socket,
                &Reply::Failed { why: String::from("it is running already") },
                &[],
            );
        }
        let filter = &self.filter;
        let folder = match &parts.entrance {
            pitlane_sys::Entrance::Folder(folder) => {
                Some(folder.try_clone().context("dup(cgroup)")?)
            }
            pitlane_sys::Entrance::Tasks(_) => None,
        };
        let mut parts = Some(parts);
        // The child's copy is closed when it executes its program.
        let (building, built) = pipe_with(PipeFlags::CLOEXEC).context("pipe2")?;
        let launched = clone_process(
            self.single,
            CloneFlags::NEW_SANDBOX,
            folder.as_ref().map(|folder| folder.as_fd()),
            || {
                let Some(parts) = parts.take() else { return 1 };
                report_failure(parts, host_name, filter)
            },
        );
        match launched {
            Ok(child) => {
                drop(built);
                pitlane_fault::point("launcher.process-made");
                let number = self.await_event(&building, epoll::EventFlags::empty())?;
                self.building.insert(number, (id.clone(), building));
                let sent = reply(socket, &Reply::Launched { pid: child.pid() }, &[child.as_fd()]);
                self.record(id, child)?;
                pitlane_fault::point("launcher.process-handed-over");
                sent
            }
            Err(failure) => reply_failure(socket, &failure),
        }
    }
}

/// Runs in the child: tells the server, who waits for the daemon's hello, what failed before the daemon could.
fn report_failure(parts: LaunchDescriptors, host_name: &str, filter: &Filter) -> i32 {
    // Where becoming the daemon overwrites no descriptor.
    let Ok(hello) = rustix::io::fcntl_dupfd_cloexec(&parts.hello, FIRST_SPARE_DESCRIPTOR) else {
        return 1;
    };
    let failure = child::become_daemon(parts, host_name, filter);
    let report = serde_json::json!({ "failure": format!("{failure}: {}", failure.errno) });
    match rustix::io::write(hello, report.to_string().as_bytes()) {
        Ok(_) | Err(_) => 1,
    }
}

fn reply(
    socket: &MessageSocket,
    reply: &Reply,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), SyscallError> {
    let bytes = serde_json::to_vec(reply).unwrap_or_default();
    socket.send(&bytes, descriptors)
}

fn reply_failure(socket: &MessageSocket, failure: &SyscallError) -> Result<(), SyscallError> {
    reply(socket, &Reply::Failed { why: format!("{failure}: {}", failure.errno) }, &[])
}
