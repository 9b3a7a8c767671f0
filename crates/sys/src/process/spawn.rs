//! Starting a program without copying the parent's memory.
//!
//! The child shares the parent's memory until it executes its program, and the calling thread waits for that long: no
//! page table is copied, and the child can say what failed without a pipe. It has a stack of its own, and it runs
//! nothing but system calls: no allocation, no lock, no signal handler.
//!
//! Between becoming the user and executing the program, tens of microseconds, that user's other processes may stop the
//! child with a signal, and the waiting thread with it. They cannot look into it: whoever holds secrets in its memory
//! makes itself non-dumpable first, which the child then is as well.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::identity::Identity;
use crate::error::check;

/// A program to be started, and everything about the process it becomes.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Absolute paths, of which the first is executed that exists and may be.
    pub candidates: &'a [CString],
    /// What it is told it is called; `None` is the path that was executed.
    pub name: Option<&'a CStr>,
    /// Its arguments, after its own name.
    pub arguments: &'a [CString],
    /// Its whole environment, `NAME=value`.
    pub environment: &'a [CString],
    /// Where it starts; entered with the rights of `identity`, when nothing but its own descriptors is open.
    pub folder: &'a CStr,
    /// Whom it belongs to; `None` is the caller.
    pub identity: Option<&'a Identity>,
    /// Its standard input, output and error.
    pub standard: [BorrowedFd<'a>; 3],
    /// What it finds as descriptors 3 and up; it inherits no others.
    pub spare: &'a [BorrowedFd<'a>],
    /// Whether its standard input is a terminal that becomes the one of its session.
    pub has_terminal: bool,
    /// `tasks` or `cgroup.procs` files of the control groups that it enters.
    pub joins: &'a [BorrowedFd<'a>],
    /// How much rather it is killed than others when memory is used up, to 1000; `None` leaves it as it is.
    pub oom_score_adjustment: Option<i32>,
}

/// Why a program did not start. There is no process then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// There is no room for another process.
    #[error("cannot make a process")]
    Process(#[source] Errno),
    /// The control groups are gone or full.
    #[error("cannot enter the control groups")]
    Join(#[source] Errno),
    /// Session, descriptors, signals or memory score could not be set.
    #[error("cannot prepare the process")]
    Prepare(#[source] Errno),
    /// The kernel refuses the user.
    #[error("cannot become the user")]
    Identity(#[source] Errno),
    /// The folder does not exist or may not be entered.
    #[error("cannot enter the folder")]
    Folder(#[source] Errno),
    /// The program does not exist, may not be executed, or its arguments and environment are too long.
    #[error("cannot execute the program")]
    Execute(#[source] Errno),
}

/// What the child reads and where it reports; lives in the waiting parent's frame.
struct Plan<'a> {
    program: Program<'a>,
    inherited: Inherited,
    /// The first is set before each attempt.
    arguments: Vec<Cell<*const c_char>>,
    environment: Vec<*const c_char>,
    score: Option<[u8; 12]>,
    /// The failed step; 0 while there is none.
    step: AtomicI32,
    errno: AtomicI32,
}

const STACK_BYTES: usize = 128 * 1024;
/// As the kernel counts them: 1 to 64.
const SIGNALS: c_int = 64;

/// Starts `program` in a session of its own, with default signal dispositions; the caller must wait for the process.
pub(super) fn spawn(program: Program<'_>) -> Result<i32, SpawnError> {
    let pointer = |text: &CString| text.as_ptr();
    let end = std::ptr::null::<c_char>;
    let environment = program.environment.iter().map(pointer).chain([end()]).collect();
    let arguments = program.arguments.iter().map(pointer).chain([end()]);
    let arguments = [end()].into_iter().chain(arguments).map(Cell::new).collect();
    let inherited = Inherited::new(&program).map_err(SpawnError::Prepare)?;
    let plan = Plan {
        arguments,
        environment,
        score: program.oom_score_adjustment.map(decimal),
        step: AtomicI32::new(0),
        errno: AtomicI32::new(0),
        inherited,
        program,
    };
    let signals = BlockedSignals::all();
    let cloned = share_and_wait(&plan);
    drop(signals);
    let pid = cloned.map_err(SpawnError::Process)?;
    match plan.step.load(Ordering::SeqCst) {
        0 => Ok(pid),
        step => {
            let errno = Errno::from_raw_os_error(plan.errno.load(Ordering::SeqCst));
            // It has exited, and nobody else knows of it.
            forget(pid);
            Err(Step::from_number(step).error(errno))
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Join = 1,
    Prepare,
    Identity,
    Folder,
    Execute,
}

impl Step {
    const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Join,
            2 => Self::Prepare,
            3 => Self::Identity,
            4 => Self::Folder,
            // Nothing else is ever stored.
            _ => Self::Execute,
        }
    }

    const fn error(self, errno: Errno) -> SpawnError {
        match self {
            Self::Join => SpawnError::Join(errno),
            Self::Prepare => SpawnError::Prepare(errno),
            Self::Identity => SpawnError::Identity(errno),
            Self::Folder => SpawnError::Folder(errno),
            Self::Execute => SpawnError::Execute(errno),
        }
    }
}

#[expect(unsafe_code, reason = "clone with a shared memory has no safe wrapper")]
fn share_and_wait(plan: &Plan<'_>) -> Result<i32, Errno> {
    // Blocks of 16 bytes, as the kernel wants a stack to be aligned.
    const BLOCKS: usize = STACK_BYTES / 16;
    let mut stack: Vec<MaybeUninit<u128>> = Vec::with_capacity(BLOCKS);
    let top = stack.as_mut_ptr().wrapping_add(BLOCKS);
    // SAFETY: clone(2) runs `child` on the given stack, whose top is the end of an allocation that lives until this
    // function returns, and with a pointer to `plan`, which does as well: CLONE_VFORK keeps this thread waiting until
    // the child has executed its program or ended. CLONE_VM without CLONE_SIGHAND and CLONE_FILES gives it dispositions
    // and descriptors of its own, and all signals are blocked, so no handler of the parent runs in it.
    let result = unsafe {
        libc::clone(
            child,
            top.cast::<c_void>(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            std::ptr::from_ref(plan).cast_mut().cast::<c_void>(),
        )
    };
    check(libc::c_long::from(result)).map(|_| result)
}

#[expect(unsafe_code, reason = "it is entered from C and never returns")]
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `share_and_wait` passes a pointer to a `Plan` that lives and is only read while the child runs.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    let (step, errno) = plan.run();
    plan.errno.store(errno.raw_os_error(), Ordering::SeqCst);
    plan.step.store(step as i32, Ordering::SeqCst);
    // SAFETY: _exit(2) has no preconditions, and runs nothing of the parent's.
    unsafe { libc::_exit(127) }
}

impl Plan<'_> {
    /// Runs in the child; returns only when something failed.
    fn run(&self) -> (Step, Errno) {
        match self.become_ready() {
            Ok(()) => (Step::Execute, self.execute()),
            Err(failure) => failure,
        }
    }

    fn become_ready(&self) -> Result<(), (Step, Errno)> {
        let program = &self.program;
        rustix::process::setsid().map_err(|errno| (Step::Prepare, errno))?;
        // While it still has its parent's user: the kernel compares that with who opened the file.
        for tasks in program.joins {
            rustix::io::write(tasks, b"0").map_err(|errno| (Step::Join, errno))?;
        }
        if let Some(score) = &self.score {
            set_oom_score_adjustment(score).map_err(|errno| (Step::Prepare, errno))?;
        }
        self.inherited.place().map_err(|errno| (Step::Prepare, errno))?;
        if program.has_terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())
                .map_err(|errno| (Step::Prepare, errno))?;
        }
        reset_signals().map_err(|errno| (Step::Prepare, errno))?;
        if let Some(identity) = program.identity {
            identity.assume().map_err(|errno| (Step::Identity, errno))?;
        }
        rustix::process::chdir(program.folder).map_err(|errno| (Step::Folder, errno))?;
        unblock_signals().map_err(|errno| (Step::Prepare, errno))
    }

    #[expect(unsafe_code, reason = "execve has no safe wrapper")]
    fn execute(&self) -> Errno {
        let mut reason = Errno::NOENT;
        for candidate in self.program.candidates {
            if let Some(name) = self.arguments.first() {
                name.set(self.program.name.map_or(candidate.as_ptr(), CStr::as_ptr));
            }
            // SAFETY: execve(2) reads a C string and two arrays of C strings that end with null by construction (a `Cell`
            // is laid out like its contents); all of
            // them borrow from the plan, which outlives the call.
            let result = unsafe {
                libc::execve(
                    candidate.as_ptr(),
                    self.arguments.as_ptr().cast::<*const c_char>(),
                    self.environment.as_ptr(),
                )
            };
            match check(libc::c_long::from(result)) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                // A later candidate may be executable; if none is, this is the better reason.
                Err(Errno::ACCESS) => reason = Errno::ACCESS,
                Err(errno) => return errno,
                Ok(_) => return Errno::NOEXEC,
            }
        }
        reason
    }
}

/// Writes to the child's own file: memory is shared, but the kernel keeps the score apart until a vfork is over.
fn set_oom_score_adjustment(score: &[u8; 12]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty())?;
    rustix::io::write(file, score).map(|_| ())
}

/// A number as text for the kernel, with spaces before it; made ahead, since formatting may allocate.
fn decimal(number: i32) -> [u8; 12] {
    let mut text = [b' '; 12];
    for (place, byte) in text.iter_mut().rev().zip(number.to_string().bytes().rev()) {
        *place = byte;
    }
    text
}

/// What the child's descriptors are copied from, in the order of their numbers.
struct Inherited {
    sources: Vec<c_int>,
    /// Where a source itself had a number that is copied to.
    _moved: Vec<OwnedFd>,
}

impl Inherited {
    fn new(program: &Program<'_>) -> Result<Self, Errno> {
        let wanted = program.standard.iter().chain(program.spare);
        let count = wanted.clone().count();
        let first_free = c_int::try_from(count).map_err(|_too_many| Errno::MFILE)?;
        let (mut sources, mut moved) = (Vec::with_capacity(count), Vec::new());
        for descriptor in wanted {
            if descriptor.as_raw_fd() >= first_free {
                sources.push(descriptor.as_raw_fd());
            } else {
                let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, first_free)?;
                sources.push(copy.as_raw_fd());
                moved.push(copy);
            }
        }
        Ok(Self { sources, _moved: moved })
    }

    /// Runs in the child.
    #[expect(unsafe_code, reason = "dup2 onto numbers and close_range have no safe wrapper")]
    fn place(&self) -> Result<(), Errno> {
        let mut number: c_int = 0;
        for source in &self.sources {
            // SAFETY: dup2(2) takes two numbers. The child's table of descriptors is a copy, so the parent loses
            // nothing.
            check(libc::c_long::from(unsafe { libc::dup2(*source, number) }))?;
            number = number.saturating_add(1);
        }
        // SAFETY: close_range(2) takes numbers. It closes the child's copies alone, and the child uses none of them
        // again.
        check(unsafe { libc::syscall(libc::SYS_close_range, number, libc::c_uint::MAX, 0) })
            .map(|_| ())
    }
}

/// Sets every disposition to the default. Handlers would be reset by the kernel, ignored signals would stay ignored.
#[expect(
    unsafe_code,
    reason = "the C library's own sigaction may take a lock that the parent holds"
)]
fn reset_signals() -> Result<(), Errno> {
    // The kernel's structure: handler, flags, restorer, mask. All zero is the default disposition.
    let default = [0u64; 4];
    for signal in 1..=SIGNALS {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        let nothing = std::ptr::null_mut::<u64>();
        // SAFETY: rt_sigaction(2) reads a structure of 32 bytes, which `default` is, and writes nothing through null.
        // The table of dispositions is the child's own.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                nothing,
                size_of::<u64>(),
            )
        };
        check(result)?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "rt_sigprocmask has no wrapper")]
fn unblock_signals() -> Result<(), Errno> {
    let none = 0u64;
    let nothing = std::ptr::null_mut::<u64>();
    // SAFETY: rt_sigprocmask(2) reads a set of 8 bytes, which `none` is, and writes nothing through null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            nothing,
            size_of::<u64>(),
        )
    };
    check(result).map(|_| ())
}

/// All signals of the calling thread are blocked while this lives.
struct BlockedSignals(u64);

impl BlockedSignals {
    fn all() -> Self {
        Self(set_signal_mask(u64::MAX))
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_signal_mask(self.0);
    }
}

/// Sets the calling thread's mask and gives back what it was.
#[expect(unsafe_code, reason = "rt_sigprocmask has no wrapper")]
fn set_signal_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: rt_sigprocmask(2) reads and writes sets of 8 bytes, which both are. It cannot fail with these arguments.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

fn forget(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return };
    while let Err(Errno::INTR) =
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
    {}
}

impl SpawnError {
    /// The kernel's reason.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::Process(errno)
            | Self::Join(errno)
            | Self::Prepare(errno)
            | Self::Identity(errno)
            | Self::Folder(errno)
            | Self::Execute(errno) => errno,
        }
    }
}
